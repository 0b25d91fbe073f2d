//! Bytes that are no value.

use serde::{Deserialize, Serialize};
use sysvring::{
    DeadLetter, Flavor, Options, Postcard, RecvError, ValueError, ValueFailure, mpmc, spsc, untyped,
};
use sysvring_support::handle::{AnyHandle, AnyReceiver};
use sysvring_support::name::Name;
use sysvring_support::test;

use crate::flavors::{ValueFlavor as AnyFlavor, pair};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Stop,
    Set { key: String, value: Option<u16> },
    Flags(bool, char, u32),
}

/// The bytes of the values in turn, what is wrong with them, and the byte where that is found.
const MALFORMED: [(&[u8], usize, ValueFailure); 11] = [
    (b"", 0, ValueFailure::UnexpectedEnd),
    // A variant that there is not.
    (&[3], 1, ValueFailure::Refused),
    (&[0xff, 0xff, 0xff, 0xff, 0x7f], 5, ValueFailure::InvalidNumber),
    (&[0, 0], 1, ValueFailure::TrailingBytes),
    // The text ends early.
    (b"\x01\x03ab", 2, ValueFailure::UnexpectedEnd),
    (b"\x01\x02\xff\xff\x00", 4, ValueFailure::InvalidUtf8),
    (b"\x01\x02ab\x02", 5, ValueFailure::InvalidOption),
    (b"\x01\x02ab\x01\x80", 6, ValueFailure::UnexpectedEnd),
    (b"\x02\x02", 2, ValueFailure::InvalidBool),
    (b"\x02\x01\x02ab\x00", 5, ValueFailure::InvalidChar),
    (b"\x02\x01\x01a\x05tail", 5, ValueFailure::TrailingBytes),
];

/// Opens a receiver of commands, and a sender of any bytes.
fn open<F: AnyFlavor>(name: &Name) -> (untyped::Sender, F::Receiver<Postcard<Command>>) {
    let rx: F::Receiver<Postcard<Command>> =
        name.options().capacity(4).slot_size(64).create().expect("create");
    (name.options().attach().expect("attach"), rx)
}

/// Each is reported with its position and the byte, and is discarded; the next call gets the next message.
#[test]
fn malformed_messages_are_discarded<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = open::<F>(&name);
    for (n, (bytes, offset, reason)) in MALFORMED.into_iter().enumerate() {
        tx.send(bytes).expect("room");
        tx.send(&[0]).expect("room");
        let received = match n % 2 {
            0 => F::recv_value(&mut rx),
            _ => F::value_in_place(&mut rx),
        };
        let cause = ValueError { offset, reason };
        let position = 2 * n as u64;
        assert_eq!(received, Err(RecvError::NotDeserialized { position, cause }), "{bytes:?}");
        assert_eq!(F::try_recv_value(&mut rx), Ok(Command::Stop));
        assert_eq!(F::try_recv_value(&mut rx), Err(RecvError::Empty));
    }
    let stat = tx.stat().expect("stat");
    assert_eq!(stat.rejected, MALFORMED.len() as u64 / 2);
}

/// Whatever is cut off, and whichever bit is changed, the result is an error or another value.
#[test]
fn truncated_and_changed_messages() {
    let name = Name::new();
    let (mut tx, mut rx) = open::<sysvring_support::handle::Spsc>(&name);
    let sent = Command::Set { key: "volume".into(), value: Some(700) };
    let mut to_bytes: spsc::Sender<Postcard<Command>> =
        Options::private().slot_size(64).create().expect("create");
    let mut bytes: spsc::Receiver<Postcard<Command>> =
        Options::id(to_bytes.id()).attach().expect("attach");
    to_bytes.send_value(&sent).expect("room");
    let bytes = bytes.recv_boxed().expect("a message").bytes().to_vec();
    for len in 0..bytes.len() {
        tx.send(&bytes[..len]).expect("room");
        let Err(RecvError::NotDeserialized { cause, .. }) = rx.recv_value() else {
            panic!("{len} bytes are no value")
        };
        assert_eq!(cause.reason, ValueFailure::UnexpectedEnd);
        assert!(cause.offset <= len, "{cause:?}");
    }
    let mut failures = 0;
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        tx.send(&changed).expect("room");
        match rx.recv_value() {
            Ok(value) => assert_ne!(value, sent),
            Err(RecvError::NotDeserialized { .. }) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(failures > 8, "{failures}");
}

/// A type that needs a format which describes itself cannot be received.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[test]
fn a_type_that_is_not_supported<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, Untagged>(name.options());
    F::try_send_value(&mut tx, &Untagged::Number(7)).expect("room");
    let cause = ValueError { offset: 0, reason: ValueFailure::Unsupported };
    let error = RecvError::NotDeserialized { position: 0, cause };
    assert_eq!(F::try_recv_value(&mut rx), Err(error));
    let text = error.to_string();
    assert!(text.contains("message 0") && text.contains("byte 0"), "{text}");
    assert!(rx.is_empty());
}

/// A malformed message that is rejected, and a value that is, are letters, whose bytes are there.
#[test]
fn rejected_values_are_dead_letters() {
    let (name, letters) = (Name::new(), Name::new());
    let options = || name.options().slot_size(64).dead_letters(letters.as_str(), 3);
    let tx: mpmc::Sender<Postcard<Command>> = options().create().expect("create");
    let rx: mpmc::Receiver<Postcard<Command>> = options().attach().expect("attach");
    let mut bytes: untyped::Sender = name.options().attach().expect("attach");
    bytes.send(&[9, 9]).expect("room");
    let sent = Command::Flags(true, 'ß', 70_000);
    tx.send_value(&sent).expect("room");
    for _ in 0..2 {
        rx.recv_ref().expect("a message").reject().expect("rejected");
    }
    let letters: mpmc::Receiver<DeadLetter> = letters.options().attach().expect("attach");
    let letter = letters.try_recv_boxed().expect("a letter");
    let message: &Postcard<Command> = letter.message().expect("bytes");
    assert_eq!(message.bytes(), [9, 9]);
    let cause = ValueError { offset: 1, reason: ValueFailure::Refused };
    assert_eq!(message.value(), Err(cause));
    let letter = letters.try_recv_boxed().expect("a letter");
    let message: &Postcard<Command> = letter.message().expect("bytes");
    assert_eq!((message.value(), letter.source_position()), (Ok(sent), 1));
}

/// A receiver of an overwriting channel gets whole values.
#[test]
fn values_that_are_overwritten() {
    let name = Name::new();
    let options = || name.options().capacity(4).slot_size(64).overwriting(true);
    let mut tx: sysvring::broadcast::Sender<Postcard<(u32, String)>> =
        options().create().expect("create");
    let mut rx: sysvring::broadcast::Receiver<Postcard<(u32, String)>> =
        options().attach().expect("attach");
    let value = |n: u32| (n, n.to_string().repeat(3));
    (0..100).for_each(|n| tx.try_send_value(&value(n)).expect("room"));
    let Err(RecvError::Lagged { messages }) = rx.try_recv_value() else { panic!("it is behind") };
    for n in messages as u32..100 {
        assert_eq!(rx.try_recv_value(), Ok(value(n)));
    }
    assert_eq!(sysvring::stat(name.as_str()).expect("stat").flavor, Flavor::Broadcast);
    assert!(rx.is_empty());
}

/// The receiver of a value that panics has acknowledged it.
#[test]
fn a_panic_while_deserialising<F: AnyFlavor>() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Picky(#[serde(deserialize_with = "not_7")] u8);
    fn not_7<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
        let n = u8::deserialize(from)?;
        match n {
            7 => std::panic::resume_unwind(Box::new("as the test wants")),
            n => Ok(n),
        }
    }
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, Picky>(name.options());
    for n in [7, 8] {
        F::try_send_value(&mut tx, &Picky(n)).expect("room");
    }
    let panics = std::panic::AssertUnwindSafe(|| F::try_recv_value(&mut rx));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(F::try_recv_value(&mut rx), Ok(Picky(8)));
    assert_eq!(AnyReceiver::try_recv_boxed(&mut rx).err(), Some(RecvError::Empty));
}

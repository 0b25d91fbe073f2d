//! Message types: each kind is sent from process to process; bytes that are not a value are
//! reported.

use std::fmt::Debug;

use sysvring::spsc::{Receiver, Sender};
use sysvring::zerocopy::{FromBytes, little_endian};
use sysvring::{Message, Options, RecvError, SendError};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::Segment;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

/// Numbered values of a type.
trait Sample: Message + PartialEq + Debug {
    fn with(n: u64, see: &mut dyn FnMut(&Self));
}

#[sysvring::message]
#[derive(PartialEq, Debug)]
struct Tick {
    id: u64,
    price: f64,
}

#[sysvring::message]
#[derive(PartialEq, Debug, Clone, Copy)]
enum Color {
    Red,
    Green = 7,
    Blue,
}

const COLORS: [Color; 3] = [Color::Red, Color::Green, Color::Blue];

#[sysvring::message]
#[derive(PartialEq, Debug)]
struct Painted {
    color: Color,
    wet: bool,
    layers: u16,
    square_mm: u32,
}

#[sysvring::message]
#[derive(PartialEq, Debug)]
#[repr(C, align(64))]
struct CacheLine([u64; 8]);

#[sysvring::message]
#[derive(PartialEq, Debug)]
struct Line {
    number: little_endian::U64,
    file: little_endian::U16,
    text: [u8],
}

macro_rules! samples {
    ($($word:literal: $ty:ty, $n:ident, $see:ident => $sample:expr;)*) => {
        $(impl Sample for $ty {
            fn with($n: u64, $see: &mut dyn FnMut(&Self)) {
                $sample
            }
        })*

        /// Sends `count` values of a type to a channel.
        #[work]
        fn send_samples(args: &mut Args) {
            let name: String = args.next();
            let (word, count): (String, u64) = (args.next(), args.next());
            match word.as_str() {
                $($word => send::<$ty>(name, count),)*
                other => panic!("no such type: {other}"),
            }
        }
    };
}

samples! {
    "tick": Tick, n, see => see(&Tick { id: n, price: n as f64 / 3.0 });
    "painted": Painted, n, see => see(&Painted {
        color: COLORS[n as usize % 3],
        wet: n.is_multiple_of(2),
        layers: n as u16,
        square_mm: !n as u32,
    });
    "color": Color, n, see => see(&COLORS[n as usize % 3]);
    "bool": bool, n, see => see(&n.is_multiple_of(3));
    "f64": f64, n, see => see(&(n as f64).sqrt());
    "odd": [u8; 3], n, see => see(&[n as u8, !n as u8, (n >> 8) as u8]);
    "large": [u64; 8_192], n, see => see(&std::array::from_fn(|i| n << 16 | i as u64));
    "nothing": (), _n, see => see(&());
    "u128": u128, n, see => see(&(u128::from(n) << 64 | u128::from(!n)));
    "line": CacheLine, n, see => see(&CacheLine(std::array::from_fn(|i| n + i as u64)));
    "bytes": [u8], n, see => see(&vec![n as u8; n as usize % 100]);
    "text": str, n, see => see(&"aß→🦀".repeat(n as usize % 9));
    "words": [u32], n, see => see(&vec![n as u32; n as usize % 9]);
    "header": Line, n, see => {
        let header = [&n.to_le_bytes()[..], &[77, 0]].concat();
        let text = b"abcdefghijklm".repeat(n as usize % 9);
        let bytes = [header, text].concat();
        see(Line::ref_from_bytes(&bytes).expect("at least a header"))
    };
}

fn send<T: Sample + ?Sized>(name: String, count: u64) {
    let mut tx: Sender<T> = Options::named(name).open().expect("open");
    for n in 0..count {
        T::with(n, &mut |sample| tx.send(sample).expect("send"));
    }
}

const COUNT: u64 = 400;

/// Receives samples from another process alternately in place and as boxes, through a short ring.
fn check<T: Sample + ?Sized>(word: &str) -> (Name, Worker, Receiver<T>) {
    let name = Name::new();
    let mut rx: Receiver<T> = name.options().capacity(16).open().expect("open");
    let sender = Worker::start(&[&"message_types::send_samples", &name, &word, &(2 * COUNT)])
        .expect("start");
    for n in 0..COUNT {
        match n % 2 {
            0 => T::with(n, &mut |sample| {
                let message = rx.recv_ref().expect("a message");
                assert_eq!(*message, *sample);
                message.ack().expect("acknowledged");
            }),
            _ => T::with(n, &mut |sample| assert_eq!(*rx.recv_boxed().expect("one"), *sample)),
        }
    }
    (name, sender, rx)
}

/// Checks a type of variable length.
fn check_unsized<T: Sample + ?Sized>(word: &str) {
    let (_name, sender, mut rx) = check::<T>(word);
    for n in COUNT..2 * COUNT {
        T::with(n, &mut |sample| assert_eq!(*rx.recv_boxed().expect("a message"), *sample));
    }
    assert_eq!(rx.recv_boxed(), Err(RecvError::Disconnected));
    sender.finish();
}

/// Checks a sized type, also by value and in batches.
fn check_sized<T: Sample>(word: &str) {
    let (_name, sender, mut rx) = check::<T>(word);
    let middle = COUNT + COUNT / 2;
    for n in COUNT..middle {
        T::with(n, &mut |sample| assert_eq!(rx.recv().expect("a message"), *sample));
    }
    let mut batch = Vec::new();
    while batch.len() < COUNT as usize / 2 {
        rx.recv_batch(&mut batch, 7).expect("some");
    }
    for (n, got) in (middle..).zip(&batch) {
        T::with(n, &mut |sample| assert_eq!(got, sample));
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    sender.finish();
}

macro_rules! checks {
    ($($test:ident: $check:ident $ty:ty, $word:literal;)*) => {
        $(#[test]
        fn $test() {
            $check::<$ty>($word);
        })*
    };
}

checks! {
    structs: check_sized Tick, "tick";
    structs_with_enums_and_bools: check_sized Painted, "painted";
    enums: check_sized Color, "color";
    bools: check_sized bool, "bool";
    floats: check_sized f64, "f64";
    odd_sizes: check_sized [u8; 3], "odd";
    large_arrays: check_sized [u64; 8_192], "large";
    units: check_sized (), "nothing";
    sixteen_bytes_aligned_to_them: check_sized u128, "u128";
    aligned_to_a_cache_line: check_sized CacheLine, "line";
    bytes: check_unsized [u8], "bytes";
    texts: check_unsized str, "text";
    words: check_unsized [u32], "words";
    headers_and_bytes: check_unsized Line, "header";
}

/// Sends every byte as a `u8` and receives it as `T`: each call returns the value, or `Invalid` at
/// its position, and then continues with the next message.
fn validate<T: Message + Copy + PartialEq + Debug>(values: &[(u8, T)]) {
    let name = Name::new();
    let mut tx: Sender<u8> = name.options().open().expect("open");
    Segment::of(tx.id().segment()).hide_structure();
    let mut rx: Receiver<T> = name.options().attach().expect("of the same shape");
    let expected = |byte: u8| values.iter().find(|(b, _)| *b == byte).map(|(_, value)| *value);
    for way in 0..4 {
        tx.send_batch(&std::array::from_fn::<u8, 256, _>(|i| i as u8)).expect("room");
        for byte in 0..=255 {
            let position = rx.position();
            let got = match way {
                0 => rx.recv(),
                1 => rx.recv_ref().and_then(|value| value.read(|value| *value)),
                2 => rx.recv_boxed().map(|value| *value),
                _ => {
                    let mut one = Vec::new();
                    rx.recv_batch(&mut one, 1).map(|_| one[0])
                }
            };
            let invalid = RecvError::Invalid { position };
            assert_eq!(got, expected(byte).ok_or(invalid), "{byte}, received by call {way}");
            assert_eq!(rx.position(), position + 1, "the next message follows");
        }
    }
    // A batch ends before an invalid message; the next one begins with it.
    let valid = values[0].0;
    tx.send_batch(&[valid, valid, 100, valid]).expect("room");
    let mut batch = Vec::new();
    assert_eq!(rx.recv_batch(&mut batch, 10), Ok(2));
    let position = rx.position();
    assert_eq!(rx.recv_batch(&mut batch, 10), Err(RecvError::Invalid { position }));
    assert_eq!(rx.recv_batch(&mut batch, 10), Ok(1));
    assert_eq!((batch.len(), tx.len()), (3, 0));
}

#[test]
fn enums_are_validated() {
    validate(&[(0, Color::Red), (7, Color::Green), (8, Color::Blue)]);
}

#[test]
fn bools_are_validated() {
    validate(&[(0, false), (1, true)]);
}

#[test]
fn texts_are_validated() {
    let name = Name::new();
    let mut tx: Sender<[u8]> = name.options().open().expect("open");
    Segment::of(tx.id().segment()).hide_structure();
    let mut rx: Receiver<str> = name.options().attach().expect("of the same shape");
    for bad in [&b"\xff"[..], b"ab\xc3", b"\xed\xa0\x80"] {
        tx.send(bad).expect("room");
        tx.send("good ß".as_bytes()).expect("room");
        let position = rx.position();
        assert_eq!(rx.recv_boxed(), Err(RecvError::Invalid { position }));
        let good = rx.recv_ref().expect("a message");
        assert_eq!(&*good, "good ß");
        good.ack().expect("acknowledged");
        tx.send(bad).expect("room");
        let position = rx.position();
        assert!(matches!(rx.recv_ref(), Err(RecvError::Invalid { position: p }) if p == position));
        assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
    }
}

#[test]
fn messages_in_place_are_aligned() {
    fn check<T: Message + FromBytes>() {
        let name = Name::new();
        let (mut tx, mut rx) = name.pair::<T>(4);
        for _ in 0..9 {
            let loan = tx.loan().expect("room");
            assert!(std::ptr::from_ref(&*loan).is_aligned());
            loan.commit().expect("committed");
            let guard = rx.recv_ref().expect("a message");
            assert!(std::ptr::from_ref(&*guard).is_aligned());
            guard.ack().expect("acknowledged");
        }
    }
    check::<u8>();
    check::<u64>();
    check::<[u8; 3]>();
    check::<u128>();
    check::<CacheLine>();
    check::<[CacheLine; 3]>();
}

#[test]
fn messages_may_be_as_long_as_the_slot_size() {
    const MAX: usize = 37;
    let name = Name::new();
    let mut tx: Sender<[u8]> = name.options().slot_size(MAX).capacity(4).open().expect("open");
    let mut rx: Receiver<[u8]> = name.options().attach().expect("attach");
    assert_eq!((tx.slot_size(), rx.slot_size()), (MAX, MAX));
    for len in (0..=MAX).chain((0..=MAX).rev()) {
        let message: Vec<u8> = (0..len).map(|i| (len + i) as u8).collect();
        tx.send(&message).expect("it fits");
        assert_eq!(*rx.recv_boxed().expect("a message"), message[..]);
        let mut loan = tx.loan_with(len).expect("it fits");
        loan.copy_from_slice(&message);
        loan.commit().expect("committed");
        let received = rx.recv_ref().expect("a message");
        assert_eq!(*received, message[..]);
        received.ack().expect("acknowledged");
    }
    for len in [MAX + 1, 1 << 20] {
        let too_long = SendError::TooLong { len, max: MAX };
        assert_eq!(tx.send(&vec![0; len]), Err(too_long));
        assert_eq!(tx.try_send(&vec![0; len]), Err(too_long));
        assert!(matches!(tx.loan_with(len), Err(error) if error == too_long));
    }
    assert!(tx.is_empty() && rx.is_empty());
}

//! Headers and lengths that no member writes, read by untyped handles.

use std::sync::atomic::Ordering::SeqCst;

use sysvring::{Error, Fault, RecvError, SendError, untyped};
use sysvring_support::error_text::refusal;
use sysvring_support::handle::{AnyFlavor, AnySender};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at, segment_of};
use sysvring_support::test;

use super::kinds::kind_of;

/// Returns the segment of a channel.
fn segment(name: &Name) -> Segment {
    let key = sysvring::stat(name.as_str()).expect("stat").key;
    Segment::of(segment_of(key).expect("a segment"))
}

/// What is written at a place of the header, and the error that attaching returns then.
const BROKEN: [(usize, u32, &str); 12] = [
    (at::MAGIC, 7, "foreign"),
    (at::VERSION, 77, "version"),
    (at::FLAVOR, 9, "corrupt"),
    (at::SEATS, 0, "corrupt"),
    (at::CAPACITY, 3, "corrupt"),
    (at::SLOT_SIZE, 9, "corrupt"),
    (at::STRIDE, 8, "corrupt"),
    (at::SHAPE, 3, "corrupt"),
    (at::SHAPE, 0, "corrupt"),
    (at::ALIGN, 3, "corrupt"),
    (at::SIZE, 1 << 30, "corrupt"),
    (at::TOTAL, 1 << 30, "corrupt"),
];

#[test]
fn broken_headers_are_refused<F: AnyFlavor>() {
    for word in ["number", "table"] {
        let name = Name::new();
        kind_of(word).make(F::FLAVOR, &name);
        let memory = segment(&name);
        for (place, value, expected) in BROKEN {
            let before = memory.u32(place).swap(value, SeqCst);
            let refused = refusal(name.options().attach::<untyped::Receiver>());
            let found = match &refused {
                Error::ForeignObject { .. } => "foreign",
                Error::LayoutVersion { .. } => "version",
                Error::Corrupt { .. } => "corrupt",
                _ => "another",
            };
            assert_eq!(found, expected, "{word}, {value} at {place}: {refused}");
            memory.u32(place).store(before, SeqCst);
        }
        drop(name.options().attach::<untyped::Receiver>().expect("it is whole again"));
    }
}

/// The other shape needs other slots.
#[test]
fn a_changed_shape_is_refused<F: AnyFlavor>() {
    for (word, other) in [("number", 2), ("table", 1)] {
        let name = Name::new();
        kind_of(word).make(F::FLAVOR, &name);
        segment(&name).u32(at::SHAPE).store(other, SeqCst);
        let refused = refusal(name.options().attach::<untyped::Sender>());
        assert!(matches!(refused, Error::Corrupt { .. }), "{word}: {refused}");
    }
}

/// An element of any size in the header leads to no message that is longer than its slot.
#[test]
fn a_changed_element_is_harmless<F: AnyFlavor>() {
    for (word, size) in [("number", 8), ("table", 8)] {
        for element in [0, 1, 3, u64::MAX] {
            let name = Name::new();
            kind_of(word).make(F::FLAVOR, &name);
            segment(&name).u64(at::ELEMENT).store(element, SeqCst);
            let mut tx: untyped::Sender = name.options().attach().expect("attach");
            for len in 0..1_100 {
                match tx.try_loan(len) {
                    Ok(loan) => assert!(loan.len() == len && len <= 1_024 && len >= size),
                    Err(SendError::WrongLength { .. } | SendError::TooLong { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(tx.try_loan(size).is_ok());
            assert_eq!(tx.try_loan(size + 8).is_ok(), word == "table" && element == 1);
        }
    }
}

/// A length beyond the slot stops the handle, as it stops a typed one.
#[test]
fn a_length_beyond_the_slot_is_corruption<F: AnyFlavor>() {
    for call in 0..3 {
        for len in [17, 1 << 40, u64::MAX] {
            let name = Name::new();
            let options = name.options().slot_size(16).capacity(4);
            let options = match F::FLAVOR {
                sysvring::Flavor::Spsc => options,
                _ => options.max_members(4),
            };
            let mut tx: F::Sender<[u8]> = options.create().expect("create");
            let mut rx: untyped::Receiver = name.options().attach().expect("attach");
            tx.try_send(b"hello").expect("room");
            segment(&name).u64(at::SLOTS + 8).store(len, SeqCst);
            let error = match call {
                0 => rx.try_recv_into(&mut Vec::new()).err(),
                1 => rx.try_recv_boxed().err(),
                _ => rx.try_recv_ref().err(),
            };
            let corrupt =
                RecvError::Fault(Fault::Corrupt { what: "a message is longer than its slot" });
            assert_eq!(error, Some(corrupt));
            assert_eq!(rx.try_recv_boxed(), Err(corrupt));
        }
    }
}

/// A length that no message has discards the message, and the next one follows.
#[test]
fn an_impossible_length_is_an_invalid_message<F: AnyFlavor>() {
    let name = Name::new();
    let options = name.options().slot_size(16).capacity(8);
    let options = match F::FLAVOR {
        sysvring::Flavor::Spsc => options,
        _ => options.max_members(4),
    };
    let mut tx: F::Sender<[u32]> = options.create().expect("create");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let memory = segment(&name);
    for n in 0..4u32 {
        tx.try_send(&[n, n]).expect("room");
        // The word, the length, and 16 bytes.
        memory.u64(at::SLOTS + 32 * n as usize + 8).store(6, SeqCst);
    }
    tx.try_send(&[7]).expect("room");
    let mut message = b"unchanged".to_vec();
    assert_eq!(rx.try_recv_into(&mut message), Err(RecvError::Invalid { position: 0 }));
    assert_eq!(message, b"unchanged");
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Invalid { position: 1 }));
    assert_eq!(rx.try_recv_ref().err(), Some(RecvError::Invalid { position: 2 }));
    assert_eq!(rx.recv_boxed(), Err(RecvError::Invalid { position: 3 }));
    assert_eq!(*rx.recv_boxed().expect("a message"), 7u32.to_ne_bytes());
    assert_eq!(rx.len(), 0);
}

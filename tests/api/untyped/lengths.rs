//! Lengths that a message can have, and those that are refused before anything is sent.

use sysvring::{SendError, untyped};
use sysvring_support::error_text::advises;
use sysvring_support::handle::AnyFlavor;
use sysvring_support::name::Name;
use sysvring_support::test;

use super::kinds::kinds;

/// The slot size of channels of variable messages.
const MAX: usize = 1024;

/// Returns whether a message of this kind can have this length.
fn is_possible(word: &str, len: usize) -> bool {
    match word {
        "nothing" => len == 0,
        "byte" => len == 1,
        "odd" => len == 3,
        "number" => len == 8,
        "numbers" => len == 24,
        "aligned" => len == 64,
        "large" => len == 65_536,
        "bytes" | "text" => len <= MAX,
        "words" => len <= MAX && len.is_multiple_of(4),
        "line" => (10..=MAX).contains(&len),
        "table" => (8..=MAX).contains(&len) && len.is_multiple_of(4),
        other => panic!("no such kind: {other}"),
    }
}

/// Checks the error for a length that is not possible.
fn check(error: SendError, len: usize, shape: sysvring::MessageLayout) {
    let expected = match shape.variable && len > MAX {
        true => SendError::TooLong { len, max: MAX },
        false => SendError::WrongLength { len, size: shape.size, element: shape.element },
    };
    assert_eq!(error, expected);
    assert!(advises(&error).contains(&len.to_string()));
}

#[test]
fn impossible_lengths_are_refused<F: AnyFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        kind.make(F::FLAVOR, &name);
        let mut tx: untyped::Sender = name.options().attach().expect("attach");
        let mut rx: untyped::Receiver = name.options().attach().expect("attach");
        let mut sent = 0;
        for len in (0..=70).chain(MAX - 5..=MAX + 5).chain(65_530..=65_540).chain([1 << 20]) {
            let message = vec![b'a'; len];
            if is_possible(kind.word, len) {
                tx.try_send(&message).expect("a possible length");
                assert_eq!(*rx.recv_boxed().expect("a message"), *message, "{}", kind.word);
                // A loan that is dropped sends nothing.
                tx.try_loan(len).expect("a possible length").fill(1);
                tx.try_loan(len).expect("a possible length").commit().expect("a member");
                rx.recv_ref().expect("a message").ack().expect("acknowledged");
                sent += 2;
            } else {
                check(tx.send(&message).expect_err("impossible"), len, kind.shape);
                check(tx.try_send(&message).expect_err("impossible"), len, kind.shape);
                check(tx.try_loan(len).expect_err("impossible"), len, kind.shape);
            }
            assert_eq!(tx.len(), 0, "{}: {len}", kind.word);
        }
        let stat = tx.stat().expect("stat");
        assert_eq!(stat.members[0].messages, sent, "{}: {stat}", kind.word);
        assert!(sent >= 2);
    }
}

/// No length near the end of the address space passes for a possible one.
#[test]
fn huge_loans_are_refused<F: AnyFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        kind.make(F::FLAVOR, &name);
        let mut tx: untyped::Sender = name.options().attach().expect("attach");
        for len in [usize::MAX, usize::MAX - 3, usize::MAX / 2, isize::MAX as usize, 1 << 40] {
            check(tx.loan(len).expect_err("impossible"), len, kind.shape);
        }
    }
}

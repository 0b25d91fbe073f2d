//! What fits and what does not.

use serde::{Deserialize, Serialize, Serializer};
use sysvring::{SendError, ValueFailure};
use sysvring_support::handle::AnyHandle;
use sysvring_support::name::Name;
use sysvring_support::test;

use crate::flavors::{ValueFlavor as AnyFlavor, pair};

/// A text of `n` bytes needs `n` bytes and those of its length: one below 128, two up to 16,383.
#[test]
fn a_value_that_fits_exactly_is_sent<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, String>(name.options().capacity(2).slot_size(200));
    for len in [198, 199, 0, 127, 128, 198] {
        let text = "x".repeat(len);
        let sent = F::try_send_value(&mut tx, &text);
        if len <= 198 {
            assert_eq!((sent, F::try_recv_value(&mut rx)), (Ok(()), Ok(text)));
        } else {
            assert_eq!(sent, Err(SendError::TooLong { len: 201, max: 200 }));
            assert!(rx.is_empty());
        }
    }
}

/// The length of a value that is too long is that of all of it, however much comes behind the end of the
/// slot, and in whatever parts.
#[test]
fn the_numbers_of_too_long<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, Vec<String>>(name.options().capacity(2).slot_size(16));
    let texts = |len: usize, count: usize| vec!["x".repeat(len); count];
    for (value, len) in [
        (texts(15, 1), 17),
        (texts(1_000, 1), 1_003),
        (texts(5, 1_000), 6_002),
        (texts(0, 16), 17),
        (texts(1, 8), 17),
    ] {
        let error = F::send_value(&mut tx, &value);
        assert_eq!(error, Err(SendError::TooLong { len, max: 16 }));
    }
    let error = SendError::TooLong { len: 1_003, max: 16 }.to_string();
    assert!(error.contains("1003") && error.contains("16"), "{error}");
    // Its slot is still there, as often as there are slots.
    for _ in 0..3 {
        F::try_send_value(&mut tx, &texts(4, 3)).expect("sent");
        assert_eq!(F::try_recv_value(&mut rx), Ok(texts(4, 3)));
    }
}

/// A full channel is reported as such.
#[test]
fn a_full_channel<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, u8>(name.options().capacity(1).slot_size(8));
    F::try_send_value(&mut tx, &1).expect("room");
    assert_eq!(F::try_send_value(&mut tx, &2), Err(SendError::Full));
    let timed_out = F::send_value_timeout(&mut tx, &2, std::time::Duration::from_millis(1));
    assert!(matches!(timed_out, Err(SendError::Timeout | SendError::Blocked { .. })));
    assert_eq!(F::try_recv_value(&mut rx), Ok(1));
}

/// A value that refuses to be serialised, after it has written something.
#[derive(Debug, PartialEq, Deserialize)]
enum Stubborn {
    Willing(u32),
    Unwilling,
    Panicking,
    Unmeasured,
}

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        match self {
            Stubborn::Willing(n) => to.serialize_newtype_variant("Stubborn", 0, "Willing", n),
            Stubborn::Unwilling => {
                to.serialize_newtype_variant("Stubborn", 1, "Unwilling", &("written", Refuses))
            }
            Stubborn::Panicking => std::panic::resume_unwind(Box::new("as the test wants")),
            Stubborn::Unmeasured => serde::ser::SerializeSeq::end(to.serialize_seq(None)?),
        }
    }
}

/// Nothing is sent, and the slot is used by the next value.
#[test]
fn a_value_that_cannot_be_serialised<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, Stubborn>(name.options().capacity(1).slot_size(64));
    let failures = [
        (Stubborn::Unwilling, ValueFailure::Refused),
        (Stubborn::Unmeasured, ValueFailure::UnknownLength),
    ];
    for (value, reason) in failures {
        let sent = F::try_send_value(&mut tx, &value);
        assert_eq!(sent, Err(SendError::NotSerialized { reason }));
        let panics = std::panic::AssertUnwindSafe(|| {
            let _ = F::try_send_value(&mut tx, &Stubborn::Panicking);
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(tx.len(), 0);
        F::try_send_value(&mut tx, &Stubborn::Willing(7)).expect("sent");
        assert_eq!(F::try_recv_value(&mut rx), Ok(Stubborn::Willing(7)));
    }
}

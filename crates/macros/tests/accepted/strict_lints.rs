//! A program with every lint that it can have: the attribute adds nothing that one of them reports.
#![deny(warnings, clippy::pedantic, clippy::nursery, unsafe_code)]
#![deny(missing_debug_implementations, missing_copy_implementations, single_use_lifetimes)]
#![deny(unused_qualifications, unused_results, trivial_casts, rust_2018_idioms)]
#![deny(clippy::std_instead_of_core, clippy::absolute_paths, clippy::missing_const_for_fn)]

use sysvring::zerocopy::native_endian::U16;

/// A struct.
#[sysvring::message]
#[derive(Clone, Copy, Debug)]
struct Tick {
    /// Its number.
    id: u64,
    /// Its price.
    price: f64,
}

/// An enum.
#[sysvring::message]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// One.
    Buy,
    /// The other.
    Sell = 2,
}

/// A struct that ends in a slice.
#[sysvring::message]
#[derive(Debug)]
struct Line {
    /// Its number.
    number: U16,
    /// Its text.
    text: [u8],
}

/// A generic struct.
#[sysvring::message]
#[derive(Clone, Copy, Debug)]
struct Bytes<T, const N: usize> {
    /// The first.
    first: T,
    /// Others.
    #[message(opaque)]
    others: [T; N],
}

/// An enum with a variant that is no longer used.
#[sysvring::message]
#[derive(Clone, Copy)]
enum Kind {
    /// The first.
    #[deprecated]
    Old = 1,
    /// The second.
    New = 2,
}

/// A struct with a field that is no longer used.
#[sysvring::message]
#[derive(Clone, Copy)]
struct Header {
    /// The first.
    #[deprecated]
    old: u8,
    /// The second.
    new: Kind,
}

/// A struct that is no longer used.
#[sysvring::message]
#[deprecated]
#[derive(Clone, Copy, Debug)]
struct Former {
    /// Its number.
    id: u64,
}

#[test]
#[expect(deprecated, reason = "the uses are reported, and the declarations are not")]
fn declarations_of_what_is_deprecated_are_not_reported() {
    let header = super::sent(&Header { old: 1, new: Kind::New });
    assert_eq!((header.old, header.new as u8), (1, 2));
    assert_eq!(super::sent(&Kind::Old) as u8, 1);
    assert_eq!(super::sent(&Former { id: 3 }).id, 3);
}

#[test]
fn nothing_is_reported() {
    let tick = super::sent(&Tick { id: 1, price: 2.0 });
    assert_eq!((tick.id, tick.price.to_bits()), (1, 2.0f64.to_bits()));
    assert_eq!((super::sent(&Side::Buy), super::sent(&Side::Sell)), (Side::Buy, Side::Sell));
    let bytes = super::sent(&Bytes { first: 1u8, others: [2, 3] });
    assert_eq!((bytes.first, bytes.others), (1, [2, 3]));
    let line = |line: &Line| (line.number, line.text.len());
    let _: fn(&Line) -> (U16, usize) = line;
}

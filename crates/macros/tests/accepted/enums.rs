//! Fieldless enums.

use sysvring::zerocopy::{FromBytes, IntoBytes};

use crate::{sent, structure};

#[sysvring::message]
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Buy,
    Sell,
}

#[sysvring::message]
struct Order {
    side: Side,
    sides: [Side; 7],
    amount: u64,
}

#[test]
fn an_enum_is_one_byte() {
    assert_eq!(structure::<Side>(), "enum Side: u8 { Buy = 0, Sell = 1 }");
    let order = sent(&Order { side: Side::Sell, sides: [Side::Buy; 7], amount: 3 });
    assert_eq!((order.side, order.sides[0], order.amount), (Side::Sell, Side::Buy, 3));
}

const SHIFT: isize = 4;

#[sysvring::message]
#[repr(i16)]
#[derive(Debug, PartialEq)]
enum Numbers {
    Negative = -300,
    Expression = 1 << SHIFT,
    Next,
    r#Raw = 100,
    #[cfg(any())]
    Absent,
    #[cfg(unix)]
    Present,
}

#[test]
fn numbers_and_representation_are_kept() {
    assert_eq!(
        structure::<Numbers>(),
        "enum Numbers: i16 { Negative = -300, Expression = 16, Next = 17, Raw = 100, Present = 101 }"
    );
    assert_eq!(sent(&Numbers::Negative), Numbers::Negative);
    assert_eq!(Numbers::Present.as_bytes(), 101i16.as_bytes());
}

#[sysvring::message]
#[repr(u64)]
enum Largest {
    Largest = 0xffff_ffff_ffff_ffff,
}

#[test]
fn integers_of_every_size() {
    assert_eq!(structure::<Largest>(), "enum Largest: u64 { Largest = 18446744073709551615 }");
    let Largest::Largest = sent(&Largest::Largest);
}

fn is_from_bytes<T: FromBytes>() {}

#[test]
fn an_enum_may_declare_that_all_bytes_are_values() {
    is_from_bytes::<crate::every_byte::Byte>();
}

#[sysvring::message]
#[derive(Debug, PartialEq)]
enum WithoutSome {
    A,
    #[cfg(any())]
    Large = 300,
    #[cfg(any())]
    Text(String),
    B,
    #[cfg(unix)]
    C,
    #[cfg(any())]
    Last = 255,
    D,
}

#[test]
fn absent_variants_are_not_judged() {
    let text = "enum WithoutSome: u8 { A = 0, B = 1, C = 2, D = 3 }";
    assert_eq!(structure::<WithoutSome>(), text);
    assert_eq!(sent(&WithoutSome::D), WithoutSome::D);
}

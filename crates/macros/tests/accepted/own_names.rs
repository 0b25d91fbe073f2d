//! Programs that use the names of the standard library, or of this one, for something else.

mod core {
    pub mod marker {}
}
#[expect(dead_code, reason = "only their names matter")]
mod std_names {
    pub struct Result;
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Structure;
    pub struct Message;
    pub struct Field;
    pub struct Sized;
    pub struct Vec;
    pub const FIELDS: usize = 4;
    #[expect(non_camel_case_types, reason = "the name of the number")]
    pub struct i128;
}
#[allow(unused_imports)]
use std_names::*;

/// Another place of the library.
mod renamed {
    pub use sysvring::*;
}

/// A program's own `Cell` and `Box`.
#[sysvring::message]
#[derive(Clone, Copy)]
struct Cell(u8);

#[sysvring::message]
struct Box {
    cells: [Cell; FIELDS],
}

#[sysvring::message(crate = "crate::own_names::renamed")]
struct Renamed {
    number: u16,
    boxed: Box,
    #[message(opaque)]
    again: [u8; 2],
}

#[sysvring::message(from_bytes, crate = "self::renamed")]
struct Both(u16);

#[sysvring::message]
enum Sign {
    Minus,
    Plus,
}

#[test]
fn the_number_of_a_variant_is_not_mistaken() {
    let text = "enum Sign: u8 { Minus = 0, Plus = 1 }";
    assert_eq!(crate::structure::<Sign>(), text);
    assert!(matches!(crate::sent(&Sign::Plus), Sign::Plus));
    assert!(matches!(crate::sent(&Sign::Minus), Sign::Minus));
}

mod numbers {
    /// A number, of which not every byte is a value.
    #[sysvring::message]
    #[derive(Debug, PartialEq)]
    pub struct U16(pub bool);
}

/// The attribute takes the field for a number of zerocopy, unless the declaration derives `TryFromBytes`.
#[sysvring::message]
#[derive(sysvring::zerocopy::TryFromBytes)]
struct OfNumber {
    number: numbers::U16,
}

#[test]
fn a_number_of_the_program_may_have_fewer_values() {
    let text = "struct OfNumber { number: struct U16 { 0: bool } }";
    assert_eq!(crate::structure::<OfNumber>(), text);
    let number = crate::sent(&OfNumber { number: numbers::U16(true) }).number;
    assert_eq!(number, numbers::U16(true));
}

#[test]
fn names_of_the_program_are_not_mistaken() {
    let text = "struct Renamed { number: u16, boxed: struct Box { cells: [struct Cell { 0: u8 }; 4] }, \
                again: opaque(2) }";
    assert_eq!(crate::structure::<Renamed>(), text);
    assert_eq!(crate::structure::<Both>(), "struct Both { 0: u16 }");
    let boxed = Box { cells: [Cell(1); 4] };
    let both = Both(u16::from(crate::sent(&boxed).cells[3].0));
    assert_eq!(crate::sent(&both).0, 1);
}

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

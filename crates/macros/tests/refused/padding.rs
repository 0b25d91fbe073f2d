//@ derives
//! Padding in structs of one size.

use sysvring::{Options, spsc};

#[sysvring::message]
struct InFront {
    id: u8,
    price: f64, //~ ERROR 7 bytes of padding in front of field `price`: add a field `_pad: [u8; 7]` in front of it, or move fields with a larger alignment to the start
}

#[sysvring::message]
struct AtEnd { //~ ERROR 1 byte of padding at the end of `AtEnd`, behind field `flag`: add a field `_pad: [u8; 1]` there
    number: u16,
    flag: bool,
}

#[sysvring::message]
struct Both { //~ ERROR 6 bytes of padding at the end of `Both`
    a: u8,
    b: u16, //~ ERROR 1 byte of padding in front of field `b`
    c: u64, //~ ERROR 4 bytes of padding in front of field `c`
    d: [u8; 2],
}

#[sysvring::message]
struct Tuple(u8, u16); //~ ERROR 1 byte of padding in front of field `1`: add a field `[u8; 1]` in front of it

#[sysvring::message]
struct Nested {
    first: u32,
    second: Inner, //~ ERROR 4 bytes of padding in front of field `second`
}

#[sysvring::message]
struct Inner(u64);

#[sysvring::message]
#[repr(align(64))]
struct Line { //~ ERROR 56 bytes of padding at the end of `Line`
    value: u64,
}

#[sysvring::message]
#[repr(packed(2))]
struct Packed {
    a: u8,
    b: u64, //~ ERROR 1 byte of padding in front of field `b`
}

#[sysvring::message]
struct Chosen {
    a: u32,
    #[cfg(any())]
    absent: u32,
    c: u64, //~ ERROR 4 bytes of padding in front of field `c`
}

fn main() -> Result<(), sysvring::Error> {
    let mut tx: spsc::Sender<InFront> = Options::private().create()?;
    tx.send(&InFront { id: 1, price: 9.5 })?;
    Ok(())
}

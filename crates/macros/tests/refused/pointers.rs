//! Types that contain pointers. Uses of the declarations cause no further errors.

use std::collections::HashMap;
use std::marker::PhantomData;

use sysvring::{Options, spsc};

#[sysvring::message]
struct Reference {
    id: u64,
    name: &'static str, //~ ERROR a reference is a pointer: other processes cannot follow it; use an array (`[u8; 32]`), or end the struct in a slice (`text: [u8]`)
}

#[sysvring::message]
struct Several {
    text: String, //~ ERROR `String` contains a pointer
    bytes: Vec<u8>, //~ ERROR `Vec` contains a pointer
    boxed: std::boxed::Box<[u8]>, //~ ERROR `Box` contains a pointer
    map: HashMap<u32, u64>, //~ ERROR `HashMap` contains a pointer
    raw: *const u8, //~ ERROR cannot contain a pointer
    function: fn() -> u8, //~ ERROR a function is a pointer
    inside: [Option<&'static u8>; 4], //~ ERROR a reference is a pointer
    fine: PhantomData<String>,
}

#[sysvring::message]
struct Borrowed<'a> { //~ ERROR a lifetime means a reference
    text: &'a [u8],
}

fn main() -> Result<(), sysvring::Error> {
    let mut tx: spsc::Sender<Reference> = Options::private().create()?;
    tx.send(&Reference { id: 1, name: "one" })?;
    let several = Several { text: String::new() };
    println!("{}", several.text);
    Ok(())
}

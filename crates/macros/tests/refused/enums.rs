//! Enums that are no messages.

#[sysvring::message]
enum Event {
    Start,
    Data(u64), //~ ERROR a variant of a message has no fields: use a struct
}

#[sysvring::message]
enum Never {} //~ ERROR an enum without variants has no value

#[sysvring::message]
enum Large {
    Small = 1,
    Large = 300, //~ ERROR variant `Large` is 300, which is no `u8`, which is the representation of an enum by default: write `#[repr(u16)]` below the attribute
}

#[sysvring::message]
enum Negative {
    Less = -1, //~ ERROR variant `Less` is -1, which is no `u8`, which is the representation of an enum by default: write `#[repr(i8)]`
    Equal = 0,
    Greater = 1,
}

#[sysvring::message]
#[repr(i8)]
enum Given {
    Last = 127,
    Next, //~ ERROR variant `Next` is 128, which is no `i8`: write `#[repr(u8)]`
}

#[sysvring::message]
enum Opaque {
    A,
    #[message(opaque)] //~ ERROR a variant has no arguments
    B,
}

#[sysvring::message]
union Either { //~ ERROR a union is no message
    a: u8,
    b: i8,
}

fn main() {}

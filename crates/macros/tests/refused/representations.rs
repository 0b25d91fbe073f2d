//! Representations that do not fix the bytes.

#[sysvring::message]
#[repr(Rust)] //~ ERROR the compiler may order the fields of `repr(Rust)` as it likes: leave the attribute out
struct Free {
    value: u64,
}

#[sysvring::message]
#[repr(u8)] //~ ERROR an integer represents an enum, not a struct
struct Number {
    value: u8,
}

#[sysvring::message]
#[repr(C)] //~ ERROR the C compiler chooses the size of this enum: name an integer, such as `#[repr(u8)]`
enum Foreign {
    A,
}

#[sysvring::message]
#[repr(u128)] //~ ERROR an enum of a message has at most 64 bits
enum Wide {
    A,
}

fn main() {}

//! Names with characters that the text of a structure does not contain, such as combining marks.

#[sysvring::message]
struct Sandesh {
    पत्र: u64, //~ ERROR `पत्र` has a character that is neither a letter nor a digit, U+094D: rename it
}

#[sysvring::message]
struct A·B(u64); //~ ERROR `A·B` has a character that is neither a letter nor a digit, U+00B7

#[sysvring::message]
enum Side {
    Buy,
    S‿ll, //~ ERROR `S‿ll` has a character that is neither a letter nor a digit, U+203F
}

fn main() {}

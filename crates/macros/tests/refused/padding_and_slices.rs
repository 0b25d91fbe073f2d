//@ derives
//! Padding in structs that end in a slice, and in generic ones.

#[sysvring::message]
struct Line {
    number: u64, //~ ERROR padding behind the slice, because field `number` is aligned to 8 bytes and elements of the slice have 1 byte: use a number of `sysvring::zerocopy::native_endian`, such as `U64` for `u64`
    text: [u8],
}

#[sysvring::message]
struct Words {
    flag: bool,
    words: [u32], //~ ERROR 3 bytes of padding in front of field `words`
}

#[sysvring::message]
struct Bytes([u8]);

#[sysvring::message]
struct Outer {
    id: u8,
    bytes: Bytes, //~ ERROR field `bytes` is a struct that ends in a slice: put its fields here in its place
}

#[sysvring::message]
struct Generic<const N: usize> {
    id: u32, //~ ERROR field `id` is aligned to 4 bytes, so a generic struct may have padding behind it: use a number of `sysvring::zerocopy::native_endian`
    bytes: [u8; N],
}

fn main() {}

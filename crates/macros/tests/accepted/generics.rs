//! Generic messages.

use std::fmt::Debug;
use std::marker::PhantomData;

use sysvring::zerocopy::Unaligned;
use sysvring::zerocopy::native_endian::U32;

use crate::{sent, structure};

#[sysvring::message]
#[derive(Debug, PartialEq)]
struct Bytes<const N: usize> {
    len: U32,
    bytes: [u8; N],
}

// With an alignment of 1, if that of its field is 1, it may be one of several fields.
#[sysvring::message]
#[derive(Debug, PartialEq, Unaligned)]
struct One<T>(T);

#[sysvring::message]
#[derive(Debug, PartialEq)]
struct Several<T: Copy, U, const N: usize = 2>
where
    U: Debug,
{
    pairs: [T; N],
    one: One<U>,
    mark: PhantomData<fn(T) -> U>,
}

#[sysvring::message]
struct Slice<T> {
    id: u8,
    rest: [T],
}

#[sysvring::message]
struct Opaque<T> {
    #[message(opaque)]
    value: T,
}

#[sysvring::message]
struct Mark<T: ?Sized> {
    id: u8,
    #[message(opaque)]
    mark: PhantomData<T>,
}

#[test]
fn an_opaque_field_may_have_a_size_with_any_argument() {
    assert_eq!(structure::<Mark<str>>(), "struct Mark { id: u8, mark: opaque(0) }");
    assert_eq!(sent(&Mark::<str> { id: 1, mark: PhantomData }).id, 1);
}

#[test]
fn a_generic_type_is_a_message_for_each_argument() {
    assert_eq!(structure::<Bytes<3>>(), "struct Bytes { len: u32le, bytes: [u8; 3] }");
    assert_eq!(structure::<One<u64>>(), "struct One { 0: u64 }");
    assert_eq!(
        structure::<Several<u8, bool>>(),
        "struct Several { pairs: [u8; 2], one: struct One { 0: bool }, mark: opaque(0) }"
    );
    assert_eq!(structure::<Slice<u8>>(), "struct Slice { id: u8, rest: [u8] }");
    assert_eq!(structure::<Opaque<u16>>(), "struct Opaque { value: opaque(2) }");
    assert_eq!(sent(&One(5u64)), One(5));
    let bytes = Bytes { len: U32::new(1), bytes: [1, 2, 3] };
    assert_eq!(sent(&bytes), bytes);
    let several = Several::<u8, bool> { pairs: [1, 2], one: One(true), mark: PhantomData };
    assert_eq!(sent(&several), several);
}

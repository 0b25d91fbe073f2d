//! The types of other crates that are messages.

use core::marker::PhantomData;
use core::num::{self, Wrapping};

use zerocopy::byteorder::{self, BigEndian, LittleEndian};

use super::Message;
use crate::structure::Structure;
use crate::structure::number::{ByteOrder, Number, NumberType};

macro_rules! numbers {
    ($($number:ident: $($type:ty),+;)*) => {$($(
        impl Message for $type {
            fn structure() -> Structure {
                Structure::Number(NumberType::native(Number::$number))
            }
        }
    )+)*};
}

// That a number is not zero is validated, and is not part of the structure.
numbers! {
    U8: u8, num::NonZeroU8, Option<num::NonZeroU8>;
    U16: u16, num::NonZeroU16, Option<num::NonZeroU16>;
    U32: u32, num::NonZeroU32, Option<num::NonZeroU32>;
    U64: u64, num::NonZeroU64, Option<num::NonZeroU64>;
    U128: u128, num::NonZeroU128, Option<num::NonZeroU128>;
    Usize: usize, num::NonZeroUsize, Option<num::NonZeroUsize>;
    I8: i8, num::NonZeroI8, Option<num::NonZeroI8>;
    I16: i16, num::NonZeroI16, Option<num::NonZeroI16>;
    I32: i32, num::NonZeroI32, Option<num::NonZeroI32>;
    I64: i64, num::NonZeroI64, Option<num::NonZeroI64>;
    I128: i128, num::NonZeroI128, Option<num::NonZeroI128>;
    Isize: isize, num::NonZeroIsize, Option<num::NonZeroIsize>;
    F32: f32;
    F64: f64;
    Bool: bool;
    Char: char;
}

macro_rules! ordered_numbers {
    ($($type:ident)*) => {$(
        impl Message for byteorder::$type<LittleEndian> {
            fn structure() -> Structure {
                Structure::Number(NumberType { number: Number::$type, order: ByteOrder::Little })
            }
        }

        impl Message for byteorder::$type<BigEndian> {
            fn structure() -> Structure {
                Structure::Number(NumberType { number: Number::$type, order: ByteOrder::Big })
            }
        }
    )*};
}

ordered_numbers! { U16 U32 U64 U128 Usize I16 I32 I64 I128 Isize F32 F64 }

impl Message for str {
    fn structure() -> Structure {
        Structure::Str
    }
}

impl<T: Message> Message for [T] {
    fn structure() -> Structure {
        match size_of::<T>() {
            0 => Structure::Opaque { size: None },
            _ => Structure::Slice { element: Box::new(T::structure()) },
        }
    }
}

impl<T: Message, const N: usize> Message for [T; N] {
    fn structure() -> Structure {
        match size_of::<T>() {
            0 => Structure::opaque::<Self>(),
            _ => Structure::Array { element: Box::new(T::structure()), len: N },
        }
    }
}

impl<T: Message> Message for Wrapping<T> {
    fn structure() -> Structure {
        T::structure()
    }
}

impl Message for () {}

impl<T: ?Sized> Message for PhantomData<T> {}

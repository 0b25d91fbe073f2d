//! Types of fields of which every bit pattern is obviously a value.

use syn::Type;

/// The primitive numbers.
pub const PRIMITIVE: [&str; 14] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// The numbers of zerocopy with a byte order.
const ORDERED: [&str; 12] =
    ["U16", "U32", "U64", "U128", "Usize", "I16", "I32", "I64", "I128", "Isize", "F32", "F64"];

/// Returns whether the type is obviously one of which every bit pattern is a value: an integer, a float,
/// one of those of zerocopy with a byte order, or arrays or slices of them.
pub fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Array(array) => is_plain(&array.elem),
        Type::Slice(slice) => is_plain(&slice.elem),
        // A type that came through a macro.
        Type::Group(inner) => is_plain(&inner.elem),
        Type::Paren(inner) => is_plain(&inner.elem),
        Type::Path(path) if path.qself.is_none() => {
            let is_ordered = path.path.segments.last().is_some_and(|last| {
                last.arguments.is_none() && ORDERED.iter().any(|name| last.ident == name)
            });
            is_ordered || PRIMITIVE.iter().any(|name| path.path.is_ident(name))
        }
        _ => false,
    }
}

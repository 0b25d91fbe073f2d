//! The types of fields: which cannot travel, and which have no invalid bytes.

use syn::spanned::Spanned;
use syn::{Error, Field, GenericArgument, PathArguments, Type};

/// Returns the error of a field whose type obviously contains a pointer.
pub fn check(field: &Field) -> syn::Result<()> {
    match pointer(&field.ty) {
        None => Ok(()),
        Some((ty, what)) => Err(Error::new(
            ty.span(),
            format!(
                "{what}: other processes cannot follow it; use an array (`[u8; 32]`), end the struct in a \
                 slice (`[u8]`), or send the type with serde (feature `postcard` of sysvring)"
            ),
        )),
    }
}

/// Returns the part of a type that is or has a pointer, and how it is called.
fn pointer(ty: &Type) -> Option<(&Type, String)> {
    match ty {
        Type::Reference(_) => Some((ty, "a reference is a pointer".into())),
        Type::Ptr(_) => Some((ty, "a message cannot contain a pointer".into())),
        Type::BareFn(_) => Some((ty, "a function is a pointer".into())),
        Type::TraitObject(_) => Some((ty, "a trait object has a pointer".into())),
        Type::Array(array) => pointer(&array.elem),
        Type::Slice(slice) => pointer(&slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(pointer),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let name = last.ident.to_string();
            const OWNERS: [&str; 16] = [
                "String", "Vec", "Box", "Rc", "Arc", "Cow", "HashMap", "BTreeMap", "HashSet",
                "BTreeSet", "VecDeque", "PathBuf", "OsString", "CString", "NonNull", "Cell",
            ];
            if OWNERS.contains(&name.as_str()) {
                return Some((ty, format!("`{name}` contains a pointer")));
            }
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => pointer(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Returns whether the type is obviously one of which every bit pattern is a value: an integer, a float,
/// one of those of zerocopy with a byte order, or arrays or slices of them.
pub fn has_no_invalid_bytes(ty: &Type) -> bool {
    const PRIMITIVE: [&str; 14] = [
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64",
    ];
    const ORDERED: [&str; 12] =
        ["U16", "U32", "U64", "U128", "Usize", "I16", "I32", "I64", "I128", "Isize", "F32", "F64"];
    match ty {
        Type::Array(array) => has_no_invalid_bytes(&array.elem),
        Type::Slice(slice) => has_no_invalid_bytes(&slice.elem),
        Type::Path(path) if path.qself.is_none() => {
            let is_any = |names: &[&str]| {
                path.path.segments.last().is_some_and(|last| {
                    last.arguments.is_none() && names.iter().any(|name| last.ident == name)
                })
            };
            (path.path.get_ident().is_some() && is_any(&PRIMITIVE)) || is_any(&ORDERED)
        }
        _ => false,
    }
}

//! What a serde type says about itself without a value: its name, and those of its fields or variants.
//!
//! A derived `Deserialize` begins with a call that names them. [`Names`] is a deserialiser that keeps what
//! the first call says, and returns an error.

use core::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Visitor};

use crate::structure::{Field, Structure};

/// How many containers are looked into, such as the `Option` and the `Vec` of an `Option<Vec<T>>`.
const DEPTH_MAX: u8 = 8;

/// Returns what `T` says about itself, as a struct of fields that have no bytes.
pub(super) fn describe<T: DeserializeOwned>() -> Structure {
    let mut names = Names { found: None, depth: 0 };
    // It has returned an error by then, except for types that ask for nothing.
    let _ = T::deserialize(&mut names);
    names.found.unwrap_or_else(|| named("unnamed", &[]))
}

/// Returns a struct of this name, with fields without bytes.
fn named(name: &str, fields: &[&str]) -> Structure {
    let field = |name: &&str| Field {
        name: identifier(name),
        structure: Structure::Opaque { size: Some(0) },
    };
    Structure::Struct { name: identifier(name), fields: fields.iter().map(field).collect() }
}

/// Replaces what cannot be in the text of a structure: a name of serde can be any text.
fn identifier(name: &str) -> String {
    match name {
        "" => "_".into(),
        name => name.replace(|c: char| !c.is_alphanumeric() && c != '_', "_"),
    }
}

struct Names {
    found: Option<Structure>,
    depth: u8,
}

/// The error that ends the deserialisation, once the names are known.
#[derive(Debug)]
struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the names are known; nothing is to be done")
    }
}

impl std::error::Error for Known {}

impl de::Error for Known {
    fn custom<T: fmt::Display>(_: T) -> Known {
        Known
    }
}

impl Names {
    fn found<V>(&mut self, name: &str, fields: &[&str]) -> Result<V, Known> {
        self.found = Some(named(name, fields));
        Err(Known)
    }

    /// Looks into a container.
    fn inside<V>(
        &mut self,
        name: &str,
        look: impl FnOnce(&mut Names) -> Result<V, Known>,
    ) -> Result<V, Known> {
        let mut inner = Names { found: None, depth: self.depth + 1 };
        if inner.depth <= DEPTH_MAX {
            let _ = look(&mut inner);
        }
        let fields = inner.found.map(|structure| Field { name: "value".into(), structure });
        let fields = fields.into_iter().collect();
        self.found = Some(Structure::Struct { name: name.into(), fields });
        Err(Known)
    }
}

/// Defines the calls that only say which type of serde's data model is next.
macro_rules! plain {
    ($($call:ident: $name:literal,)*) => {$(
        fn $call<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Known> {
            self.found($name, &[])
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Names {
    type Error = Known;

    plain! {
        deserialize_any: "any", deserialize_ignored_any: "any", deserialize_identifier: "str",
        deserialize_bool: "bool", deserialize_char: "char",
        deserialize_u8: "u8", deserialize_u16: "u16", deserialize_u32: "u32",
        deserialize_u64: "u64", deserialize_u128: "u128",
        deserialize_i8: "i8", deserialize_i16: "i16", deserialize_i32: "i32",
        deserialize_i64: "i64", deserialize_i128: "i128",
        deserialize_f32: "f32", deserialize_f64: "f64",
        deserialize_str: "str", deserialize_string: "str",
        deserialize_bytes: "bytes", deserialize_byte_buf: "bytes",
        deserialize_unit: "unit", deserialize_map: "map",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Known> {
        self.inside("option", |inner| visitor.visit_some(inner))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Known> {
        self.inside("seq", |inner| visitor.visit_seq(Elements(Some(inner))))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, _: V) -> Result<V::Value, Known> {
        self.found(&format!("tuple{len}"), &[])
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: V,
    ) -> Result<V::Value, Known> {
        self.found(name, &[])
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: V,
    ) -> Result<V::Value, Known> {
        self.found(name, &[])
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        _: V,
    ) -> Result<V::Value, Known> {
        self.found(&format!("{name}{len}"), &[])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Known> {
        self.found(name, fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Known> {
        self.found(name, variants)
    }

    fn is_human_readable(&self) -> bool {
        false // as in the format of postcard
    }
}

/// The elements of a sequence: one, whose type is of interest. A visitor that goes on after an error gets no
/// other.
struct Elements<'a>(Option<&'a mut Names>);

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Known;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Known> {
        self.0.take().map(|names| seed.deserialize(names)).transpose()
    }
}

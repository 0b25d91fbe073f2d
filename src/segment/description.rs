//! The structure of a message type as text behind the tables of the header: how it is stored, and how it is
//! read, from a segment in which other processes may write.

use core::ptr::NonNull;

use crate::flavor::Flavor;
use crate::layout::{self, STRUCTURE_MAX};
use crate::message::MessageLayout;
use crate::ring::geometry::Geometry;
use crate::structure::Structure;
use crate::sync::plain::AtomicU64;
use crate::sysv::shm::Mapping;

/// The structure of a message type and its text; empty for a type that does not describe itself.
#[derive(Debug, Default)]
pub(crate) struct Description {
    pub(crate) structure: Option<Structure>,
    text: String,
}

impl Description {
    /// Returns the description of a message type, if it can be stored; otherwise the reason why it cannot.
    /// What is stored can be read: types may describe themselves by any [`Structure`].
    pub(crate) fn of(
        structure: Option<&Structure>,
        layout: MessageLayout,
    ) -> Result<Description, String> {
        let Some(structure) = structure.filter(|structure| structure.is_described()) else {
            return Ok(Description::default());
        };
        if !fits(structure, layout) {
            return Err(format!(
                "its structure has {}, and the type has {layout}; Message::structure must describe \
                 every byte",
                structure.size().map_or("no fixed size".into(), |size| format!("{size} bytes"))
            ));
        }
        let text = structure.to_string();
        if text.len() > STRUCTURE_MAX {
            return Err(format!(
                "the text of its structure has {} bytes; it must be at most {STRUCTURE_MAX}: let a part \
                 of it be opaque",
                text.len()
            ));
        }
        match text.parse::<Structure>() {
            Ok(parsed) if parsed == *structure => {}
            Ok(_) => {
                return Err(
                    "its structure reads as another one from its text; names must consist of \
                            letters, digits and underscores"
                        .into(),
                );
            }
            Err(error) => {
                return Err(format!(
                    "its structure cannot be read from its text: {error}; names must consist of letters, \
                     digits and underscores"
                ));
            }
        }
        Ok(Description { structure: Some(structure.clone()), text })
    }

    /// Returns the length of the text in bytes; 0 for a type that does not describe itself.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Stores the text.
    pub(super) fn store(&self, words: &[AtomicU64]) {
        layout::store_text(words, &self.text);
    }
}

/// Returns the words of the text of the structure.
///
/// # Safety
/// The segment is as large as the geometry of its channel, of this flavor, states.
pub(super) unsafe fn words<'a>(
    mapping: &'a Mapping,
    flavor: Flavor,
    geometry: &Geometry,
) -> &'a [AtomicU64] {
    let at = layout::structure_at(flavor, geometry.seats);
    // SAFETY: the header has room for the text, rounded up to whole words as its size is; words that are
    // all atomics, which the mapping keeps attached.
    unsafe {
        let first: NonNull<AtomicU64> = mapping.base().add(at).cast();
        core::slice::from_raw_parts(first.as_ptr(), geometry.structure_len.div_ceil(8))
    }
}

/// Returns the structure that the text in these words is of, or what is wrong with it.
pub(super) fn load(
    words: &[AtomicU64],
    geometry: &Geometry,
) -> Result<Option<Structure>, &'static str> {
    if geometry.structure_len == 0 {
        return Ok(None);
    }
    // A private copy: other processes may write there meanwhile.
    let bytes = layout::load_bytes(words, geometry.structure_len as u32);
    let text = String::from_utf8(bytes).map_err(|_| "the text of the structure is not UTF-8")?;
    let structure: Structure =
        text.parse().map_err(|_| "the text of the structure is not that of a structure")?;
    match structure.is_described() && fits(&structure, geometry.shape) {
        true => Ok(Some(structure)),
        false => Err("the structure does not fit the message layout"),
    }
}

/// Returns whether messages of this structure have the length that the layout states.
fn fits(structure: &Structure, layout: MessageLayout) -> bool {
    structure.size() == (!layout.variable).then_some(layout.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::number::{Number, NumberType};
    use crate::structure::{Field, Variant};

    const LAYOUT: MessageLayout = MessageLayout { variable: false, size: 8, element: 0, align: 8 };

    fn number(number: Number) -> Structure {
        Structure::Number(NumberType::native(number))
    }

    fn named(name: &str, structure: Structure) -> Structure {
        Structure::of_struct(name, [("value", structure)])
    }

    /// Returns the reason why a structure of eight bytes cannot be stored.
    fn reason(structure: &Structure) -> String {
        Description::of(Some(structure), LAYOUT).expect_err("refused")
    }

    /// Stores a description, and returns what is read of it.
    fn stored(description: &Description, layout: MessageLayout) -> Option<Structure> {
        let len = description.len();
        let words: Vec<AtomicU64> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(!0)).collect();
        description.store(&words);
        let slot_size = if layout.variable { 64 } else { layout.size };
        let geometry = Geometry::new(Flavor::Spsc, layout, 2, 4, slot_size, len);
        load(&words, &geometry.expect("a geometry")).expect("what was stored")
    }

    #[test]
    fn what_is_stored_is_read() {
        let variable = MessageLayout { variable: true, size: 0, element: 1, align: 1 };
        for (structure, layout) in [
            (number(Number::U64), LAYOUT),
            (named("Tick", number(Number::F64)), LAYOUT),
            (named("Größe", number(Number::F64)), LAYOUT),
            (Structure::Str, variable),
            (named("Line", Structure::Str), variable),
        ] {
            let description = Description::of(Some(&structure), layout).expect("a description");
            assert_eq!(description.len(), structure.to_string().len());
            assert_eq!(stored(&description, layout), Some(structure));
        }
        let opaque = [Structure::opaque::<u64>(), Structure::opaque::<u8>()];
        for undescribed in [None, Some(&opaque[0]), Some(&opaque[1])] {
            let description = Description::of(undescribed, LAYOUT).expect("a description");
            assert_eq!((description.len(), stored(&description, LAYOUT)), (0, None));
        }
    }

    #[test]
    fn the_longest_text() {
        let of_len = |len: usize| {
            let rest = named("", number(Number::U64)).to_string().len();
            named(&"a".repeat(len - rest), number(Number::U64))
        };
        let longest = of_len(STRUCTURE_MAX);
        let description = Description::of(Some(&longest), LAYOUT).expect("a description");
        assert_eq!(description.len(), STRUCTURE_MAX);
        assert_eq!(stored(&description, LAYOUT), Some(longest));
        let reason = reason(&of_len(STRUCTURE_MAX + 1));
        assert!(reason.contains("65537 bytes") && reason.contains("at most 65536"), "{reason}");
    }

    /// A type can describe itself as it likes.
    #[test]
    fn what_could_not_be_read_is_not_stored() {
        assert!(reason(&number(Number::U32)).contains("has 4 bytes, and the type has 8 bytes"));
        assert!(reason(&Structure::Str).contains("has no fixed size, and the type has 8 bytes"));
        for name in ["", "a b", "a\x1b", "a:", "r#a", "a\u{202e}"] {
            assert!(reason(&named(name, number(Number::U64))).contains("its text"), "{name:?}");
        }
        let deep = (0..64).fold(number(Number::U64), |inner, _| named("Deep", inner));
        assert!(reason(&deep).contains("less depth"));
        let variants = vec![Variant { name: "A".into(), value: i128::MAX }];
        let order = NumberType::native(Number::U64);
        let wide = Structure::Enum { name: "Wide".into(), number: order, variants };
        assert!(reason(&wide).contains("value of a variant"));
        // The text of this one reads as a struct with two fields.
        let field = Field { name: "a: u32, b".into(), structure: number(Number::U64) };
        let odd = Structure::Struct { name: "Odd".into(), fields: vec![field] };
        assert!(reason(&odd).contains("another one"));
    }

    #[test]
    fn a_text_of_no_structure_is_refused() {
        for (text, expected) in [
            (&b"u6"[..], "is not that of a structure"),
            (b"u64\0", "is not that of a structure"),
            (b"u\xff4", "is not UTF-8"),
            (b"u32", "does not fit"),
            (b"[u8]", "does not fit"),
            (b"opaque(8)", "does not fit"),
        ] {
            let mut padded = text.to_vec();
            padded.resize(text.len().next_multiple_of(8), 0);
            let words: Vec<AtomicU64> = padded
                .chunks(8)
                .map(|bytes| AtomicU64::new(u64::from_le_bytes(bytes.try_into().expect("8 bytes"))))
                .collect();
            let geometry = Geometry::new(Flavor::Spsc, LAYOUT, 2, 4, 8, text.len());
            let error = load(&words, &geometry.expect("a geometry")).expect_err("refused");
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}

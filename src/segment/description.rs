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

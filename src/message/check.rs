//! What `#[sysvring::message]` lets the compiler compute: whether each field is a message, and whether there
//! is padding.
//!
//! The code that the attribute writes calls this, and only that code: it may change in any version. The
//! computation follows the rules of `#[repr(C)]`, which fix the place of each field.

use core::marker::PhantomData;

use super::Message;

/// A constant whose type exists for messages only.
#[derive(Debug)]
pub struct IsMessage<T: Message + ?Sized>(PhantomData<T>);

impl<T: Message + ?Sized> IsMessage<T> {
    /// The value of the constant.
    pub const YES: IsMessage<T> = IsMessage(PhantomData);
}

/// The place of questions about a type, with answers for sized types, slices, and, by [`Unsized`], others.
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<T>);

/// The room that a field takes.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// The size and the alignment of a value.
    Value(usize, usize),
    /// The size and the alignment of each element of a slice.
    Slice(usize, usize),
    /// A struct that ends in a slice itself.
    Unknown,
}

impl Extent {
    /// Returns 0, if a field of a generic struct has the alignment 1; otherwise the compiler reports the text
    /// of the panic.
    #[expect(clippy::panic, reason = "the compiler evaluates it, and no program runs it")]
    #[track_caller]
    pub const fn alignment_of(&self, field: &str) -> usize {
        if let Extent::Value(_, align) | Extent::Slice(_, align) = self
            && *align > 1
        {
            panic!("{}", Text::of_generic(field, *align).as_str());
        }
        0
    }
}

impl<T> Probe<T> {
    /// The room that a value takes.
    pub const EXTENT: Extent = Extent::Value(size_of::<T>(), align_of::<T>());
    /// The size of a value.
    pub const SIZE: Option<usize> = Some(size_of::<T>());
}

impl<T> Probe<[T]> {
    /// The room that each element takes.
    pub const EXTENT: Extent = Extent::Slice(size_of::<T>(), align_of::<T>());
}

impl Probe<str> {
    /// The room that each byte takes.
    pub const EXTENT: Extent = Extent::Slice(1, 1);
}

/// The answers for types to which no other applies.
pub trait Unsized {
    /// The room is not known.
    const EXTENT: Extent = Extent::Unknown;
    /// No value has the size of all.
    const SIZE: Option<usize> = None;
}

impl<T: ?Sized> Unsized for Probe<T> {}

/// The fields of a struct, in order.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// The name of each field, and the room that it takes.
    pub fields: &'static [(&'static str, Extent)],
    /// The alignment that no field exceeds, by `repr(packed)`.
    pub packed: usize,
    /// The minimum alignment of the struct, by `repr(align)`.
    pub align: usize,
}

impl Fields {
    /// Returns 0, if there is no padding in front of this field and none that depends on it; otherwise the
    /// compiler reports the text of the panic.
    #[expect(clippy::panic, reason = "the compiler evaluates it, and no program runs it")]
    #[track_caller]
    pub const fn padding_at(&self, name: &str) -> usize {
        let (mut end, mut n) = (0usize, 0);
        while n < self.fields.len() {
            let (field, extent) = self.fields[n];
            let (size, align) = match extent {
                Extent::Value(size, align) | Extent::Slice(size, align) => {
                    (size, self.lower(align))
                }
                Extent::Unknown if equal(field, name) && self.packed == usize::MAX => {
                    panic!("{}", Text::of_nested(field).as_str())
                }
                Extent::Unknown => return 0,
            };
            let padding = end.next_multiple_of(align) - end;
            if equal(field, name) {
                if padding != 0 {
                    panic!("{}", Text::in_front(field, padding).as_str());
                }
                if let Some(elements) = self.elements()
                    && elements % align != 0
                {
                    panic!("{}", Text::of_alignment(field, align, elements).as_str());
                }
                return 0;
            }
            // After an overflow, the compiler reports the size of the struct.
            end = end.saturating_add(padding).saturating_add(size);
            n += 1;
        }
        0
    }

    /// Returns 0, if there is no padding behind the last field; otherwise the compiler reports the text of
    /// the panic.
    #[expect(clippy::panic, reason = "the compiler evaluates it, and no program runs it")]
    #[track_caller]
    pub const fn padding_at_end(&self, name: &str) -> usize {
        let (mut end, mut max, mut n) = (0usize, self.align, 0);
        let mut last = "";
        while n < self.fields.len() {
            let (field, Extent::Value(size, align)) = self.fields[n] else { return 0 };
            let align = self.lower(align);
            let start = end.next_multiple_of(align);
            end = start.saturating_add(size);
            max = if align > max { align } else { max };
            last = field;
            n += 1;
        }
        let padding = end.next_multiple_of(max) - end;
        if padding != 0 {
            panic!("{}", Text::at_end(name, last, padding).as_str());
        }
        0
    }

    /// Returns the size of an element of the slice at the end.
    const fn elements(&self) -> Option<usize> {
        match self.fields.last() {
            Some((_, Extent::Slice(size, _))) => Some(*size),
            _ => None,
        }
    }

    const fn lower(&self, align: usize) -> usize {
        if align < self.packed { align } else { self.packed }
    }
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut n = 0;
    while n < a.len() && n < b.len() && a[n] == b[n] {
        n += 1;
    }
    n == a.len() && n == b.len()
}

/// What to use instead of a number that is aligned.
const UNALIGNED: &str = "use a number of `sysvring::zerocopy::native_endian`, such as `U64` for `u64`, which is \
                         aligned to 1 byte";

/// The text of an error, at most so long.
struct Text {
    bytes: [u8; 512],
    len: usize,
}

impl Text {
    const fn new() -> Text {
        Text { bytes: [0; 512], len: 0 }
    }

    const fn in_front(field: &str, padding: usize) -> Text {
        Text::new()
            .count(padding, " byte")
            .push(" of padding in front of field `")
            .push(field)
            .push("`: add a field ")
            .filler(field, padding)
            .push(" in front of it, or move fields with a larger alignment to the start of the struct")
    }

    const fn at_end(name: &str, last: &str, padding: usize) -> Text {
        Text::new()
            .count(padding, " byte")
            .push(" of padding at the end of `")
            .push(name)
            .push("`, behind field `")
            .push(last)
            .push("`: add a field ")
            .filler(last, padding)
            .push(" there")
    }

    const fn of_nested(field: &str) -> Text {
        Text::new()
            .push("field `")
            .push(field)
            .push("` is a struct that ends in a slice: put its fields here in its place, because only the \
                   message itself can end in a slice")
    }

    const fn of_generic(field: &str, align: usize) -> Text {
        Text::new()
            .push("field `")
            .push(field)
            .push("` is aligned to ")
            .count(align, " byte")
            .push(", so a generic struct may have padding behind it: ")
            .push(UNALIGNED)
    }

    const fn of_alignment(field: &str, align: usize, elements: usize) -> Text {
        Text::new()
            .push("padding behind the slice, because field `")
            .push(field)
            .push("` is aligned to ")
            .count(align, " byte")
            .push(" and elements of the slice have ")
            .count(elements, " byte")
            .push(": ")
            .push(UNALIGNED)
    }

    /// Adds the declaration of a field that fills the padding, beside one of this name.
    const fn filler(self, beside: &str, padding: usize) -> Text {
        let is_tuple = !beside.is_empty() && beside.as_bytes()[0].is_ascii_digit();
        let text = if is_tuple { self.push("`[u8; ") } else { self.push("`_pad: [u8; ") };
        text.number(padding).push("]`")
    }

    /// Adds a number and its unit.
    const fn count(self, number: usize, unit: &str) -> Text {
        let text = self.number(number).push(unit);
        if number == 1 { text } else { text.push("s") }
    }

    const fn number(mut self, number: usize) -> Text {
        if number >= 10 {
            self = self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8)
    }

    const fn push(mut self, text: &str) -> Text {
        let text = text.as_bytes();
        let mut n = 0;
        while n < text.len() {
            self = self.byte(text[n]);
            n += 1;
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Text {
        if self.len < self.bytes.len() {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        self
    }

    const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "padding",
        }
    }
}

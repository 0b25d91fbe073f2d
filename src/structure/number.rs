//! The numbers that messages have.

use core::fmt;

/// The primitive type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the primitive type of its name")]
pub enum Number {
    U8,
    U16,
    U32,
    U64,
    U128,
    Usize,
    I8,
    I16,
    I32,
    I64,
    I128,
    Isize,
    F32,
    F64,
    Bool,
    Char,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// That of a primitive type, which is aligned.
    Native,
    /// Little-endian, as the types of `zerocopy::little_endian` and `native_endian` are, with an alignment
    /// of 1.
    Little,
    /// Big-endian, as the types of `zerocopy::big_endian` are, with an alignment of 1.
    Big,
}

/// The type of a number: a primitive type and the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberType {
    /// The primitive type.
    pub number: Number,
    /// The order of the bytes.
    pub order: ByteOrder,
}

impl Number {
    const ALL: [(&'static str, Number, usize); 16] = [
        ("u8", Number::U8, 1),
        ("u16", Number::U16, 2),
        ("u32", Number::U32, 4),
        ("u64", Number::U64, 8),
        ("u128", Number::U128, 16),
        ("usize", Number::Usize, 8),
        ("i8", Number::I8, 1),
        ("i16", Number::I16, 2),
        ("i32", Number::I32, 4),
        ("i64", Number::I64, 8),
        ("i128", Number::I128, 16),
        ("isize", Number::Isize, 8),
        ("f32", Number::F32, 4),
        ("f64", Number::F64, 8),
        ("bool", Number::Bool, 1),
        ("char", Number::Char, 4),
    ];

    fn row(self) -> (&'static str, usize) {
        let [(first, _, first_size), ..] = Number::ALL;
        let found = Number::ALL.iter().find(|(_, number, _)| *number == self);
        found.map_or((first, first_size), |(name, _, size)| (name, *size))
    }
}

impl NumberType {
    /// Returns the type of a primitive number.
    pub const fn native(number: Number) -> NumberType {
        NumberType { number, order: ByteOrder::Native }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.number.row().1
    }

    /// Returns the type that this word names.
    pub(super) fn from_word(word: &str) -> Option<NumberType> {
        let named = |word: &str| {
            let (_, number, size) = Number::ALL.into_iter().find(|(name, ..)| *name == word)?;
            Some((number, size))
        };
        let (word, order) = match (word.strip_suffix("le"), word.strip_suffix("be")) {
            (Some(word), _) => (word, ByteOrder::Little),
            (_, Some(word)) => (word, ByteOrder::Big),
            _ => (word, ByteOrder::Native),
        };
        let (number, size) = named(word)?;
        let is_ordered = size > 1 && number != Number::Char;
        (order == ByteOrder::Native || is_ordered).then_some(NumberType { number, order })
    }
}

impl fmt::Display for NumberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            ByteOrder::Native => "",
            ByteOrder::Little => "le",
            ByteOrder::Big => "be",
        };
        write!(f, "{}{order}", self.number.row().0)
    }
}

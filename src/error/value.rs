//! Why a value is no message, or a message no value.

use core::fmt;

/// The reason why the bytes of a message are no value of a serde type, and the byte where that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// The number of bytes that were read before, which is the offset of the next one.
    pub offset: usize,
    /// The reason.
    pub reason: ValueFailure,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, {}", self.offset, self.reason)
    }
}

impl std::error::Error for ValueError {}

/// The reason why a value cannot be serialised, or bytes cannot be deserialised (feature `postcard`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueFailure {
    /// The type's own implementation of `Serialize` or `Deserialize` returned an error, such as for an
    /// unknown variant of an enum. The format keeps no text of it.
    Refused,
    /// A sequence or map does not know its length before it is serialised. `serde(flatten)` makes such
    /// maps.
    UnknownLength,
    /// The type needs a format that describes itself, as untagged and internally tagged enums do.
    Unsupported,
    /// The bytes end before the value does.
    UnexpectedEnd,
    /// The value ends before the bytes do.
    TrailingBytes,
    /// A number has more bits than its type.
    InvalidNumber,
    /// A `bool` is neither 0 nor 1.
    InvalidBool,
    /// A `char` is none.
    InvalidChar,
    /// A text is not UTF-8.
    InvalidUtf8,
    /// An `Option` is neither 0 nor 1.
    InvalidOption,
    /// The number of a variant has more than 32 bits.
    InvalidVariant,
    /// Something else is wrong with the bytes.
    InvalidEncoding,
}

impl fmt::Display for ValueFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            ValueFailure::Refused => {
                return f.write_str(
                    "the type's own implementation of serde's traits returned an error, as for an \
                     unknown variant; check the value, and that both programs have the same type",
                );
            }
            ValueFailure::UnknownLength => {
                return f.write_str(
                    "a sequence or map does not know its length; collect it first, and do without \
                     serde(flatten)",
                );
            }
            ValueFailure::Unsupported => {
                return f.write_str(
                    "the type needs a format that describes itself; do without untagged and \
                     internally tagged enums",
                );
            }
            ValueFailure::UnexpectedEnd => "the bytes end before the value does",
            ValueFailure::TrailingBytes => "the value ends before the bytes do",
            ValueFailure::InvalidNumber => "a number is too large for its type",
            ValueFailure::InvalidBool => "a bool is neither 0 nor 1",
            ValueFailure::InvalidChar => "a char is none",
            ValueFailure::InvalidUtf8 => "a text is not UTF-8",
            ValueFailure::InvalidOption => "an Option is neither 0 nor 1",
            ValueFailure::InvalidVariant => "the number of a variant is too large",
            ValueFailure::InvalidEncoding => "the bytes are not well encoded",
        };
        write!(f, "{what}; build both programs with the same declaration of the type")
    }
}

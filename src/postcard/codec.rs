//! Values to bytes and back, in the format of postcard.

use ::postcard::{Deserializer, ser_flavors, serialize_with_flavor};
use serde::{Deserialize, Serialize};

use crate::error::{SendError, ValueError, ValueFailure};

/// Where a value is serialised to: a slot, and the number of bytes that the value needs, which goes on
/// where the slot ends. So a value is serialised once, whether it fits or not.
struct SlotWriter<'a> {
    slot: &'a mut [u8],
    len: usize,
}

impl ser_flavors::Flavor for SlotWriter<'_> {
    /// The number of bytes that the value needs.
    type Output = usize;

    #[inline]
    fn try_push(&mut self, byte: u8) -> ::postcard::Result<()> {
        if let Some(to) = self.slot.get_mut(self.len) {
            *to = byte;
        }
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> ::postcard::Result<()> {
        let end = self.len.saturating_add(bytes.len());
        if let Some(to) = self.slot.get_mut(self.len..end) {
            to.copy_from_slice(bytes);
        }
        self.len = end;
        Ok(())
    }

    fn finalize(self) -> ::postcard::Result<usize> {
        Ok(self.len)
    }
}

/// Serialises a value into a slot, and returns its length.
///
/// # Errors
/// [`SendError::TooLong`] if it does not fit, [`SendError::NotSerialized`] if it cannot be serialised.
pub(super) fn serialize<T: Serialize + ?Sized>(
    value: &T,
    slot: &mut [u8],
) -> Result<usize, SendError> {
    let max = slot.len();
    let written = serialize_with_flavor::<T, _, usize>(value, SlotWriter { slot, len: 0 });
    match written.map_err(|error| SendError::NotSerialized { reason: reason_of(&error) })? {
        len if len > max => Err(SendError::TooLong { len, max }),
        len => Ok(len),
    }
}

/// Deserialises a value, which all bytes must belong to.
pub(super) fn deserialize<'de, V: Deserialize<'de>>(bytes: &'de [u8]) -> Result<V, ValueError> {
    let mut deserializer = Deserializer::from_bytes(bytes);
    let value = V::deserialize(&mut deserializer);
    let rest = deserializer.finalize().map_or(0, <[u8]>::len);
    let failed = |reason| Err(ValueError { offset: bytes.len().saturating_sub(rest), reason });
    match value {
        Ok(value) if rest == 0 => Ok(value),
        Ok(_) => failed(ValueFailure::TrailingBytes),
        Err(error) => failed(reason_of(&error)),
    }
}

fn reason_of(error: &::postcard::Error) -> ValueFailure {
    use ::postcard::Error;
    match error {
        Error::SerdeSerCustom | Error::SerdeDeCustom | Error::CollectStrError => {
            ValueFailure::Refused
        }
        Error::SerializeSeqLengthUnknown => ValueFailure::UnknownLength,
        Error::WontImplement | Error::NotYetImplemented => ValueFailure::Unsupported,
        Error::DeserializeUnexpectedEnd => ValueFailure::UnexpectedEnd,
        Error::DeserializeBadVarint => ValueFailure::InvalidNumber,
        Error::DeserializeBadBool => ValueFailure::InvalidBool,
        Error::DeserializeBadChar => ValueFailure::InvalidChar,
        Error::DeserializeBadUtf8 => ValueFailure::InvalidUtf8,
        Error::DeserializeBadOption => ValueFailure::InvalidOption,
        Error::DeserializeBadEnum => ValueFailure::InvalidVariant,
        _ => ValueFailure::InvalidEncoding,
    }
}

//! Decodes decisions from bytes.

/// The rest of an input. Past its end, all bytes are zero.
#[derive(Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Returns at max this number of bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(max.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

//! What travels between the front and the workers, and what a worker does with it.

use std::hash::Hasher;

use sysvring::zerocopy::native_endian::U64;
use sysvring::zerocopy::{FromBytes, Unaligned};

/// The longest message in bytes.
pub const LONGEST: usize = 1024;

/// A request or an answer, with the number of the request.
#[sysvring::message]
#[derive(Unaligned)]
pub struct Message {
    pub id: U64,
    pub body: [u8],
}

/// The length of what precedes the body.
const HEAD: usize = size_of::<U64>();

/// The longest body.
pub const LONGEST_BODY: usize = LONGEST - HEAD;

impl Message {
    /// Returns the bytes of a message.
    pub fn bytes(id: u64, body: &[u8]) -> Vec<u8> {
        [&id.to_ne_bytes()[..], body].concat()
    }

    /// Returns the message in these bytes, unless they are too short.
    pub fn of(bytes: &[u8]) -> Option<&Message> {
        Message::ref_from_bytes(bytes).ok()
    }
}

/// The work: returns the hash of a text, in hexadecimal digits.
pub fn answer(text: &[u8]) -> [u8; 16] {
    // FNV-1a, the same in every process.
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(text);
    let mut digits = [0; 16];
    for (i, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(hash.finish() >> (60 - 4 * i) & 15) as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let bytes = Message::bytes(7, b"text");
        let message = Message::of(&bytes).unwrap();
        assert_eq!((message.id.get(), &message.body), (7, &b"text"[..]));
        assert!(Message::of(&bytes[..7]).is_none());
    }

    #[test]
    fn an_answer_is_the_published_hash() {
        assert_eq!(&answer(b""), b"cbf29ce484222325");
        assert_eq!(&answer(b"a"), b"af63dc4c8601ec8c");
    }
}

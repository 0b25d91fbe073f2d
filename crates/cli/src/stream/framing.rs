//! Where one message ends and the next begins in a stream of bytes.

use clap::{Args, ValueEnum};

/// The options that choose a framing.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct FramingArgs {
    /// End messages with a NUL byte instead of a newline
    #[arg(short = '0', long, group = "framing")]
    null: bool,
    /// Precede each message with its length in bytes
    #[arg(long, value_name = "TYPE", group = "framing")]
    length: Option<Length>,
    /// Put nothing between messages; `send` cuts its input into messages of full size
    #[arg(long, group = "framing")]
    raw: bool,
}

impl FramingArgs {
    pub fn framing(self) -> Framing {
        match self {
            FramingArgs { length: Some(length), .. } => Framing::Length(length),
            FramingArgs { raw: true, .. } => Framing::Raw,
            FramingArgs { null: true, .. } => Framing::EndedBy(0),
            _ => Framing::EndedBy(b'\n'),
        }
    }
}

/// The number in front of each message: its bits and its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Length {
    U16le,
    U16be,
    U32le,
    U32be,
    U64le,
    U64be,
}

impl Length {
    fn bytes(self) -> usize {
        match self {
            Length::U16le | Length::U16be => 2,
            Length::U32le | Length::U32be => 4,
            Length::U64le | Length::U64be => 8,
        }
    }

    fn is_big_endian(self) -> bool {
        matches!(self, Length::U16be | Length::U32be | Length::U64be)
    }

    /// Returns the number at the beginning of these bytes.
    fn read(self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.get(..self.bytes())?;
        let place = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        Some(match self.is_big_endian() {
            true => bytes.iter().fold(0, place),
            false => bytes.iter().rev().fold(0, place),
        })
    }

    /// Appends a number; fails if it is too large.
    fn write(self, n: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let (bytes, size) = ((n as u64).to_le_bytes(), self.bytes());
        if bytes[size..].iter().any(|byte| *byte != 0) {
            return Err(format!(
                "a message of {n} bytes is too long for a length of {size} bytes; use --length u32le"
            ));
        }
        match self.is_big_endian() {
            true => out.extend(bytes[..size].iter().rev()),
            false => out.extend(&bytes[..size]),
        }
        Ok(())
    }
}

/// A way to tell messages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each message is followed by this byte.
    EndedBy(u8),
    /// Each message is preceded by its length.
    Length(Length),
    /// Nothing is between messages.
    Raw,
}

/// A message found at the beginning of a buffer: its place, and its length with what belongs to its
/// framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub message: std::ops::Range<usize>,
    pub consumed: usize,
}

impl Framing {
    /// Appends a message with its framing.
    pub fn write(
        self,
        out: &mut Vec<u8>,
        message: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), String> {
        match self {
            Framing::EndedBy(byte) => {
                message(out);
                out.push(byte);
            }
            Framing::Length(length) => {
                let mut bytes = Vec::new();
                message(&mut bytes);
                length.write(bytes.len(), out)?;
                out.append(&mut bytes);
            }
            Framing::Raw => message(out),
        }
        Ok(())
    }

    /// Finds the first message of a buffer; `None` if it goes on beyond its end. `max` is the size
    /// of the longest message, `searched` the number of bytes that an earlier call found nothing
    /// in.
    pub fn first(
        self,
        buffer: &[u8],
        searched: usize,
        max: usize,
        is_end: bool,
    ) -> Result<Option<Found>, String> {
        let whole =
            |message: std::ops::Range<usize>, consumed| Ok(Some(Found { message, consumed }));
        match self {
            Framing::EndedBy(byte) => {
                let rest = &buffer[searched.min(buffer.len())..];
                match memchr::memchr(byte, rest) {
                    Some(at) => whole(0..searched + at, searched + at + 1),
                    // The last one may lack its end.
                    None if is_end && !buffer.is_empty() => whole(0..buffer.len(), buffer.len()),
                    // Its end may be far away, or never come.
                    None if buffer.len() > max => Err(format!(
                        "a message of more than {} bytes exceeds the {max} bytes that the channel \
                         takes; split it, or create the channel with a larger --message-size",
                        buffer.len()
                    )),
                    None => Ok(None),
                }
            }
            Framing::Length(length) => match length.read(buffer) {
                Some(n) if n > max as u64 => Err(format!(
                    "a message of {n} bytes exceeds the {max} bytes that the channel takes; \
                     check --length, or create the channel with a larger --message-size"
                )),
                Some(n) => {
                    let (start, end) = (length.bytes(), length.bytes() + n as usize);
                    match buffer.len() {
                        len if len >= end => whole(start..end, end),
                        _ if is_end => Err("the input ends within a message".into()),
                        _ => Ok(None),
                    }
                }
                None if is_end && !buffer.is_empty() => {
                    Err("the input ends within the length of a message".into())
                }
                None => Ok(None),
            },
            Framing::Raw => match buffer.len() {
                len if len >= max => whole(0..max, max),
                len if is_end && len > 0 => whole(0..len, len),
                _ => Ok(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the messages of an input that arrives in pieces of this size.
    fn cut(
        framing: Framing,
        input: &[u8],
        piece: usize,
        max: usize,
    ) -> Result<Vec<Vec<u8>>, String> {
        let (mut buffer, mut searched, mut found) = (Vec::new(), 0, Vec::new());
        let pieces: Vec<&[u8]> = input.chunks(piece).collect();
        for n in 0..=pieces.len() {
            let is_end = n == pieces.len();
            buffer.extend_from_slice(pieces.get(n).copied().unwrap_or_default());
            loop {
                match framing.first(&buffer, searched, max, is_end)? {
                    Some(one) => {
                        found.push(buffer[one.message].to_vec());
                        buffer.drain(..one.consumed);
                        searched = 0;
                    }
                    None => break searched = buffer.len(),
                }
            }
        }
        assert!(buffer.is_empty(), "{buffer:?} is left");
        Ok(found)
    }

    const ALL: [Framing; 9] = [
        Framing::EndedBy(b'\n'),
        Framing::EndedBy(0),
        Framing::Length(Length::U16le),
        Framing::Length(Length::U16be),
        Framing::Length(Length::U32le),
        Framing::Length(Length::U32be),
        Framing::Length(Length::U64le),
        Framing::Length(Length::U64be),
        Framing::Raw,
    ];

    #[test]
    fn what_is_written_is_read_back_in_any_pieces() {
        let messages: Vec<Vec<u8>> = (0..20).map(|n| vec![b'a' + n as u8; 4]).collect();
        for framing in ALL {
            let mut stream = Vec::new();
            for message in &messages {
                framing.write(&mut stream, |out| out.extend(message)).expect("written");
            }
            for piece in 1..=stream.len() {
                assert_eq!(cut(framing, &stream, piece, 4).as_ref(), Ok(&messages), "{framing:?}");
            }
        }
    }

    #[test]
    fn messages_may_be_empty_and_the_last_may_lack_its_end() {
        let lines = Framing::EndedBy(b'\n');
        assert_eq!(cut(lines, b"\n\na", 2, 9), Ok(vec![vec![], vec![], b"a".to_vec()]));
        assert_eq!(cut(lines, b"", 1, 9), Ok(vec![]));
        let length = Framing::Length(Length::U16be);
        assert_eq!(cut(length, &[0, 0, 0, 1, 7], 1, 9), Ok(vec![vec![], vec![7]]));
        assert_eq!(cut(Framing::Raw, b"abcde", 3, 2).map(|found| found.len()), Ok(3));
    }

    #[test]
    fn a_message_without_an_end_is_not_collected_for_ever() {
        let lines = Framing::EndedBy(b'\n');
        assert!(lines.first(b"abcd", 0, 3, false).is_err_and(|why| why.contains("more than 4")));
        assert_eq!(lines.first(b"abc", 0, 3, false), Ok(None));
    }

    #[test]
    fn a_length_that_cannot_be_is_an_error() {
        let length = Framing::Length(Length::U16le);
        assert!(cut(length, &[10, 0, 1], 3, 9).is_err_and(|why| why.contains("exceeds")));
        assert!(cut(length, &[3, 0, 1], 3, 9).is_err_and(|why| why.contains("within a message")));
        assert!(cut(length, &[3], 3, 9).is_err_and(|why| why.contains("within the length")));
        let mut out = Vec::new();
        let long = |out: &mut Vec<u8>| out.resize(out.len() + 65_536, 0);
        assert!(length.write(&mut out, long).is_err_and(|why| why.contains("u32le")));
    }
}

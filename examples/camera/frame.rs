//! A frame in its slot, and the proof that it is there.

use std::io;

use sysvring::zerocopy::little_endian::U64;

/// A frame, as it lies in a slot.
#[sysvring::message]
pub struct Frame {
    pub number: U64,
    /// When it was sent, in nanoseconds of the clock that all processes share.
    pub sent: U64,
    pub checksum: U64,
    pub pixels: [u8],
}

/// Bytes before the pixels.
pub const HEADER: usize = 24;

pub fn checksum(pixels: &[u8]) -> u64 {
    let (words, rest) = pixels.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.chain(rest.iter().map(|byte| u64::from(*byte))).fold(0, u64::wrapping_add)
}

/// Returns the nanoseconds of a clock.
pub fn clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Counts the frames that were not accessed in the segment itself.
pub struct InPlace {
    /// The addresses of this process's System V segments.
    segments: Vec<(usize, usize)>,
    copied: u64,
}

impl InPlace {
    pub fn new() -> io::Result<InPlace> {
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let address = |text: &str| usize::from_str_radix(text, 16).ok();
        let range = |line: &str| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            Some((address(start)?, address(end)?))
        };
        let segments = maps.lines().filter(|line| line.contains("/SYSV")).filter_map(range);
        Ok(InPlace { segments: segments.collect(), copied: 0 })
    }

    pub fn count(&mut self, frame: &Frame) {
        let start = frame.pixels.as_ptr().addr();
        let end = start + frame.pixels.len();
        let is_inside = |(from, to): &(usize, usize)| *from <= start && end <= *to;
        self.copied += u64::from(!self.segments.iter().any(is_inside));
    }

    pub fn report(&self) -> String {
        format!("{} copied", self.copied)
    }
}

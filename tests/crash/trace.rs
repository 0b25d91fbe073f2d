//! The trace of a victim: the addresses of its instructions.

use std::collections::HashSet;

/// The trace of an undisturbed victim.
#[derive(Debug, Default)]
pub struct Trace {
    /// The address after each number of instructions.
    places: Vec<u64>,
    /// For each instruction, the last one up to and including it whose address occurred there for
    /// the first time: a breakpoint at that address is first hit at just that instruction.
    landmarks: Vec<usize>,
    /// Whether the victim sleeps during the operation.
    pub sleeps: bool,
    seen: HashSet<u64>,
}

impl Trace {
    /// Returns the number of instructions.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds the next address. A repeating instruction stops at each iteration, in some cases
    /// thousands of times; all of them count as one.
    pub fn push(&mut self, place: u64) {
        if self.places.last() == Some(&place) {
            return;
        }
        let i = self.places.len();
        let new = self.seen.insert(place);
        self.landmarks.push(if new { i } else { self.landmarks[i - 1] });
        self.places.push(place);
    }

    /// Returns the last landmark up to this instruction, and its address.
    pub fn landmark(&self, n: usize) -> Option<(usize, u64)> {
        let landmark = *self.landmarks.get(n)?;
        Some((landmark, self.places[landmark]))
    }

    /// Returns the address after `n` instructions, in the form that `addr2line` expects.
    pub fn place(&self, n: usize) -> String {
        let Some(place) = self.places.get(n) else { return "its end".into() };
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let found = maps.lines().find_map(|line| in_file(line, *place));
        found.unwrap_or_else(|| format!("{place:#x}"))
    }
}

/// Returns the offset in the file of a line of a memory map, if the address lies there.
fn in_file(line: &str, place: u64) -> Option<String> {
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
    let name = fields.nth(2)?.rsplit('/').next()?;
    (start..end).contains(&place).then(|| format!("{name}+{:#x}", place - start + offset))
}

//! The way of a victim: the places of its instructions.

use std::collections::HashSet;

/// The way of an undisturbed victim.
#[derive(Debug, Default)]
pub struct Way {
    /// The place after so many instructions.
    places: Vec<u64>,
    /// For each instruction the last one before it, or itself, whose place was new then: a
    /// breakpoint there is first hit at just that instruction.
    landmarks: Vec<usize>,
    /// Whether the victim sleeps on its way.
    pub sleeps: bool,
    seen: HashSet<u64>,
}

impl Way {
    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The next place. A repeating instruction stops at each turn, some of them thousands of times:
    /// that is one.
    pub fn push(&mut self, place: u64) {
        if self.places.last() == Some(&place) {
            return;
        }
        let i = self.places.len();
        let new = self.seen.insert(place);
        self.landmarks.push(if new { i } else { self.landmarks[i - 1] });
        self.places.push(place);
    }

    /// The last landmark on the way to this instruction, and its place.
    pub fn landmark(&self, n: usize) -> Option<(usize, u64)> {
        let landmark = *self.landmarks.get(n)?;
        Some((landmark, self.places[landmark]))
    }

    /// The place after so many instructions, as `addr2line` wants it.
    pub fn place(&self, n: usize) -> String {
        let Some(place) = self.places.get(n) else { return "its end".into() };
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let found = maps.lines().find_map(|line| in_file(line, *place));
        found.unwrap_or_else(|| format!("{place:#x}"))
    }
}

/// The place in the file of a line of a map, if it lies there.
fn in_file(line: &str, place: u64) -> Option<String> {
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
    let name = fields.nth(2)?.rsplit('/').next()?;
    (start..end).contains(&place).then(|| format!("{name}+{:#x}", place - start + offset))
}

//! The SPSC throughput of all message sizes, in one table.

use crate::link::Way;
use crate::table::{Series, Table};
use crate::verdict::Standing;

/// The throughput for one message size, in bytes, of each transport that supports it.
pub struct Rates {
    pub bytes: usize,
    pub ways: Vec<Way>,
    pub rates: Vec<Series>,
    /// Relative to the first transport.
    pub ratios: Vec<Series>,
}

impl Rates {
    pub fn standing(&self) -> Standing<'_, Way> {
        Standing::rates(&self.ways, &self.rates, &self.ratios)
    }
}

/// Prints all sizes in one table.
pub fn print(ways: &[Way], sizes: &[Rates]) {
    let heads: Vec<String> =
        std::iter::once(String::new()).chain(sizes.iter().map(|size| named(size.bytes))).collect();
    let title = "SPSC throughput: Mmsg/s (vs baseline, vs the best competitor)";
    let mut table = Table::new(title, &heads);
    for &way in ways {
        let cell = |size: &Rates| {
            let Some(i) = size.ways.iter().position(|&other| other == way) else {
                return String::new();
            };
            size.standing().brief(i)
        };
        table.row(way.label(), sizes.iter().map(cell));
    }
    let best = |size: &Rates| size.standing().best_rival().map_or("", |i| size.ways[i].label());
    table.row("best competitor", sizes.iter().map(|size| best(size).to_owned()));
    table.print();
}

/// Formats a size in a suitable unit.
pub fn named(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 0x10_0000),
    }
}

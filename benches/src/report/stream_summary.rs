//! The SPSC throughput of all message sizes, in one table.

use crate::goals::Results;
use crate::link::Transport;
use crate::table::{Series, Table};

/// The throughput for one message size, in bytes, of each transport that supports it.
pub struct Rates {
    pub bytes: usize,
    pub transports: Vec<Transport>,
    pub rates: Vec<Series>,
    /// Relative to the first transport.
    pub ratios: Vec<Series>,
}

impl Rates {
    pub fn results(&self) -> Results<'_, Transport> {
        Results::rates(&self.transports, &self.rates, &self.ratios)
    }
}

/// Prints all sizes in one table.
pub fn print(transports: &[Transport], sizes: &[Rates]) {
    let heads: Vec<String> =
        std::iter::once(String::new()).chain(sizes.iter().map(|size| named(size.bytes))).collect();
    let title = "SPSC throughput: Mmsg/s (vs baseline, vs the best competitor)";
    let mut table = Table::new(title, &heads);
    for &transport in transports {
        let cell = |size: &Rates| {
            let Some(i) = size.transports.iter().position(|&other| other == transport) else {
                return String::new();
            };
            size.results().brief(i)
        };
        table.row(transport.label(), sizes.iter().map(cell));
    }
    let best =
        |size: &Rates| size.results().best_competitor().map_or("", |i| size.transports[i].label());
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

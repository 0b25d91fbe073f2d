//! The SPSC throughput of all message sizes, in one table.

use crate::report::goals::{Contender, Results};
use crate::report::table::Table;
use crate::scenario::batches::Case;
use crate::transport::Transport;

/// The throughput for messages of one size, in bytes.
pub struct OfSize<C> {
    pub bytes: usize,
    pub results: Results<C>,
}

/// Prints all sizes in one table: one message at a time, then in batches.
pub fn print(transports: &[Transport], sizes: &[OfSize<Transport>], batches: &[OfSize<Case>]) {
    let heads = std::iter::once(String::new()).chain(sizes.iter().map(|size| named(size.bytes)));
    let title = "SPSC throughput: Mmsg/s (vs baseline one by one, vs the best competitor in \
                 the same mode)";
    let mut table = Table::new(title, &heads.collect::<Vec<_>>());
    for &transport in transports {
        let cell = |size: &OfSize<Transport>| size.results.brief(transport);
        table.row(transport.label(), sizes.iter().map(cell));
    }
    for transport in [Transport::Sysvring, Transport::Baseline] {
        let case = Case { transport, batches: true };
        table.row(case.name(), batches.iter().map(|size| size.results.brief(case)));
    }
    table.row("best competitor", sizes.iter().map(|size| best(&size.results)));
    table.row("best competitor, in batches", batches.iter().map(|size| best(&size.results)));
    table.print();
}

fn best<C: Contender>(results: &Results<C>) -> String {
    results.best_competitor().map_or_else(String::new, |i| results.contenders[i].name())
}

/// Formats a size in a suitable unit.
pub fn named(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 0x10_0000),
    }
}

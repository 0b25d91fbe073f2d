//! Cost of a message by the capacity of the ring.

use std::io;

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::table::{Table, figure};
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport::{self, Baseline, Rtrb, Shaq, Sysvring};
use crate::transport::ends::{self, CAPACITY};

/// Slots.
const CAPACITIES: [usize; 6] = [16, 64, 256, CAPACITY, 16 * CAPACITY, 1024 * CAPACITY];

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let chosen = |among: &[Transport]| -> Vec<Transport> {
        among.iter().copied().filter(|transport| transports.contains(transport)).collect()
    };
    let (columns, references) =
        (chosen(&[Sysvring, Baseline, Shaq, Rtrb]), chosen(&[Baseline, Shaq]));
    let schedule = effort.schedule();
    // At least two laps; the first turn of a ring, which faults in its pages, is one of several.
    let count = |capacity: usize| match effort {
        Effort::Smoke => 2_000,
        _ => effort.pick(0, 100_000, 200_000).max(2 * capacity as u64),
    };
    let of = |capacity| columns.iter().map(move |&transport| (transport, capacity));
    let cases: Vec<(Transport, usize)> = CAPACITIES.into_iter().flat_map(of).collect();
    let start = |(transport, capacity)| {
        let count = count(capacity);
        stream::start(Stream { transport, bytes: 8, capacity, count, batches: false }, cores)
    };
    let outcomes = interleave(&cases, schedule, start, |_, pair| ends::turn::<1>(pair))?;
    let of = |transport, capacity| {
        let place = cases.iter().position(|&case| case == (transport, capacity));
        &outcomes[place.expect("one of the cases")]
    };
    let title = format!("SPSC cost by capacity, 8 B: ns/msg; {schedule}");
    let mut heads = vec!["slots".to_owned()];
    for transport in &columns {
        heads.extend([transport.label().to_owned(), format!("vs {CAPACITY} slots")]);
    }
    heads.extend(references.iter().map(|other| format!("sysvring vs {}", other.label())));
    let mut table = Table::new(title, &heads);
    for capacity in CAPACITIES {
        // Ratios are of rates; those of times are their inverse.
        let cells = columns.iter().flat_map(|&transport| {
            let (this, usual) = (of(transport, capacity), of(transport, CAPACITY));
            let ns = figure(1e3 / this.figures[0].median());
            let ratio = usual.ratios[0].over(&this.ratios[0]);
            [ns, if capacity == CAPACITY { "1".to_owned() } else { ratio.range() }]
        });
        let versus = references.iter().map(|&other| {
            of(other, capacity).ratios[0].over(&of(Sysvring, capacity).ratios[0]).range()
        });
        table.row(capacity, cells.chain(versus));
    }
    table.print();
    Ok(())
}

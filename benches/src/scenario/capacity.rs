//! Cost of a message by the capacity of the ring.

use std::io;

use crate::Effort;
use crate::interleave::{Schedule, interleave};
use crate::link::{CAPACITY, Leftovers, Transport};
use crate::machine::Cores;
use crate::stream::{self, Flow};
use crate::table::{Table, figure};

const TRANSPORTS: [Transport; 4] =
    [Transport::Sysvring, Transport::Baseline, Transport::Shaq, Transport::Rtrb];

/// Slots.
const CAPACITIES: [usize; 6] = [16, 64, 256, CAPACITY, 16 * CAPACITY, 1024 * CAPACITY];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let rounds = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 5, 9) };
    // At least two laps; the first turn of a ring, which faults in its pages, is one of several.
    let count = |capacity: usize| match effort {
        Effort::Smoke => 2_000,
        _ => effort.pick(0, 100_000, 200_000).max(2 * capacity as u64),
    };
    let cases: Vec<(Transport, usize)> = CAPACITIES
        .iter()
        .flat_map(|&capacity| TRANSPORTS.map(|transport| (transport, capacity)))
        .collect();
    // These transports leave nothing behind.
    let leftovers = Leftovers::default();
    let start = |(transport, capacity)| {
        let flow = Flow { transport, bytes: 8, capacity, count: count(capacity), batches: false };
        stream::pair(flow, cores, &leftovers)
    };
    let outcomes = interleave(&cases, rounds, start, |_, pair| stream::turn(pair))?;
    let of = |transport, capacity| {
        let place = cases.iter().position(|&case| case == (transport, capacity));
        &outcomes[place.expect("one of the cases")]
    };
    let title = format!(
        "SPSC cost by capacity, 8 B: ns/msg; {} rounds x {} turns",
        rounds.rounds, rounds.turns
    );
    let mut heads = vec!["slots".to_owned()];
    for transport in TRANSPORTS {
        heads.extend([transport.label().to_owned(), format!("vs {CAPACITY} slots")]);
    }
    heads.extend(
        [Transport::Baseline, Transport::Shaq]
            .map(|transport| format!("{} vs {}", TRANSPORTS[0].label(), transport.label())),
    );
    let mut table = Table::new(title, &heads);
    for capacity in CAPACITIES {
        let cells = TRANSPORTS.iter().flat_map(|&transport| {
            let (this, usual) = (of(transport, capacity), of(transport, CAPACITY));
            let ns = figure(1e3 / this.figures[0].median());
            // Ratios are of rates; those of times are their inverse.
            let ratio = usual.ratios[0].over(&this.ratios[0]);
            [ns, if capacity == CAPACITY { "1".to_owned() } else { ratio.range() }]
        });
        let beside = [Transport::Baseline, Transport::Shaq].map(|transport| {
            let (ours, other) = (of(TRANSPORTS[0], capacity), of(transport, capacity));
            other.ratios[0].over(&ours.ratios[0]).range()
        });
        table.row(capacity, cells.chain(beside));
    }
    table.print();
    Ok(())
}

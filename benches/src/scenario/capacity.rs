//! Cost of a message by the capacity of the ring.

use std::io;

use crate::Extent;
use crate::contest::{Extent as Rounds, contest};
use crate::link::{CAPACITY, Leftovers, Way};
use crate::machine::Cores;
use crate::stream::{self, Flow};
use crate::table::{Table, figure};

const WAYS: [Way; 4] = [Way::Sysvring, Way::Raw, Way::Shaq, Way::Rtrb];

/// Slots.
const CAPACITIES: [usize; 6] = [16, 64, 256, CAPACITY, 16 * CAPACITY, 1024 * CAPACITY];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 5, 9) };
    // At least two laps; the first turn of a ring, which faults in its pages, is one of several.
    let count = |capacity: usize| match extent {
        Extent::Smoke => 2_000,
        _ => extent.pick(0, 100_000, 200_000).max(2 * capacity as u64),
    };
    let cases: Vec<(Way, usize)> =
        CAPACITIES.iter().flat_map(|&capacity| WAYS.map(|way| (way, capacity))).collect();
    // These transports leave nothing behind.
    let leftovers = Leftovers::default();
    let start = |(way, capacity)| {
        let flow = Flow { way, bytes: 8, capacity, count: count(capacity), batches: false };
        stream::pair(flow, cores, &leftovers)
    };
    let outcomes = contest(&cases, rounds, start, |_, pair| stream::turn(pair))?;
    let of = |way, capacity| {
        let place = cases.iter().position(|&case| case == (way, capacity));
        &outcomes[place.expect("one of the cases")]
    };
    let title = format!(
        "SPSC cost by capacity, 8 B: ns/msg; {} rounds x {} turns",
        rounds.rounds, rounds.turns
    );
    let mut heads = vec!["slots".to_owned()];
    for way in WAYS {
        heads.extend([way.label().to_owned(), format!("vs {CAPACITY} slots")]);
    }
    heads
        .extend([Way::Raw, Way::Shaq].map(|way| format!("{} vs {}", WAYS[0].label(), way.label())));
    let mut table = Table::new(title, &heads);
    for capacity in CAPACITIES {
        let cells = WAYS.iter().flat_map(|&way| {
            let (this, usual) = (of(way, capacity), of(way, CAPACITY));
            let ns = figure(1e3 / this.figures[0].median());
            // Ratios are of rates; those of times are their inverse.
            let ratio = usual.ratios[0].over(&this.ratios[0]);
            [ns, if capacity == CAPACITY { "1".to_owned() } else { ratio.range() }]
        });
        let beside = [Way::Raw, Way::Shaq].map(|way| {
            let (ours, other) = (of(WAYS[0], capacity), of(way, capacity));
            other.ratios[0].over(&ours.ratios[0]).range()
        });
        table.row(capacity, cells.chain(beside));
    }
    table.print();
    Ok(())
}

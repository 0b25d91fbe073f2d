//! One-way latency of a message of 8 bytes, with each transport's default wait strategy.
//!
//! Ping-pong through two transports: half of the round trip.

use std::io;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::carrier::{Carrier, Local, Receive, Send};
use crate::contest::{Extent as Rounds, Outcome, contest};
use crate::link::{self, CAPACITY, Leftovers, Way};
use crate::machine::Cores;
use crate::table::{Goal, Series, Table};
use crate::trip::{timed_turns, turns};
use crate::verdict::{Aim, Standing};
use crate::{Extent, by_way};

/// Words per message.
const ONE: usize = 1;

/// One-way latency in nanoseconds: median, 99th and 99.9th percentile.
pub type Times = (Way, [f64; 3]);

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<Vec<Times>> {
    let count: u64 = extent.pick(500, 10_000, 30_000);
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let start = |way: Way| {
        let count = if way.calls_when_idle() { count / 10 } else { count };
        link::start_back("one-way", way, cores.apart, &[&count], &leftovers)
    };
    let outcomes = contest(ways, rounds, start, |_, (server, returner)| {
        returner.tell("go")?;
        server.tell("go")?;
        server.figures::<4>()
    })?;
    let title = format!(
        "One-way latency, 8 B: ns, half of the round trip; {} rounds x {} turns of {count} messages, a tenth where a \
         message is a system call",
        rounds.rounds, rounds.turns
    );
    let (times, ratios): (Vec<Series>, Vec<Series>) = outcomes
        .iter()
        .map(|Outcome { figures: [p50, ..], ratios: [ratio, ..] }| (p50.clone(), ratio.clone()))
        .unzip();
    let standing = Standing::times(ways, &times, &ratios);
    let heads = ["", "p50", "min", "max", "p99", "p99.9", "longest"].map(str::to_owned);
    let heads: Vec<String> =
        heads.into_iter().chain(standing.heads().iter().map(|of| format!("p50 {of}"))).collect();
    let mut table = Table::new(title, &heads);
    for (i, Outcome { figures: [p50, p99, p999, most], .. }) in outcomes.iter().enumerate() {
        let mut cells = p50.cells(0).to_vec();
        cells.extend([p99, p999, most].map(|series| format!("{:.0}", series.median())));
        cells.extend(standing.cells(i));
        table.row(ways[i].label(), cells);
    }
    table.print();
    let aim = |over, times| Aim { whose: Way::Sysvring, over, goal: Goal::AtMost(times) };
    standing.judge(&[aim(Way::Shaq, 0.65), aim(Way::Line, 1.1)]);
    let three = |outcome: &Outcome<4>| {
        let [p50, p99, p999, _] = &outcome.figures;
        [p50, p99, p999].map(Series::median)
    };
    Ok(ways.iter().zip(&outcomes).map(|(&way, outcome)| (way, three(outcome))).collect())
}

pub fn worker(orders: &mut Orders) {
    let (role, way): (String, Way) = (orders.next(), orders.next());
    let (core, count): (usize, u64) = (orders.next(), orders.next());
    match role.as_str() {
        "serve" => by_way!(way, serve::<ONE>(count), both(count, core)),
        "return" => {
            let address: String = orders.next();
            by_way!(way, give_back::<ONE>(count, &address), stand_by())
        }
        other => panic!("unknown role: {other}"),
    }
}

fn serve<C: Carrier<N>, const N: usize>(count: u64) {
    let (mut tx, mut rx) = link::serving::<C, N>();
    timed_turns(count, |n| {
        tx.send(&[n; N]);
        rx.one()[0]
    });
}

fn give_back<C: Carrier<N>, const N: usize>(count: u64, address: &str) {
    let (mut tx, mut rx) = link::returning::<C, N>(address);
    turns(count, || tx.send(&rx.one()));
}

/// Stands by, because both sides run as threads of the other worker.
pub fn stand_by<L: Local<N>, const N: usize>() {
    say("within a process");
    loop {
        hear();
    }
}

fn both<L: Local<N>, const N: usize>(count: u64, core: usize) {
    let ((mut tx, mut there), (mut back, mut rx)) = (L::pair(CAPACITY), L::pair(CAPACITY));
    say("within a process");
    hear();
    std::thread::spawn(move || {
        worker::pin(core);
        loop {
            back.send(&there.one());
        }
    });
    timed_turns(count, |n| {
        tx.send(&[n; N]);
        rx.one()[0]
    });
}

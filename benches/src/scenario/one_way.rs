//! One-way latency of a message of 8 bytes, with each transport's default wait strategy.
//!
//! Ping-pong through two transports: half of the round trip.

use std::io;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::goals::{Goal, Results};
use crate::interleave::{Outcome, Schedule, interleave};
use crate::link::{self, CAPACITY, Leftovers, Transport};
use crate::machine::Cores;
use crate::table::{Bound, Series, Table};
use crate::traits::{IpcTransport, Local, Receive, Send};
use crate::trip::{timed_turns, turns};
use crate::{Effort, by_transport};

/// Words per message.
const ONE: usize = 1;

/// One-way latency in nanoseconds: median, 99th and 99.9th percentile.
pub type Times = (Transport, [f64; 3]);

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<Vec<Times>> {
    let count: u64 = effort.pick(500, 10_000, 30_000);
    let rounds = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let start = |transport: Transport| {
        let count = if transport.calls_when_idle() { count / 10 } else { count };
        link::start_ping_pong("one-way", transport, cores.apart, &[&count], &leftovers)
    };
    let outcomes = interleave(transports, rounds, start, |_, (server, returner)| {
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
    let results = Results::times(transports, &times, &ratios);
    let heads = ["", "p50", "min", "max", "p99", "p99.9", "longest"].map(str::to_owned);
    let heads: Vec<String> =
        heads.into_iter().chain(results.heads().iter().map(|of| format!("p50 {of}"))).collect();
    let mut table = Table::new(title, &heads);
    for (i, Outcome { figures: [p50, p99, p999, most], .. }) in outcomes.iter().enumerate() {
        let mut cells = p50.cells(0).to_vec();
        cells.extend([p99, p999, most].map(|series| format!("{:.0}", series.median())));
        cells.extend(results.cells(i));
        table.row(transports[i].label(), cells);
    }
    table.print();
    let goal =
        |over, times| Goal { contender: Transport::Sysvring, over, bound: Bound::AtMost(times) };
    results.check(&[goal(Transport::Shaq, 0.65), goal(Transport::CacheLine, 1.1)]);
    let three = |outcome: &Outcome<4>| {
        let [p50, p99, p999, _] = &outcome.figures;
        [p50, p99, p999].map(Series::median)
    };
    Ok(transports
        .iter()
        .zip(&outcomes)
        .map(|(&transport, outcome)| (transport, three(outcome)))
        .collect())
}

pub fn worker(args: &mut Orders) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (core, count): (usize, u64) = (args.next(), args.next());
    match role.as_str() {
        "serve" => by_transport!(transport, serve::<ONE>(count), both(count, core)),
        "return" => {
            let address: String = args.next();
            by_transport!(transport, answer_all::<ONE>(count, &address), stand_by())
        }
        other => panic!("unknown role: {other}"),
    }
}

fn serve<C: IpcTransport<N>, const N: usize>(count: u64) {
    let (mut tx, mut rx) = link::serving::<C, N>();
    timed_turns(count, |n| {
        tx.send(&[n; N]);
        rx.one()[0]
    });
}

fn answer_all<C: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
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

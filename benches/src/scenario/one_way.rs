//! One-way latency of messages of 8 and 64 bytes, with each transport's default wait strategy.
//!
//! Ping-pong through two transports: half of the round trip.

use std::io;

use sysvring_support::worker::{self, Args, print_line, read_line};

use crate::by_transport;
use crate::effort::Effort;
use crate::interleave::{Outcome, interleave};
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::table::{Bound, Series, Table};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY, stand_by};
use crate::transport::traits::{IpcTransport, Receive, Send, ThreadTransport};
use crate::workload::ping_pong::{timed_turns, turns};

/// One-way latency in nanoseconds: median, 99th and 99.9th percentile.
pub type Times = (Transport, [f64; 3]);

/// Returns the latency of messages of 8 bytes.
pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<Vec<Times>> {
    let contender = Transport::Sysvring;
    let goal = |over, times| Goal { contender, over, bound: Bound::AtMost(times) };
    let goals = |line| [goal(Transport::CacheLine, line), goal(Transport::Shaq, 0.95)];
    let times = of_size(1, cores, effort, transports, &goals(1.05))?;
    of_size(8, cores, effort, transports, &goals(1.2))?;
    Ok(times)
}

/// Measures messages of this number of words.
pub fn of_size(
    words: usize,
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
    goals: &[Goal<Transport>],
) -> io::Result<Vec<Times>> {
    let (count, schedule) = (effort.pick(500, 20_000, 30_000), effort.schedule());
    let start = |transport: Transport| {
        let count = if transport.has_system_calls_when_idle() { count / 10 } else { count };
        ends::start_ping_pong("one-way", transport, cores.apart, &[&words, &count])
    };
    let outcomes = interleave(transports, schedule, start, |_, (server, returner)| {
        returner.write_line("go")?;
        server.write_line("go")?;
        server.figures::<4>()
    })?;
    let title = format!(
        "One-way latency, {} B: ns, half of the round trip; {schedule} of {count} messages, a \
         tenth where a message is a system call",
        words * 8
    );
    let results = Results::of_outcomes(Kind::Time, transports, &outcomes);
    let heads = ["", "p50", "min", "max", "p99", "p99.9", "longest"];
    let mut table = Table::new(title, &results.heads(&heads, "p50 "));
    for (i, Outcome { figures: [p50, p99, p999, max], .. }) in outcomes.iter().enumerate() {
        let mut cells = p50.cells(0).to_vec();
        cells.extend([p99, p999, max].map(|series| format!("{:.0}", series.median())));
        cells.extend(results.cells(i));
        table.row(transports[i].label(), cells);
    }
    table.print();
    results.check(goals);
    let three = |outcome: &Outcome<4>| {
        let [p50, p99, p999, _] = &outcome.figures;
        [p50, p99, p999].map(Series::median)
    };
    Ok(transports.iter().copied().zip(outcomes.iter().map(three)).collect())
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (core, words): (usize, usize) = (args.next(), args.next());
    let count: u64 = args.next();
    match words {
        1 => work::<1>(&role, transport, core, count, args),
        8 => work::<8>(&role, transport, core, count, args),
        other => panic!("unknown size: {other}"),
    }
}

fn work<const N: usize>(
    role: &str,
    transport: Transport,
    core: usize,
    count: u64,
    args: &mut Args,
) {
    match role {
        "serve" => by_transport!(transport, serve::<N>(count), both(count, core)),
        "return" => {
            let address: String = args.next();
            by_transport!(transport, answer_all::<N>(count, &address), stand_by())
        }
        other => panic!("unknown role: {other}"),
    }
}

fn serve<T: IpcTransport<N>, const N: usize>(count: u64) {
    let (mut tx, mut rx) = ends::serving::<T, N>();
    timed_turns(count, |n| {
        tx.send(&[n; N]);
        rx.receive_one()[0]
    });
}

fn answer_all<T: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
    let (mut tx, mut rx) = ends::returning::<T, N>(address);
    turns(count, || tx.send(&rx.receive_one()));
}

fn both<T: ThreadTransport<N>, const N: usize>(count: u64, core: usize) {
    let ((mut tx, mut there), (mut back, mut rx)) = (T::pair(CAPACITY), T::pair(CAPACITY));
    print_line("in-process");
    read_line();
    std::thread::spawn(move || {
        worker::pin(core);
        loop {
            back.send(&there.receive_one());
        }
    });
    timed_turns(count, |n| {
        tx.send(&[n; N]);
        rx.receive_one()[0]
    });
}

//! Round-trip latency, by wait strategy and placement.
//!
//! Ping-pong of 8-byte messages through two transports, one at a time, for a fixed duration: a side
//! that spins completes few round trips where the other side needs the same processor. The
//! latencies of all rounds are collected in one histogram.

use std::io;

use hdrhistogram::Histogram;
use sysvring_support::worker::{self, Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::{Outcome, interleave};
use crate::machine::Cores;
use crate::report::goals::{Kind, Results};
use crate::report::table::Table;
use crate::scenario::one_way::Times;
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY, stand_by};
use crate::transport::traits::{IpcTransport, Receive, Send, ThreadTransport};
use crate::{by_transport, clock};

/// Words per message.
const ONE: usize = 1;
/// The first word of the last message of a turn.
const LAST: u64 = u64::MAX;
/// An upper bound of the latency, in nanoseconds or ticks.
const LONGEST: u64 = 1 << 40;
/// Significant digits of the histogram.
const DIGITS: u8 = 3;

/// The placement of the two sides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    Apart,
    Together,
}

impl Placement {
    /// Returns its name in titles.
    pub fn name(self) -> &'static str {
        match self {
            Placement::Apart => "two processors",
            Placement::Together => "one processor",
        }
    }
}

/// Measures all transports in both placements.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<(Placement, Vec<Times>)>> {
    let (first, second) = cores.apart;
    let mut all = Vec::new();
    if first != second {
        all.push((Placement::Apart, place(Placement::Apart, cores.apart, effort, transports)?));
    }
    all.push((
        Placement::Together,
        place(Placement::Together, (first, first), effort, transports)?,
    ));
    Ok(all)
}

fn place(
    place: Placement,
    cores: (usize, usize),
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<Times>> {
    let (schedule, span) = (effort.schedule_of(1, 1, 3), effort.pick(2_u64, 20, 50));
    let start = |transport: Transport| {
        ends::start_ping_pong("round-trip", transport, cores, &[&(span * 1_000_000)])
    };
    let mut histograms: Vec<Histogram<u64>> = transports.iter().map(|_| histogram()).collect();
    let outcomes = interleave(transports, schedule, start, |transport, (server, returner)| {
        returner.write_line("go")?;
        server.write_line("go")?;
        let turn = parse(&server.read_line()?)
            .ok_or_else(|| io::Error::other(format!("{transport}: not a histogram")))?;
        let i = transports.iter().position(|&other| other == transport).expect("one of them");
        histograms[i].add(&turn).map_err(io::Error::other)?;
        Ok([turn.value_at_quantile(0.5) as f64])
    })?;
    let title = |how: &str| {
        format!("Round trip, 8 B, {}, {how}: ns; {schedule} of {span} ms", place.name())
    };
    let all = 0..transports.len();
    let spinning: Vec<usize> = all.clone().filter(|&i| transports[i].only_spins()).collect();
    print(title("both sides spin"), &spinning, transports, &outcomes, &histograms);
    if place == Placement::Together {
        println!(
            "\nA side that spins there delays the other until the kernel preempts it, so there are \
             few round trips. Shaq and iceoryx2 use a polling loop of this benchmark, which yields \
             after a while."
        );
    }
    // Transports that block are compared with the baseline, which spins, only on two processors.
    let baseline = |i: usize| transports[i] == Transport::Baseline && place == Placement::Apart;
    let blocking: Vec<usize> =
        all.clone().filter(|&i| !transports[i].only_spins() || baseline(i)).collect();
    let title = title("both sides block, at once or after spinning");
    print(title, &blocking, transports, &outcomes, &histograms);
    let three =
        |i: usize| [0.5, 0.99, 0.999].map(|part| histograms[i].value_at_quantile(part) as f64);
    Ok(all.map(|i| (transports[i], three(i))).collect())
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, DIGITS).expect("three digits")
}

/// Prints the transports of one wait strategy: from the whole histogram, except ratios, which are
/// taken round by round.
fn print(
    title: String,
    members: &[usize],
    transports: &[Transport],
    outcomes: &[Outcome<1>],
    histograms: &[Histogram<u64>],
) {
    let of_members: Vec<Transport> = members.iter().map(|&i| transports[i]).collect();
    let outcomes = members.iter().map(|&i| &outcomes[i]);
    let results = Results::of_outcomes(Kind::Time, &of_members, outcomes);
    let heads = ["", "p50", "min", "max", "p99", "p99.9", "longest", "round trips"];
    let mut table = Table::new(title, &results.heads(&heads, "p50 "));
    for (row, &i) in members.iter().enumerate() {
        let (histogram, mut cells) = (&histograms[i], results.figures[row].cells(0).to_vec());
        // A percentile of fewer round trips would be the maximum.
        cells.extend([(0.99, 100), (0.999, 1_000)].map(|(part, least)| match histogram.len() {
            trips if trips < least => String::new(),
            _ => histogram.value_at_quantile(part).to_string(),
        }));
        cells.extend([histogram.max(), histogram.len()].map(|number| number.to_string()));
        cells.extend(results.cells(row));
        table.row(transports[i].label(), cells);
    }
    table.print();
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (core, span): (usize, u64) = (args.next(), args.next());
    match role.as_str() {
        "serve" => by_transport!(transport, serve::<ONE>(span), both(span, core)),
        "return" => {
            let address: String = args.next();
            by_transport!(transport, answer_all::<ONE>(&address), stand_by())
        }
        other => panic!("unknown role: {other}"),
    }
}

fn serve<T: IpcTransport<N>, const N: usize>(span: u64) {
    let (mut tx, mut rx) = ends::serving::<T, N>();
    timed_turns(span, |n| {
        tx.send(&[n; N]);
        rx.receive_one()[0]
    });
}

fn answer_all<T: IpcTransport<N>, const N: usize>(address: &str) {
    let (mut tx, mut rx) = ends::returning::<T, N>(address);
    loop {
        read_line();
        answer(&mut tx, &mut rx);
    }
}

/// Runs a turn of the returning side.
fn answer<const N: usize>(tx: &mut impl Send<N>, rx: &mut impl Receive<N>) {
    loop {
        let message = rx.receive_one();
        tx.send(&message);
        if message[0] == LAST {
            return;
        }
    }
}

fn both<T: ThreadTransport<N>, const N: usize>(span: u64, core: usize) {
    let ((mut tx, mut there), (mut back, mut rx)) = (T::pair(CAPACITY), T::pair(CAPACITY));
    print_line("in-process");
    read_line();
    let (go, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(core);
        while let Ok(()) = told.recv() {
            answer(&mut back, &mut there);
        }
    });
    let mut begun = false;
    timed_turns(span, |n| {
        if !begun {
            go.send(()).expect("the other thread");
        }
        // The thread answers until the end of the turn.
        begun = n != LAST;
        tx.send(&[n; N]);
        rx.receive_one()[0]
    });
}

/// Runs the initiating side: on `go`, it warms up for a tenth of the span, then measures each round
/// trip until the span is over, and reports the histogram.
fn timed_turns(span: u64, mut round_trip: impl FnMut(u64) -> u64) {
    let tick = clock::tick();
    let span = (span as f64 / tick) as u64;
    let (mut times, mut next) = (histogram(), 0);
    loop {
        read_line();
        times.reset();
        let start = clock::ticks();
        loop {
            next += 1;
            let sent = clock::ticks();
            assert_eq!(round_trip(next), next);
            let back = clock::ticks();
            if back - start > span / 10 {
                times.saturating_record(back - sent);
            }
            if back - start > span {
                break;
            }
        }
        assert_eq!(round_trip(LAST), LAST);
        print_line(written(&times, tick));
    }
}

/// Writes a histogram of ticks as a line: the nanoseconds per tick, then each time with its count.
fn written(times: &Histogram<u64>, tick: f64) -> String {
    let each = times.iter_recorded();
    let each = each.map(|time| format!(" {}:{}", time.value_iterated_to(), time.count_at_value()));
    tick.to_string() + &each.collect::<String>()
}

/// Reads a histogram of nanoseconds from such a line.
fn parse(line: &str) -> Option<Histogram<u64>> {
    let mut words = line.split(' ');
    let tick: f64 = words.next()?.parse().ok()?;
    let mut times = histogram();
    for word in words {
        let (ticks, often) = word.split_once(':')?;
        let ns = ticks.parse::<f64>().ok()? * tick;
        times.saturating_record_n(ns.round() as u64, often.parse().ok()?);
    }
    Some(times)
}

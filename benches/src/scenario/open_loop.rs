//! Latency at a fixed rate (open loop).
//!
//! A sender that falls behind continues without a pause, and the latency of a message counts from
//! when it was due, so waiting for room is included (no coordinated omission). All transports get
//! the same rate, a fraction of the maximum of the slowest of three: sysvring, the baseline, and
//! shaq. A transport that cannot sustain it is saturated.

use std::io;

use hdrhistogram::Histogram;
use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::{Pair, rotated};
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::table::{Bound, Series, Table, figure};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::{by_transport, clock};

/// Words per message: its time and its number.
const WORDS: usize = 2;
/// More ticks than a turn takes.
const LONGEST: u64 = 1 << 40;
/// Fractions of the maximum rate of the slowest reference.
const LOADS: [f64; 3] = [0.1, 0.5, 0.9];
const REFERENCES: [Transport; 3] = [Transport::Sysvring, Transport::Baseline, Transport::Shaq];
/// Places of percentiles in [`Latency::times`].
const P50: usize = 0;
const P999: usize = 2;
/// The longest duration of a turn, in seconds.
const SPAN: f64 = 0.25;

/// The results of one transport.
#[derive(Clone, Default)]
struct Latency {
    /// Throughput at full speed, Mmsg/s.
    rate: Series,
    /// Median, 99th and 99.9th percentile and maximum, per load.
    times: [[Series; 4]; LOADS.len()],
    /// Whether it failed to sustain that rate in some round.
    saturated: [bool; LOADS.len()],
}

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let max_count: u64 = effort.pick(2_000, 50_000, 400_000);
    let schedule = effort.schedule_of(1, 3, 3);
    let mut all = vec![Latency::default(); transports.len()];
    let mut slowest = Series::default();
    for round in 0..schedule.rounds {
        let start = |&transport: &Transport| ends::start("open-loop", transport, cores.apart, &[]);
        let mut pairs = transports.iter().map(start).collect::<io::Result<Vec<Pair>>>()?;
        let mut rates = Vec::new();
        for (transport, pair) in transports.iter().zip(&mut pairs) {
            let count = if transport.has_system_calls() { max_count / 20 } else { max_count };
            let speed: Series = (0..schedule.turns)
                .map(|_| Ok(go(pair, 0.0, count)?[0]))
                .collect::<io::Result<_>>()?;
            rates.push(speed.median());
        }
        // All, if the selected transports include none of the references.
        let any = transports.iter().any(|transport| REFERENCES.contains(transport));
        let references = transports.iter().zip(&rates);
        let references = references.filter(|(transport, _)| REFERENCES.contains(transport) || !any);
        let full = references.map(|(_, &rate)| rate).fold(f64::MAX, f64::min);
        slowest.push(full);
        for (latency, rate) in all.iter_mut().zip(rates) {
            latency.rate.push(rate);
            for (saturated, part) in latency.saturated.iter_mut().zip(LOADS) {
                *saturated |= rate < full * part;
            }
        }
        for (load, part) in LOADS.iter().enumerate() {
            let rate = full * part;
            let count = max_count.min((rate * 1e6 * SPAN) as u64);
            let mut of_turns = vec![<[Series; 4]>::default(); transports.len()];
            for turn in 0..schedule.turns {
                for i in rotated(transports.len(), round + turn) {
                    if !all[i].saturated[load] {
                        let figures = go(&mut pairs[i], 1e3 / rate, count)?;
                        let series = of_turns[i].iter_mut().zip(figures);
                        series.for_each(|(series, figure)| series.push(figure));
                    }
                }
            }
            for (latency, of_turns) in all.iter_mut().zip(of_turns) {
                let series = latency.times[load].iter_mut().zip(&of_turns);
                series.for_each(|(series, of_turns)| series.push(of_turns.median()));
            }
        }
    }
    for (load, part) in LOADS.iter().enumerate() {
        let title = format!(
            "Fixed rate, {:.0} % of {} Mmsg/s: ns from when a message was due; {schedule} \
             of {max_count} messages, fewer where a turn would exceed {SPAN} s",
            part * 100.0,
            figure(slowest.median())
        );
        print(title, load, transports, &all);
    }
    Ok(())
}

/// Prints the transports that sustained the rate of a load, then the others.
fn print(title: String, load: usize, transports: &[Transport], all: &[Latency]) {
    let (saturated, kept): (Vec<usize>, Vec<usize>) =
        (0..transports.len()).partition(|&i| all[i].saturated[load]);
    let of_kept: Vec<Transport> = kept.iter().map(|&i| transports[i]).collect();
    let results_of = |part: usize| {
        let times = kept.iter().map(|&i| all[i].times[load][part].clone()).collect();
        Results::of_series(Kind::Time, &of_kept, times)
    };
    let results = results_of(P999);
    let heads = ["", "Mmsg/s at full speed", "p50", "p99", "p99.9", "longest"];
    let mut table = Table::new(title, &results.heads(&heads, "p99.9 "));
    for (row, &i) in kept.iter().enumerate() {
        let mut cells = vec![figure(all[i].rate.median())];
        cells.extend(all[i].times[load].iter().map(|series| format!("{:.0}", series.median())));
        cells.extend(results.cells(row));
        table.row(transports[i].label(), cells);
    }
    for i in saturated {
        table.row(transports[i].label(), [figure(all[i].rate.median()), "saturated".to_owned()]);
    }
    table.print();
    let goals = [Transport::Shaq, Transport::Baseline].map(|over| Goal {
        contender: Transport::Sysvring,
        over,
        bound: Bound::AtMost(1.0),
    });
    println!("\np50:");
    results_of(P50).check(&goals);
    println!("\np99.9:");
    results.check(&goals);
}

/// Runs one turn of `count` messages at `interval` nanoseconds, or at full speed if that is zero,
/// and returns the receiver's report.
fn go((sender, receiver): &mut Pair, interval: f64, count: u64) -> io::Result<[f64; 4]> {
    let args = format!("{interval} {count}");
    receiver.write_line(&args)?;
    sender.write_line(&args)?;
    receiver.figures()
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    match role.as_str() {
        "send" => by_transport!(transport, send::<WORDS>()),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<WORDS>(&address))
        }
        other => panic!("unknown role: {other}"),
    }
}

fn send<T: IpcTransport<N>, const N: usize>() {
    let (accept, address) = T::offer(CAPACITY);
    print_line(address);
    let tick = clock::tick();
    let (mut interval, mut count) = order();
    // The receiver has attached before the first order arrives.
    let mut tx = accept();
    loop {
        let pause = (interval / tick) as u64;
        let mut due = clock::ticks();
        for n in 0..count {
            while clock::ticks() < due {}
            let mut message = [0; N];
            (message[0], message[1]) = (due, n);
            tx.send(&message);
            due += pause;
        }
        (interval, count) = order();
    }
}

/// Reads the order for a turn: nanoseconds between messages, and their number.
fn order() -> (f64, u64) {
    let line = read_line();
    let (interval, count) = line.split_once(' ').expect("an interval and a number");
    (interval.parse().expect("an interval"), count.parse().expect("a number"))
}

/// Reports how late messages were, or the throughput in Mmsg/s.
fn receive<T: IpcTransport<N>, const N: usize>(address: &str) {
    let (mut rx, tick) = (T::attach(address, CAPACITY), clock::tick());
    let mut latency = Histogram::<u64>::new_with_max(LONGEST, 3).expect("three digits");
    let mut message = [0; N];
    print_line("ready");
    loop {
        let (interval, count) = order();
        latency.reset();
        let start = clock::now();
        for n in 0..count {
            rx.receive(&mut message);
            assert_eq!(message[1], n, "out of order");
            // The first ones find the receiver parked.
            if n > count / 10 {
                latency.saturating_record(clock::ticks().saturating_sub(message[0]));
            }
        }
        let figures = match interval {
            0.0 => [count as f64 / (clock::now() - start) as f64 * 1e3, 0.0, 0.0, 0.0],
            _ => [0.5, 0.99, 0.999, 1.0].map(|part| latency.value_at_quantile(part) as f64 * tick),
        };
        print_line(figures.map(|figure| figure.to_string()).join(" "));
    }
}

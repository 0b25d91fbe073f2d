//! How late are messages that are sent at a steady pace?
//!
//! A sender that falls behind its pace goes on at once, and the time of a message counts from when it was
//! to be sent: waiting for room is not left out. All ways are given the same pace, a part of what the
//! slowest of them can do at all.

use std::io;

use hdrhistogram::Histogram;
use sysvring_support::worker::{Orders, Worker, hear, say};

use crate::carrier::{Carrier, Local, Receive, Send};
use crate::contest::rotated;
use crate::link::{CAPACITY, Way};
use crate::machine::Cores;
use crate::table::{Series, Table, figure};
use crate::verdict::Standing;
use crate::{Extent, by_way, clock, pair};

/// Words of a message: its time and its number.
const WORDS: usize = 2;
/// More ticks than a turn takes.
const LONGEST: u64 = 1 << 40;
/// Parts of what the slowest can do.
const LOADS: [f64; 3] = [0.1, 0.5, 0.9];

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<()> {
    // Those that are calls of the kernel would set everybody's pace.
    let ways: Vec<Way> =
        ways.iter().copied().filter(|way| way.is_between() && !way.calls_when_idle()).collect();
    let count: u64 = extent.pick(2_000, 50_000, 400_000);
    let (rounds, turns) = (extent.rounds(), extent.pick(1, 3, 3));
    let mut late = vec![vec![<[Series; 4]>::default(); LOADS.len()]; ways.len()];
    let mut rates = Series::default();
    for round in 0..rounds {
        let mut pairs =
            ways.iter().map(|&way| start(way, cores, count)).collect::<io::Result<Vec<_>>>()?;
        let mut slowest = f64::MAX;
        for pair in &mut pairs {
            let most: Series = (0..turns)
                .map(|_| go(pair, 0.0).map(|[rate, ..]| rate))
                .collect::<io::Result<_>>()?;
            slowest = slowest.min(most.median());
        }
        rates.push(slowest);
        for (load, part) in LOADS.iter().enumerate() {
            let mut of_turns = vec![<[Series; 4]>::default(); ways.len()];
            for turn in 0..turns {
                for i in rotated(ways.len(), round + turn) {
                    let figures = go(&mut pairs[i], 1e3 / (slowest * part))?;
                    of_turns[i]
                        .iter_mut()
                        .zip(figures)
                        .for_each(|(series, figure)| series.push(figure));
                }
            }
            for (i, of_turns) in of_turns.iter().enumerate() {
                for (f, series) in of_turns.iter().enumerate() {
                    late[i][load][f].push(series.median());
                }
            }
        }
    }
    for (load, part) in LOADS.iter().enumerate() {
        let title = format!(
            "Paced, {:.0} % of {} million messages a second: ns from when a message was to be sent; {rounds} rounds of \
             {turns} turns of {count}",
            part * 100.0,
            figure(rates.median())
        );
        let times: Vec<Series> = late.iter().map(|of_way| of_way[load][2].clone()).collect();
        let ratios: Vec<Series> = times.iter().map(|p999| p999.over(&times[0])).collect();
        let standing = Standing::times(&ways, &times, &ratios);
        let heads = ["", "p50", "p99", "p99.9", "longest"].map(str::to_owned).into_iter();
        let heads: Vec<String> =
            heads.chain(standing.heads().iter().map(|of| format!("p99.9 {of}"))).collect();
        let mut table = Table::new(title, &heads);
        for (i, way) in ways.iter().enumerate() {
            let cells = late[i][load].iter().map(|series| format!("{:.0}", series.median()));
            table.row(way.label(), cells.chain(standing.cells(i)));
        }
        table.print();
    }
    Ok(())
}

fn start(way: Way, cores: &Cores, count: u64) -> io::Result<(Worker, Worker)> {
    pair::start("paced", way, cores.apart, &[&count])
}

/// One turn at so many nanoseconds a message, or as fast as it goes: what the receiver says.
fn go((sender, receiver): &mut (Worker, Worker), interval: f64) -> io::Result<[f64; 4]> {
    receiver.tell(&interval.to_string())?;
    sender.tell(&interval.to_string())?;
    receiver.figures()
}

pub fn worker(orders: &mut Orders) {
    let (role, way, count): (String, Way, u64) = (orders.next(), orders.next(), orders.next());
    match role.as_str() {
        "send" => by_way!(way, send::<WORDS>(count), within(count)),
        "receive" => {
            let address: String = orders.next();
            by_way!(way, receive::<WORDS>(count, &address), within(count))
        }
        other => panic!("no such role: {other}"),
    }
}

fn within<L: Local<N>, const N: usize>(_: u64) {
    panic!("not between processes");
}

/// Nanoseconds of a tick.
fn tick() -> f64 {
    let (start, first) = (clock::now(), clock::ticks());
    while clock::now() - start < 5_000_000 {}
    (clock::now() - start) as f64 / (clock::ticks() - first) as f64
}

fn send<C: Carrier<N>, const N: usize>(count: u64) {
    let (offer, address) = C::offer(CAPACITY);
    say(address);
    let (mut offer, mut tx, tick) = (Some(offer), None, tick());
    loop {
        let interval: f64 = hear().trim().parse().expect("a pace");
        // Once it is told to go, the receiver is there.
        let tx = tx.get_or_insert_with(|| C::accept(offer.take().expect("once")));
        let interval = (interval / tick) as u64;
        let mut due = clock::ticks();
        for n in 0..count {
            while clock::ticks() < due {}
            let mut message = [0; N];
            (message[0], message[1]) = (due, n);
            tx.send(&message);
            due += interval;
        }
    }
}

/// Says how late messages were, or how many million a second there were.
fn receive<C: Carrier<N>, const N: usize>(count: u64, address: &str) {
    let (mut rx, tick) = (C::attach(address, CAPACITY), tick());
    let mut late = Histogram::<u64>::new_with_max(LONGEST, 3).expect("three digits");
    let mut message = [0; N];
    say("ready");
    loop {
        let interval: f64 = hear().trim().parse().expect("a pace");
        late.reset();
        let start = clock::now();
        for n in 0..count {
            rx.receive(&mut message);
            assert_eq!(message[1], n, "out of order");
            // The first ones find the receiver asleep.
            if n > count / 10 {
                late.saturating_record(clock::ticks().saturating_sub(message[0]));
            }
        }
        let figures = match interval {
            0.0 => [count as f64 / (clock::now() - start) as f64 * 1e3, 0.0, 0.0, 0.0],
            _ => [0.5, 0.99, 0.999, 1.0].map(|part| late.value_at_quantile(part) as f64 * tick),
        };
        say(figures.map(|figure| figure.to_string()).join(" "));
    }
}

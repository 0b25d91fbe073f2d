//! How many messages a second go through, one to one, both sides at work without a pause?

use std::io;
use std::sync::mpsc;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::carrier::{Carrier, Local, Receive, Send};
use crate::contest::{Extent as Rounds, Outcome, Pair, contest};
use crate::course::{check, timed_turns, turns};
use crate::link::{self, Leftovers, Way};
use crate::machine::Cores;
use crate::shared::{InPlace, Raw, Sysvring};
use crate::table::Series;
use crate::verdict::{Standing, print_rates};
use crate::{Extent, by_way, size};

/// The rates of one size, in bytes, of each way that takes it.
pub struct Rates {
    pub bytes: usize,
    pub ways: Vec<Way>,
    pub rates: Vec<Series>,
}

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<Vec<Rates>> {
    Ok(vec![
        of_size::<1>(cores, extent, ways, extent.pick(2_000, 400_000, 1_000_000))?,
        of_size::<8>(cores, extent, ways, extent.pick(2_000, 200_000, 500_000))?,
        of_size::<128>(cores, extent, ways, extent.pick(2_000, 50_000, 100_000))?,
        of_size::<8192>(cores, extent, ways, extent.pick(100, 1_000, 2_000))?,
    ])
}

/// Messages of `N` words, so many in a turn; fewer of those that are calls of the kernel.
fn of_size<const N: usize>(
    cores: &Cores,
    extent: Extent,
    ways: &[Way],
    count: u64,
) -> io::Result<Rates> {
    let bytes = N * 8;
    // In place is worth it where a message is more than a word.
    let fits = |way: &Way| way.takes(bytes) && (N > 1 || *way != Way::InPlace);
    let ways: Vec<Way> = ways.iter().copied().filter(fits).collect();
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let capacity = link::capacity(bytes);
    let start = |way: Way| {
        let count = if way.calls() { count / 20 } else { count };
        pair(way, bytes, capacity, count, cores, &leftovers)
    };
    let outcomes = contest(&ways, rounds, start, turn)?;
    let title = format!(
        "Stream of messages of {}, one to one: million messages a second; {} rounds of {} turns of {count}; a \
         twentieth where a message is a call",
        named(bytes),
        rounds.rounds,
        rounds.turns
    );
    let (rates, ratios): (Vec<Series>, Vec<Series>) = outcomes
        .into_iter()
        .map(|Outcome { figures: [rate], ratios: [ratio] }| (rate, ratio))
        .unzip();
    print_rates(title, &Standing::rates(&ways, &rates, &ratios), &[]);
    Ok(Rates { bytes, ways, rates })
}

/// The two ends of a stream, with so many messages in a turn.
pub fn pair(
    way: Way,
    bytes: usize,
    capacity: usize,
    count: u64,
    cores: &Cores,
    leftovers: &Leftovers,
) -> io::Result<Pair> {
    let more: [&dyn ToString; 4] = [&bytes, &capacity, &count, &cores.apart.0];
    link::start("stream", way, cores, &more, leftovers)
}

/// One turn: million messages a second.
pub fn turn((sender, receiver): &mut Pair) -> io::Result<[f64; 1]> {
    receiver.tell("go")?;
    sender.tell("go")?;
    receiver.figures()
}

/// A size, in the unit that suits it.
pub fn named(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 0x10_0000),
    }
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    let task = Task { capacity: orders.next(), count: orders.next(), core: orders.next::<usize>() };
    match (way, bytes) {
        (Way::Copy, _) if role == "receive" => size::copy(bytes, task.capacity, task.count),
        (Way::Copy, _) => stand_by(),
        (Way::InPlace, size::LARGEST) => large::<InPlace>(&role, task, orders),
        (Way::Sysvring, size::LARGEST) => large::<Sysvring>(&role, task, orders),
        (Way::Raw, size::LARGEST) => large::<Raw>(&role, task, orders),
        (_, 8) => work::<1>(&role, way, task, orders),
        (_, 64) => work::<8>(&role, way, task, orders),
        (_, 1024) => work::<128>(&role, way, task, orders),
        (_, 65536) => work::<8192>(&role, way, task, orders),
        other => panic!("no such stream: {other:?}"),
    }
}

/// What a side is told.
#[derive(Clone, Copy)]
struct Task {
    /// Slots.
    capacity: usize,
    /// Messages of a turn.
    count: u64,
    /// Where the sender runs.
    core: usize,
}

/// The largest messages, which few carry.
fn large<C: Carrier<{ size::LARGEST / 8 }>>(role: &str, task: Task, orders: &mut Orders) {
    match role {
        "send" => send::<C, _>(task),
        "receive" => receive::<C, _>(task, &orders.next::<String>()),
        other => panic!("no such role: {other}"),
    }
}

fn work<const N: usize>(role: &str, way: Way, task: Task, orders: &mut Orders) {
    match role {
        "send" => by_way!(way, send::<N>(task), idle()),
        "receive" => {
            let address: String = orders.next();
            by_way!(way, receive::<N>(task, &address), both(task))
        }
        other => panic!("no such role: {other}"),
    }
}

fn send<C: Carrier<N>, const N: usize>(task: Task) {
    let (offer, address) = C::offer(task.capacity);
    say(address);
    let mut place = [0; N];
    let mut tx = None;
    let mut offer = Some(offer);
    turns(task.count, |sequence| {
        // Once it is told to go, the receiver is there.
        let tx = tx.get_or_insert_with(|| C::accept(offer.take().expect("once")));
        sequence.for_each(|n| tx.make(&mut place, n));
    });
}

fn receive<C: Carrier<N>, const N: usize>(task: Task, address: &str) {
    let mut rx = C::attach(address, task.capacity);
    let mut place = [0; N];
    timed_turns(task.count, |sequence| {
        sequence.for_each(|n| rx.look(&mut place, |message| check(message, n)));
    });
}

/// Both sides are threads of the other worker.
fn idle<L: Local<N>, const N: usize>() {
    stand_by();
}

/// The other worker does it all.
fn stand_by() {
    say("within a process");
    loop {
        hear();
    }
}

fn both<L: Local<N>, const N: usize>(task: Task) {
    let (mut tx, mut rx) = L::pair(task.capacity);
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(task.core);
        let mut place = [0; N];
        while let Ok(sequence) = told.recv() {
            let sequence: std::ops::Range<u64> = sequence;
            sequence.for_each(|n| tx.make(&mut place, n));
        }
    });
    let mut place = [0; N];
    timed_turns(task.count, |sequence| {
        go.send(sequence.clone()).expect("the other thread");
        sequence.for_each(|n| rx.look(&mut place, |message| check(message, n)));
    });
}

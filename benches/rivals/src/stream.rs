//! How many messages a second go through, one to one, both sides at work without a pause?

use std::io;
use std::sync::mpsc;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::carrier::{Carrier, Local, Receive, Send};
use crate::contest::{Extent as Rounds, Outcome, contest};
use crate::course::{check, timed_turns, turns};
use crate::link::{self, Leftovers, Way};
use crate::machine::Cores;
use crate::table::Series;
use crate::verdict::{Standing, print_rates};
use crate::{Extent, by_way, pair};

/// The rates of one size, in bytes, of each way that takes it.
pub struct Rates {
    pub bytes: usize,
    pub ways: Vec<Way>,
    pub rates: Vec<Series>,
}

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<Vec<Rates>> {
    Ok(vec![
        size::<1>(cores, extent, ways, extent.pick(2_000, 400_000, 1_000_000))?,
        size::<8>(cores, extent, ways, extent.pick(2_000, 200_000, 500_000))?,
        size::<128>(cores, extent, ways, extent.pick(2_000, 50_000, 100_000))?,
        size::<8192>(cores, extent, ways, extent.pick(100, 1_000, 2_000))?,
    ])
}

/// Messages of `N` words, so many in a turn; fewer of those that are calls of the kernel.
fn size<const N: usize>(
    cores: &Cores,
    extent: Extent,
    ways: &[Way],
    count: u64,
) -> io::Result<Rates> {
    let bytes = N * 8;
    // In place is worth it where a message is more than a word.
    let fits = |way: &Way| way.takes(bytes) && (N > 1 || *way != Way::InPlace);
    let ways: Vec<Way> = ways.iter().copied().filter(fits).collect();
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 5, 9) };
    let leftovers = Leftovers::default();
    let start = |way: Way| {
        let count = if way.calls() { count / 20 } else { count };
        let (sender, receiver) = cores.apart;
        let more: [&dyn ToString; 3] = [&bytes, &count, &sender];
        let mut first = pair::worker(
            sender,
            &[&[&"stream" as &dyn ToString, &"send", &way], &more[..]].concat(),
        )?;
        let address = first.hear()?;
        leftovers.note(way, &address);
        let orders =
            [&[&"stream" as &dyn ToString, &"receive", &way], &more[..], &[&address]].concat();
        let mut second = pair::worker(receiver, &orders)?;
        second.hear()?;
        Ok((first, second))
    };
    let outcomes = contest(&ways, rounds, start, |(sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<1>()
    })?;
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
    match bytes {
        8 => work::<1>(&role, way, orders),
        64 => work::<8>(&role, way, orders),
        1024 => work::<128>(&role, way, orders),
        65536 => work::<8192>(&role, way, orders),
        other => panic!("no such stream: {other}"),
    }
}

fn work<const N: usize>(role: &str, way: Way, orders: &mut Orders) {
    let (count, core): (u64, usize) = (orders.next(), orders.next());
    match role {
        "send" => by_way!(way, send::<N>(count), stand_by()),
        "receive" => {
            let address: String = orders.next();
            by_way!(way, receive::<N>(count, &address), both(count, core))
        }
        other => panic!("no such role: {other}"),
    }
}

fn send<C: Carrier<N>, const N: usize>(count: u64) {
    let (offer, address) = C::offer(link::capacity(N * 8));
    say(address);
    let mut place = [0; N];
    let mut tx = None;
    let mut offer = Some(offer);
    turns(count, |sequence| {
        // Once it is told to go, the receiver is there.
        let tx = tx.get_or_insert_with(|| C::accept(offer.take().expect("once")));
        sequence.for_each(|n| tx.make(&mut place, n));
    });
}

fn receive<C: Carrier<N>, const N: usize>(count: u64, address: &str) {
    let mut rx = C::attach(address, link::capacity(N * 8));
    let mut place = [0; N];
    timed_turns(count, |sequence| {
        sequence.for_each(|n| rx.look(&mut place, |message| check(message, n)));
    });
}

/// Both sides are threads of the other worker.
fn stand_by<L: Local<N>, const N: usize>() {
    say("within a process");
    loop {
        hear();
    }
}

fn both<L: Local<N>, const N: usize>(count: u64, core: usize) {
    let (mut tx, mut rx) = L::pair(link::capacity(N * 8));
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(core);
        let mut place = [0; N];
        while let Ok(sequence) = told.recv() {
            let sequence: std::ops::Range<u64> = sequence;
            sequence.for_each(|n| tx.make(&mut place, n));
        }
    });
    let mut place = [0; N];
    timed_turns(count, |sequence| {
        go.send(sequence.clone()).expect("the other thread");
        sequence.for_each(|n| rx.look(&mut place, |message| check(message, n)));
    });
}

//! How many messages a second go through, one to one, both sides at work without a pause?

use std::io;
use std::sync::mpsc;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::carrier::{Carrier, Local, Receive, Send};
use crate::contest::{Extent as Rounds, Outcome, contest};
use crate::course::{check, message, shown, timed_turns, turns};
use crate::link::{Leftovers, Way};
use crate::machine::Cores;
use crate::table::Table;
use crate::{Extent, by_way, pair};

pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<()> {
    size::<1>(cores, extent, ways, extent.pick(2_000, 400_000, 1_000_000))?;
    size::<8>(cores, extent, ways, extent.pick(2_000, 200_000, 500_000))?;
    size::<128>(cores, extent, ways, extent.pick(2_000, 50_000, 100_000))
}

/// Messages of `N` words, so many in a turn; fewer of those that are calls of the kernel.
fn size<const N: usize>(cores: &Cores, extent: Extent, ways: &[Way], count: u64) -> io::Result<()> {
    let rounds = Rounds { rounds: extent.rounds(), turns: extent.pick(1, 5, 9) };
    let leftovers = Leftovers::default();
    let start = |way: Way| {
        let count = if way.calls() { count / 20 } else { count };
        let (sender, receiver) = cores.apart;
        let more: [&dyn ToString; 3] = [&(N * 8), &count, &sender];
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
    let outcomes = contest(ways, rounds, start, |(sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<1>()
    })?;
    let title = format!(
        "Stream of messages of {} B, one to one: million messages a second; {} rounds of {} turns of {count}; a \
         twentieth where a message is a call",
        N * 8,
        rounds.rounds,
        rounds.turns
    );
    let mut table = Table::new(
        title,
        &["", "median", "least", "most", "ns each", "of sysvring", "least", "most"],
    );
    for (&way, Outcome { figures: [rate], ratios: [ratio] }) in ways.iter().zip(&outcomes) {
        let mut cells = rate.cells(2).to_vec();
        cells.push(format!("{:.1}", 1e3 / rate.median()));
        if way != ways[0] {
            cells.extend(ratio.cells(3));
        }
        table.row(way.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    match bytes {
        8 => work::<1>(&role, way, orders),
        64 => work::<8>(&role, way, orders),
        1024 => work::<128>(&role, way, orders),
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
    let (offer, address) = C::offer();
    say(address);
    let mut tx = None;
    let mut offer = Some(offer);
    turns(count, |sequence| {
        // Once it is told to go, the receiver is there.
        let tx = tx.get_or_insert_with(|| C::accept(offer.take().expect("once")));
        sequence.for_each(|n| tx.send(*shown(&message(n))));
    });
}

fn receive<C: Carrier<N>, const N: usize>(count: u64, address: &str) {
    let mut rx = C::attach(address);
    timed_turns(count, |sequence| sequence.for_each(|n| check(&rx.receive(), n)));
}

/// Both sides are threads of the other worker.
fn stand_by<L: Local<N>, const N: usize>() {
    say("within a process");
    loop {
        hear();
    }
}

fn both<L: Local<N>, const N: usize>(count: u64, core: usize) {
    let (mut tx, mut rx) = L::pair();
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(core);
        while let Ok(sequence) = told.recv() {
            let sequence: std::ops::Range<u64> = sequence;
            sequence.for_each(|n| tx.send(*shown(&message(n))));
        }
    });
    timed_turns(count, |sequence| {
        go.send(sequence.clone()).expect("the other thread");
        sequence.for_each(|n| check(&rx.receive(), n));
    });
}

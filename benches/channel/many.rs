//! Many to many: how many messages a second go through, from some processes to some others?
//!
//! Each sender numbers its messages; each receiver looks at every word, and takes its share until its
//! sender's worth of them was received. The time is that of the slowest receiver, from the word to go.

use std::io;

use sysvring::mpmc::{Receiver, Sender};
use sysvring_support::worker::{Orders, Worker, hear, say};

use crate::contest::rotated;
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Series, Table};
use crate::vyukov::Queue;
use crate::{Extent, clock};

const WAYS: &[Way] = &[Way::Vyukov, Way::Many, Way::ManyInPlace];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let count = extent.pick(4_000, 200_000, 400_000);
    shape::<1>(cores, extent, 1, count, 0.6)?;
    shape::<8>(cores, extent, 1, count, 0.0)?;
    shape::<1>(cores, extent, 4, count / 4, 0.0)
}

/// `n` senders and as many receivers, messages of `N` words.
fn shape<const N: usize>(
    cores: &Cores,
    extent: Extent,
    n: usize,
    each: u64,
    goal: f64,
) -> io::Result<()> {
    let (rounds, turns) = (extent.rounds(), extent.pick(1, 5, 9));
    let mut rates = vec![Series::default(); WAYS.len()];
    let mut ratios = rates.clone();
    for round in 0..rounds {
        let mut teams = WAYS
            .iter()
            .map(|&way| start::<N>(way, cores, n, each))
            .collect::<io::Result<Vec<_>>>()?;
        let mut figures: Vec<Series> = vec![Series::default(); WAYS.len()];
        for turn in 0..turns {
            for i in rotated(WAYS.len(), round + turn) {
                figures[i].push(go(&mut teams[i], n, each)?);
            }
        }
        for i in 0..WAYS.len() {
            rates[i].push(figures[i].median());
            ratios[i].push(figures[i].over(&figures[0]).median());
        }
    }
    let title = format!(
        "Many to many, {n} to {n} on two processors, {} B: million messages a second; {rounds} rounds of \
         {turns} turns of {}",
        N * 8,
        each * n as u64
    );
    let heads =
        ["", "median", "least", "most", "ns each", "of Vyukov's", "least", "most", "goal", ""];
    let mut table = Table::new(title, &heads);
    for (i, &way) in WAYS.iter().enumerate() {
        let mut cells = rates[i].cells(1).to_vec();
        cells.push(format!("{:.1}", 1e3 / rates[i].median()));
        if i != 0 {
            cells.extend(ratios[i].cells(2));
            let goal =
                if goal > 0.0 && way == Way::Many { Goal::AtLeast(goal) } else { Goal::None };
            cells.extend(goal.cells(ratios[i].median()));
        }
        table.row(way.label(), cells);
    }
    table.print();
    Ok(())
}

/// The senders, then the receivers of one way.
fn start<const N: usize>(way: Way, cores: &Cores, n: usize, each: u64) -> io::Result<Vec<Worker>> {
    let mut team: Vec<Worker> = Vec::new();
    let mut address = String::from("none");
    for i in 0..2 * n {
        let (role, core) = match i < n {
            true => ("send", cores.apart.0),
            false => ("receive", cores.apart.1),
        };
        // Of several on two processors, both kinds on both.
        let core = if n > 1 && i % 2 == 1 { cores.apart.0 + cores.apart.1 - core } else { core };
        let orders: [&dyn ToString; 6] = [&"many", &role, &way, &(N * 8), &each, &address];
        let mut worker = pair::worker(core, &orders)?;
        let said = worker.hear()?;
        if i == 0 {
            address = said;
        }
        team.push(worker);
    }
    Ok(team)
}

/// One turn: million messages a second.
fn go(team: &mut [Worker], n: usize, each: u64) -> io::Result<f64> {
    for worker in team.iter_mut() {
        worker.tell("go")?;
    }
    let (mut first, mut last) = (f64::MAX, 0.0_f64);
    for receiver in &mut team[n..] {
        let [start, end] = receiver.figures()?;
        (first, last) = (first.min(start), last.max(end));
    }
    Ok((each * n as u64) as f64 / (last - first) * 1e3)
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    let (each, address): (u64, String) = (orders.next(), orders.next());
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(way, each, &address),
        ("send", 64) => send::<8>(way, each, &address),
        ("receive", 8) => receive::<1>(way, each, &address),
        ("receive", 64) => receive::<8>(way, each, &address),
        other => panic!("no such work: {other:?}"),
    }
}

fn message<const N: usize>(n: u64) -> [u64; N] {
    std::array::from_fn(|i| n + i as u64)
}

fn check<const N: usize>(message: &[u64; N]) {
    let first = message[0];
    assert!(message.iter().zip(first..).all(|(word, right)| *word == right), "a torn message");
}

/// A sender's course: told to go, it sends its turn.
fn turns(each: u64, mut send: impl FnMut(u64)) {
    loop {
        hear();
        (0..each).for_each(&mut send);
    }
}

/// A receiver's course, and the result of each turn: when it began and ended.
fn timed_turns(each: u64, mut receive: impl FnMut()) {
    say("ready");
    loop {
        hear();
        let start = clock::now();
        (0..each).for_each(|_| receive());
        say(format!("{start} {}", clock::now()));
    }
}

fn send<const N: usize>(way: Way, each: u64, address: &str) {
    if way == Way::Vyukov {
        let queue = match address {
            "none" => Queue::<N>::create(),
            address => Queue::attach(address),
        };
        say(queue.address());
        return turns(each, |n| queue.send(&message(n)));
    }
    let tx: Sender<[u64; N]> = match address {
        "none" => link::many_sender(way),
        address => link::many(way, address),
    };
    say(tx.id());
    if way == Way::ManyInPlace {
        turns(each, |n| {
            let mut loan = tx.loan().expect("loan");
            *loan = message(n);
            loan.commit().expect("commit");
        })
    } else {
        turns(each, |n| tx.send(&message(n)).expect("send"))
    }
}

fn receive<const N: usize>(way: Way, each: u64, address: &str) {
    if way == Way::Vyukov {
        let queue = Queue::<N>::attach(address);
        return timed_turns(each, || check(&queue.recv()));
    }
    let rx: Receiver<[u64; N]> = link::many(way, address);
    if way == Way::ManyInPlace {
        timed_turns(each, || check(&rx.recv_ref().expect("receive in place")))
    } else {
        timed_turns(each, || check(&rx.recv().expect("receive")))
    }
}

//! SPSC throughput while both sides work without a pause.
//!
//! The work is the same for every transport: the sender writes every word of each message; the
//! receiver reads every word and checks the sequence. The receiver measures each turn from the end
//! of its first tenth to its last message.

use std::io;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, say};

use crate::contest::{Outcome, contest};
use crate::course::{check, message, shown, timed_turns, turns};
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Table};
use crate::yardstick::{Consumer, Producer};
use crate::{Extent, contest};

const SMALL: &[Way] = &[Way::Raw, Way::Balanced, Way::Spin, Way::Batch];
const MIDDLE: &[Way] = &[Way::Raw, Way::Balanced, Way::Spin, Way::InPlace, Way::Batch];
const LARGE: &[Way] = &[Way::Raw, Way::Balanced, Way::Spin, Way::Into, Way::InPlace];

/// Messages per batch.
const BATCH: usize = 16;

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    size::<1>(SMALL, extent.pick(20_000, 1_000_000, 2_000_000), 0.9, cores, extent)?;
    size::<8>(MIDDLE, extent.pick(20_000, 500_000, 1_000_000), 0.9, cores, extent)?;
    size::<128>(LARGE, extent.pick(20_000, 100_000, 200_000), 0.95, cores, extent)
}

/// Messages of `N` words.
fn size<const N: usize>(
    ways: &[Way],
    count: u64,
    goal: f64,
    cores: &Cores,
    extent: Extent,
) -> io::Result<()> {
    let extent = contest::Extent { rounds: extent.rounds(), turns: extent.pick(1, 7, 9) };
    let start = |way| pair::start("stream", way, cores.apart, &[&(N * 8), &count]);
    let outcomes = contest(ways, extent, start, |_, (sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<1>()
    })?;
    let title = format!(
        "SPSC throughput, {} B: Mmsg/s; {} rounds x {} turns of {count} messages",
        N * 8,
        extent.rounds,
        extent.turns
    );
    let heads = ["", "median", "min", "max", "ns/msg", "vs baseline", "min", "max", "target", ""];
    let mut table = Table::new(title, &heads);
    for (&way, Outcome { figures: [rate], ratios: [ratio] }) in ways.iter().zip(&outcomes) {
        let mut cells = rate.cells(1).to_vec();
        cells.push(format!("{:.2}", 1e3 / rate.median()));
        if way != Way::Raw {
            cells.extend(ratio.cells(2));
            if matches!(way, Way::Balanced | Way::Spin | Way::Into) {
                cells.extend(Goal::AtLeast(goal).cells(ratio.median()));
            }
        }
        table.row(way.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    let count: u64 = orders.next();
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(way, count),
        ("send", 64) => send::<8>(way, count),
        ("send", 1024) => send::<128>(way, count),
        ("receive", 8) => receive::<1>(way, count, &orders.next::<String>()),
        ("receive", 64) => receive::<8>(way, count, &orders.next::<String>()),
        ("receive", 1024) => receive::<128>(way, count, &orders.next::<String>()),
        other => panic!("unknown stream: {other:?}"),
    }
}

fn send<const N: usize>(way: Way, count: u64) {
    match way {
        Way::Raw => {
            let mut tx = Producer::<[u64; N]>::create();
            say(tx.address());
            turns(count, |sequence| {
                for n in sequence {
                    tx.send(shown(&message(n)));
                }
            });
        }
        Way::InPlace => {
            let mut tx: Sender<[u64; N]> = link::sender(way);
            say(tx.id());
            turns(count, |sequence| {
                for n in sequence {
                    let mut loan = tx.loan().expect("loan");
                    *loan = message(n);
                    loan.commit();
                }
            });
        }
        Way::Batch => {
            let mut tx: Sender<[u64; N]> = link::sender(way);
            say(tx.id());
            turns(count, |sequence| {
                for n in sequence.clone().step_by(BATCH) {
                    let many: [[u64; N]; BATCH] = std::array::from_fn(|i| message(n + i as u64));
                    let left = (sequence.end - n).min(BATCH as u64) as usize;
                    tx.send_batch(&shown(&many)[..left]).expect("send a batch");
                }
            });
        }
        _ => {
            let mut tx: Sender<[u64; N]> = link::sender(way);
            say(tx.id());
            turns(count, |sequence| {
                for n in sequence {
                    tx.send(shown(&message(n))).expect("send");
                }
            });
        }
    }
}

fn receive<const N: usize>(way: Way, count: u64, address: &str) {
    match way {
        Way::Raw => {
            let mut rx = Consumer::<[u64; N]>::attach(address);
            let mut message = [0; N];
            timed_turns(count, |sequence| {
                for n in sequence {
                    rx.recv(&mut message);
                    check(&message, n);
                }
            });
        }
        Way::Into => {
            let mut rx: Receiver<[u64; N]> = link::receiver(way, address);
            let mut message = [0; N];
            timed_turns(count, |sequence| {
                for n in sequence {
                    rx.recv_into(&mut message).expect("receive");
                    check(&message, n);
                }
            });
        }
        Way::InPlace => {
            let mut rx: Receiver<[u64; N]> = link::receiver(way, address);
            timed_turns(count, |sequence| {
                for n in sequence {
                    check(&rx.recv_ref().expect("receive in place"), n);
                }
            });
        }
        Way::Batch => {
            let mut rx: Receiver<[u64; N]> = link::receiver(way, address);
            let mut many = Vec::with_capacity(BATCH);
            timed_turns(count, |sequence| {
                let mut n = sequence.start;
                while n < sequence.end {
                    many.clear();
                    let left = (sequence.end - n).min(BATCH as u64) as usize;
                    rx.recv_batch(&mut many, left).expect("receive a batch");
                    for message in &many {
                        check(message, n);
                        n += 1;
                    }
                }
            });
        }
        _ => {
            let mut rx: Receiver<[u64; N]> = link::receiver(way, address);
            timed_turns(count, |sequence| {
                for n in sequence {
                    match &rx.recv() {
                        Ok(message) => check(message, n),
                        Err(error) => panic!("receive: {error}"),
                    }
                }
            });
        }
    }
}

//! SPSC throughput while both sides work without a pause.
//!
//! The work is the same for every transport: the sender writes every word of each message; the
//! receiver reads every word and checks the sequence. The receiver measures each turn from the end
//! of its first tenth to its last message.

use std::io;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, say};

use crate::Effort;
use crate::baseline::{Consumer, Producer};
use crate::interleave::Schedule;
use crate::interleave::{Outcome, interleave};
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Bound, Table};
use crate::workload::{check, message, shown, timed_turns, turns};

const SMALL: &[Transport] =
    &[Transport::Baseline, Transport::Balanced, Transport::Spin, Transport::Batch];
const MIDDLE: &[Transport] = &[
    Transport::Baseline,
    Transport::Balanced,
    Transport::Spin,
    Transport::InPlace,
    Transport::Batch,
];
const LARGE: &[Transport] = &[
    Transport::Baseline,
    Transport::Balanced,
    Transport::Spin,
    Transport::Into,
    Transport::InPlace,
];

/// Messages per batch.
const BATCH: usize = 16;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    size::<1>(SMALL, effort.pick(20_000, 1_000_000, 2_000_000), 0.9, cores, effort)?;
    size::<8>(MIDDLE, effort.pick(20_000, 500_000, 1_000_000), 0.9, cores, effort)?;
    size::<128>(LARGE, effort.pick(20_000, 100_000, 200_000), 0.95, cores, effort)
}

/// Messages of `N` words.
fn size<const N: usize>(
    transports: &[Transport],
    count: u64,
    goal: f64,
    cores: &Cores,
    effort: Effort,
) -> io::Result<()> {
    let effort = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 7, 9) };
    let start = |transport| pair::start("stream", transport, cores.apart, &[&(N * 8), &count]);
    let outcomes = interleave(transports, effort, start, |_, (sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<1>()
    })?;
    let title = format!(
        "SPSC throughput, {} B: Mmsg/s; {} rounds x {} turns of {count} messages",
        N * 8,
        effort.rounds,
        effort.turns
    );
    let heads = ["", "median", "min", "max", "ns/msg", "vs baseline", "min", "max", "target", ""];
    let mut table = Table::new(title, &heads);
    for (&transport, Outcome { figures: [rate], ratios: [ratio] }) in
        transports.iter().zip(&outcomes)
    {
        let mut cells = rate.cells(1).to_vec();
        cells.push(format!("{:.2}", 1e3 / rate.median()));
        if transport != Transport::Baseline {
            cells.extend(ratio.cells(2));
            if matches!(transport, Transport::Balanced | Transport::Spin | Transport::Into) {
                cells.extend(Bound::AtLeast(goal).cells(ratio.median()));
            }
        }
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Orders) {
    let (role, transport, bytes): (String, Transport, usize) =
        (args.next(), args.next(), args.next());
    let count: u64 = args.next();
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(transport, count),
        ("send", 64) => send::<8>(transport, count),
        ("send", 1024) => send::<128>(transport, count),
        ("receive", 8) => receive::<1>(transport, count, &args.next::<String>()),
        ("receive", 64) => receive::<8>(transport, count, &args.next::<String>()),
        ("receive", 1024) => receive::<128>(transport, count, &args.next::<String>()),
        other => panic!("unknown stream: {other:?}"),
    }
}

fn send<const N: usize>(transport: Transport, count: u64) {
    match transport {
        Transport::Baseline => {
            let mut tx = Producer::<[u64; N]>::create();
            say(tx.address());
            turns(count, |sequence| {
                for n in sequence {
                    tx.send(shown(&message(n)));
                }
            });
        }
        Transport::InPlace => {
            let mut tx: Sender<[u64; N]> = link::sender(transport);
            say(tx.id());
            turns(count, |sequence| {
                for n in sequence {
                    let mut loan = tx.loan().expect("loan");
                    *loan = message(n);
                    loan.commit();
                }
            });
        }
        Transport::Batch => {
            let mut tx: Sender<[u64; N]> = link::sender(transport);
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
            let mut tx: Sender<[u64; N]> = link::sender(transport);
            say(tx.id());
            turns(count, |sequence| {
                for n in sequence {
                    tx.send(shown(&message(n))).expect("send");
                }
            });
        }
    }
}

fn receive<const N: usize>(transport: Transport, count: u64, address: &str) {
    match transport {
        Transport::Baseline => {
            let mut rx = Consumer::<[u64; N]>::attach(address);
            let mut message = [0; N];
            timed_turns(count, |sequence| {
                for n in sequence {
                    rx.recv(&mut message);
                    check(&message, n);
                }
            });
        }
        Transport::Into => {
            let mut rx: Receiver<[u64; N]> = link::receiver(transport, address);
            let mut message = [0; N];
            timed_turns(count, |sequence| {
                for n in sequence {
                    rx.recv_into(&mut message).expect("receive");
                    check(&message, n);
                }
            });
        }
        Transport::InPlace => {
            let mut rx: Receiver<[u64; N]> = link::receiver(transport, address);
            timed_turns(count, |sequence| {
                for n in sequence {
                    check(&rx.recv_ref().expect("receive in place"), n);
                }
            });
        }
        Transport::Batch => {
            let mut rx: Receiver<[u64; N]> = link::receiver(transport, address);
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
            let mut rx: Receiver<[u64; N]> = link::receiver(transport, address);
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

//! One-way latency of a message while the receiver is awake and spinning.
//!
//! Ping-pong through two channels: half of the round trip. Both sides stay awake.

use std::io;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::Effort;
use crate::baseline::{Consumer, Line, Producer};
use crate::interleave::Schedule;
use crate::interleave::{Outcome, interleave};
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Bound, Table};
use crate::trip::{timed_turns, turns};

const TRANSPORTS: &[Transport] =
    &[Transport::Baseline, Transport::Balanced, Transport::Spin, Transport::CacheLine];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let count: u64 = effort.pick(2_000, 20_000, 30_000);
    let effort = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 7, 9) };
    let start = |transport| {
        let (first, second) = cores.apart;
        let mut server = pair::worker(first, &[&"one-way", &"serve", &transport, &count])?;
        let there = server.hear()?;
        let mut returner =
            pair::worker(second, &[&"one-way", &"return", &transport, &count, &there])?;
        server.tell(&returner.hear()?)?;
        Ok((server, returner))
    };
    let outcomes = interleave(TRANSPORTS, effort, start, |_, (server, returner)| {
        returner.tell("go")?;
        server.tell("go")?;
        server.figures::<4>()
    })?;
    let title = format!(
        "One-way latency of 8 B, both awake: ns, half of the round trip; {} rounds x {} turns of {count} messages",
        effort.rounds, effort.turns
    );
    let heads = ["", "p50", "min", "max", "p99", "p50 vs baseline", "min", "max", "target", ""];
    let mut table = Table::new(title, &heads);
    for (&transport, Outcome { figures: [p50, p99, ..], ratios: [ratio, ..] }) in
        TRANSPORTS.iter().zip(&outcomes)
    {
        let mut cells = p50.cells(0).to_vec();
        cells.push(format!("{:.0}", p99.median()));
        if transport != Transport::Baseline {
            cells.extend(ratio.cells(2));
            if transport != Transport::CacheLine {
                cells.extend(Bound::AtMost(0.7).cells(ratio.median()));
            }
        }
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Orders) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let count: u64 = args.next();
    match role.as_str() {
        "serve" => serve(transport, count),
        "return" => answer_all(transport, count, &args.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

/// Sends, receives the answer, and measures the round trip.
fn serve(transport: Transport, count: u64) {
    match transport {
        Transport::Baseline => {
            let mut tx = Producer::<u64>::create();
            say(tx.address());
            let mut rx = Consumer::<u64>::attach(&hear());
            let mut answer = 0;
            timed_turns(count, |n| {
                tx.send(&n);
                rx.recv(&mut answer);
                answer
            });
        }
        Transport::CacheLine => {
            let tx = Line::create();
            say(tx.address());
            let rx = Line::attach(&hear());
            timed_turns(count, |n| {
                tx.send(n);
                rx.recv(n - 1)
            });
        }
        _ => {
            let mut tx: Sender<u64> = link::sender(transport);
            say(tx.id());
            let mut rx: Receiver<u64> = link::receiver(transport, &hear());
            timed_turns(count, |n| {
                tx.send(&n).expect("send");
                rx.recv().expect("receive")
            });
        }
    }
}

/// Returns each received message.
fn answer_all(transport: Transport, count: u64, address: &str) {
    match transport {
        Transport::Baseline => {
            let mut rx = Consumer::<u64>::attach(address);
            let mut tx = Producer::<u64>::create();
            say(tx.address());
            let mut message = 0;
            turns(count, || {
                rx.recv(&mut message);
                tx.send(&message);
            });
        }
        Transport::CacheLine => {
            let rx = Line::attach(address);
            let tx = Line::create();
            say(tx.address());
            let mut message = 0;
            turns(count, || {
                message = rx.recv(message);
                tx.send(message);
            });
        }
        _ => {
            let mut rx: Receiver<u64> = link::receiver(transport, address);
            let mut tx: Sender<u64> = link::sender(transport);
            say(tx.id());
            turns(count, || {
                let message = rx.recv().expect("receive");
                tx.send(&message).expect("send");
            });
        }
    }
}

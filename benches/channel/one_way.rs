//! One-way latency of a message while the receiver is awake and spinning.
//!
//! Ping-pong through two channels: half of the round trip. Both sides stay awake.

use std::io;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::contest::{Outcome, contest};
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Table};
use crate::trip::{timed_turns, turns};
use crate::yardstick::{Consumer, Line, Producer};
use crate::{Extent, contest};

const WAYS: &[Way] = &[Way::Raw, Way::Balanced, Way::Spin, Way::Line];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let count: u64 = extent.pick(2_000, 20_000, 30_000);
    let extent = contest::Extent { rounds: extent.rounds(), turns: extent.pick(1, 7, 9) };
    let start = |way| {
        let (first, second) = cores.apart;
        let mut server = pair::worker(first, &[&"one-way", &"serve", &way, &count])?;
        let there = server.hear()?;
        let mut returner = pair::worker(second, &[&"one-way", &"return", &way, &count, &there])?;
        server.tell(&returner.hear()?)?;
        Ok((server, returner))
    };
    let outcomes = contest(WAYS, extent, start, |_, (server, returner)| {
        returner.tell("go")?;
        server.tell("go")?;
        server.figures::<4>()
    })?;
    let title = format!(
        "One-way latency of 8 B, both awake: ns, half of the round trip; {} rounds x {} turns of {count} messages",
        extent.rounds, extent.turns
    );
    let heads = ["", "p50", "min", "max", "p99", "p50 vs baseline", "min", "max", "target", ""];
    let mut table = Table::new(title, &heads);
    for (&way, Outcome { figures: [p50, p99, ..], ratios: [ratio, ..] }) in
        WAYS.iter().zip(&outcomes)
    {
        let mut cells = p50.cells(0).to_vec();
        cells.push(format!("{:.0}", p99.median()));
        if way != Way::Raw {
            cells.extend(ratio.cells(2));
            if way != Way::Line {
                cells.extend(Goal::AtMost(0.7).cells(ratio.median()));
            }
        }
        table.row(way.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way): (String, Way) = (orders.next(), orders.next());
    let count: u64 = orders.next();
    match role.as_str() {
        "serve" => serve(way, count),
        "return" => give_back(way, count, &orders.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

/// Sends, receives the answer, and measures the round trip.
fn serve(way: Way, count: u64) {
    match way {
        Way::Raw => {
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
        Way::Line => {
            let tx = Line::create();
            say(tx.address());
            let rx = Line::attach(&hear());
            timed_turns(count, |n| {
                tx.send(n);
                rx.recv(n - 1)
            });
        }
        _ => {
            let mut tx: Sender<u64> = link::sender(way);
            say(tx.id());
            let mut rx: Receiver<u64> = link::receiver(way, &hear());
            timed_turns(count, |n| {
                tx.send(&n).expect("send");
                rx.recv().expect("receive")
            });
        }
    }
}

/// Returns each received message.
fn give_back(way: Way, count: u64, address: &str) {
    match way {
        Way::Raw => {
            let mut rx = Consumer::<u64>::attach(address);
            let mut tx = Producer::<u64>::create();
            say(tx.address());
            let mut message = 0;
            turns(count, || {
                rx.recv(&mut message);
                tx.send(&message);
            });
        }
        Way::Line => {
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
            let mut rx: Receiver<u64> = link::receiver(way, address);
            let mut tx: Sender<u64> = link::sender(way);
            say(tx.id());
            turns(count, || {
                let message = rx.recv().expect("receive");
                tx.send(&message).expect("send");
            });
        }
    }
}

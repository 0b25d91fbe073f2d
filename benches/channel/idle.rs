//! What does a side cost that sleeps?
//!
//! Processor time of one blocked call over some seconds, in user code and in the kernel, from its
//! spinning at the start to its waking at the end. All wait at once: they need no processor.

use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Table};
use crate::{Extent, clock};

const WAYS: &[Way] = &[Way::Pipe, Way::Balanced, Way::Park];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let time = Duration::from_millis(extent.pick(100, 3_000, 10_000));
    let mut waiting = Vec::new();
    for &way in WAYS {
        for sleeper in ["receiver", "sender"] {
            let (mut sender, receiver) = pair::start("idle", way, cores.apart, &[&sleeper])?;
            sender.tell("go")?;
            waiting.push((way, sleeper, sender, receiver));
        }
    }
    sleep(time);
    let title = format!(
        "Idle: processor time of a call that blocks for {} s (a receiver's on an empty channel, a sender's \
         on a full one)",
        time.as_secs_f64()
    );
    let mut table = Table::new(title, &["", "ms", "% of a processor", "sleeps", "goal, %", ""]);
    for (way, sleeper, mut sender, mut receiver) in waiting {
        let [worked, sleeps] = if sleeper == "receiver" {
            sender.tell("send one")?;
            receiver.figures()?
        } else {
            receiver.tell("receive one")?;
            sender.figures()?
        };
        let share = worked / time.as_nanos() as f64 * 100.0;
        let mut cells =
            vec![format!("{:.3}", worked / 1e6), format!("{share:.4}"), format!("{sleeps:.0}")];
        if way != Way::Pipe {
            cells.extend(Goal::AtMost(0.1).cells(share));
        }
        table.row(format!("{}, {sleeper}", way.label()), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way, sleeper): (String, Way, String) = (orders.next(), orders.next(), orders.next());
    match (role.as_str(), way) {
        ("send", Way::Pipe) => {
            let (mut tx, address) = link::pipe_sender();
            say(address);
            // Filled page by page, then one more.
            send(&sleeper, 16, || tx.write_all(&[0; 4096]).expect("write"));
        }
        ("send", _) => {
            let mut tx: Sender<u64> = link::sender(way);
            say(tx.id());
            let capacity = tx.capacity();
            send(&sleeper, capacity, || tx.send(&7).expect("send"));
        }
        ("receive", Way::Pipe) => {
            let mut rx = link::pipe_receiver(&orders.next::<String>());
            // What one call of the sender wrote.
            receive(&sleeper, 1, || rx.read_exact(&mut [0; 4096]).expect("read"));
        }
        ("receive", _) => {
            let mut rx: Receiver<u64> = link::receiver(way, &orders.next::<String>());
            let half = rx.capacity() / 2 + 1;
            receive(&sleeper, half, || _ = rx.recv().expect("receive"));
        }
        other => panic!("no such role: {other:?}"),
    }
}

/// `fill` calls fill the link. A channel's sender is woken when half of it is free again.
fn send(sleeper: &str, fill: usize, mut call: impl FnMut()) {
    hear();
    if sleeper == "sender" {
        for _ in 0..fill {
            call();
        }
        measured(call);
    } else {
        hear();
        call();
    }
    hear();
}

fn receive(sleeper: &str, free: usize, mut call: impl FnMut()) {
    say("ready");
    if sleeper == "receiver" {
        measured(call);
    } else {
        hear();
        for _ in 0..free {
            call();
        }
    }
    hear();
}

/// One call that blocks: its processor time and how often it slept.
fn measured(mut call: impl FnMut()) {
    let (worked, sleeps) = (clock::worked(), clock::sleeps());
    call();
    say(format!("{} {}", clock::worked() - worked, clock::sleeps() - sleeps));
}

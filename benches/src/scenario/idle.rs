//! Idle CPU usage of a blocked call.
//!
//! CPU time, user and system, of one blocked call over some seconds, from its initial spinning to
//! its wake-up. All calls block at the same time, since they need no processor.

use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Bound, Table};
use crate::{Effort, clock};

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Balanced, Transport::Park];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let time = Duration::from_millis(effort.pick(100, 3_000, 10_000));
    let mut waiting = Vec::new();
    for &transport in TRANSPORTS {
        for blocked in ["receiver", "sender"] {
            let (mut sender, receiver) = pair::start("idle", transport, cores.apart, &[&blocked])?;
            sender.tell("go")?;
            waiting.push((transport, blocked, sender, receiver));
        }
    }
    sleep(time);
    let title = format!(
        "Idle CPU: CPU time of a call that blocks for {} s (receiver: empty channel, sender: full \
         channel)",
        time.as_secs_f64()
    );
    let mut table =
        Table::new(title, &["", "ms", "% of one CPU", "context switches", "target, %", ""]);
    for (transport, blocked, mut sender, mut receiver) in waiting {
        let [worked, sleeps] = if blocked == "receiver" {
            sender.tell("send one")?;
            receiver.figures()?
        } else {
            receiver.tell("receive one")?;
            sender.figures()?
        };
        let share = worked / time.as_nanos() as f64 * 100.0;
        let mut cells =
            vec![format!("{:.3}", worked / 1e6), format!("{share:.4}"), format!("{sleeps:.0}")];
        if transport != Transport::Pipe {
            cells.extend(Bound::AtMost(0.1).cells(share));
        }
        table.row(format!("{}, {blocked}", transport.label()), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Orders) {
    let (role, transport, blocked): (String, Transport, String) =
        (args.next(), args.next(), args.next());
    match (role.as_str(), transport) {
        ("send", Transport::Pipe) => {
            let (mut tx, address) = link::pipe_sender();
            say(address);
            // Fills the pipe page by page, then blocks on one more.
            send(&blocked, 16, || tx.write_all(&[0; 4096]).expect("write"));
        }
        ("send", _) => {
            let mut tx: Sender<u64> = link::sender(transport);
            say(tx.id());
            let capacity = tx.capacity();
            send(&blocked, capacity, || tx.send(&7).expect("send"));
        }
        ("receive", Transport::Pipe) => {
            let mut rx = link::pipe_receiver(&args.next::<String>());
            // Reads what one call of the sender wrote.
            receive(&blocked, 1, || rx.read_exact(&mut [0; 4096]).expect("read"));
        }
        ("receive", _) => {
            let mut rx: Receiver<u64> = link::receiver(transport, &args.next::<String>());
            let half = rx.capacity() / 2 + 1;
            receive(&blocked, half, || _ = rx.recv().expect("receive"));
        }
        other => panic!("unknown role: {other:?}"),
    }
}

/// `fill` calls fill the link. A blocked channel sender is woken when half of the slots are free.
fn send(blocked: &str, fill: usize, mut call: impl FnMut()) {
    hear();
    if blocked == "sender" {
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

fn receive(blocked: &str, free: usize, mut call: impl FnMut()) {
    say("ready");
    if blocked == "receiver" {
        measured(call);
    } else {
        hear();
        for _ in 0..free {
            call();
        }
    }
    hear();
}

/// Runs one blocking call and reports its CPU time and number of context switches.
fn measured(mut call: impl FnMut()) {
    let (worked, sleeps) = (clock::worked(), clock::sleeps());
    call();
    say(format!("{} {}", clock::worked() - worked, clock::sleeps() - sleeps));
}

//! Idle CPU usage of a blocked call.
//!
//! CPU time, user and system, of one blocked call over some seconds, from its initial spinning to
//! its wake-up. All calls block at the same time, since they need no processor.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::machine::Cores;
use crate::report::table::{Bound, Table};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::transport::{Transport, ends};
use crate::{by_transport, clock};

/// Words per message: a page, of which a pipe holds as many as the channel has slots.
const PAGE: usize = 512;
const CAPACITY: usize = 16;

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Sysvring, Transport::Park];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let time = Duration::from_millis(effort.pick(100, 3_000, 10_000));
    let mut waiting = Vec::new();
    for &transport in TRANSPORTS {
        for blocked in ["receiver", "sender"] {
            let (mut sender, receiver) = ends::start("idle", transport, cores.apart, &[&blocked])?;
            sender.write_line("go")?;
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
            sender.write_line("send one")?;
            receiver.figures()?
        } else {
            receiver.write_line("receive one")?;
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

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let blocked: String = args.next();
    match role.as_str() {
        "send" => by_transport!(transport, send::<PAGE>(&blocked)),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<PAGE>(&blocked, &address))
        }
        other => panic!("unknown role: {other}"),
    }
}

fn send<T: IpcTransport<N>, const N: usize>(blocked: &str) {
    let (accept, address) = T::offer(CAPACITY);
    print_line(address);
    read_line();
    let mut tx = accept();
    if blocked == "sender" {
        for _ in 0..CAPACITY {
            tx.send(&[7; N]);
        }
        measured(|| tx.send(&[7; N]));
    } else {
        read_line();
        tx.send(&[7; N]);
    }
    read_line();
}

/// A blocked channel sender is woken when half of the slots are free.
fn receive<T: IpcTransport<N>, const N: usize>(blocked: &str, address: &str) {
    let mut rx = T::attach(address, CAPACITY);
    print_line("ready");
    if blocked == "receiver" {
        measured(|| _ = rx.receive_one());
    } else {
        read_line();
        for _ in 0..CAPACITY / 2 + 1 {
            rx.receive_one();
        }
    }
    read_line();
}

/// Runs one blocking call and reports its CPU time and number of context switches.
fn measured(call: impl FnOnce()) {
    let (worked, sleeps) = (clock::worked(), clock::sleeps());
    call();
    print_line(format!("{} {}", clock::worked() - worked, clock::sleeps() - sleeps));
}

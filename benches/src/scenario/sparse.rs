//! CPU time and system calls per message at low rates, when the receiver parks before each message.
//!
//! The sender sleeps until the next message is due, at 100 and at 1,000 per second. Reported are
//! the CPU time per message of each side, user and system, compared with a pipe and a Unix socket
//! between the same two processors, and, in a separate run, the system calls of both sides.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::interleave::{Outcome, Schedule, interleave};
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::table::{Table, figure};
use crate::trace::{self, Counts, Tracer};
use crate::{Effort, clock, pair, syscalls};

const TRANSPORTS: &[Transport] =
    &[Transport::Pipe, Transport::Socket, Transport::Balanced, Transport::Park];

/// Messages that warm up.
const WARM_UP: u64 = 20;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    for rate in [100_u64, 1_000] {
        time(cores, rate, effort)?;
    }
    calls(cores, effort)
}

fn time(cores: &Cores, rate: u64, effort: Effort) -> io::Result<()> {
    let count = effort.pick(5, rate, rate);
    let times = Schedule { rounds: effort.pick(1, 3, 5), turns: 1 };
    let start = |transport| pair::start("sparse", transport, cores.apart, &[&rate, &count]);
    let outcomes = interleave(TRANSPORTS, times, start, |_, (sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        let ([sent], [received]) = (sender.figures::<1>()?, receiver.figures::<1>()?);
        Ok([sent + received, sent, received])
    })?;
    let title = format!(
        "Low rate: CPU time per message at {rate} msg/s, us; {} rounds of {count} messages",
        times.rounds
    );
    let heads = ["", "both sides", "min", "max", "sender", "receiver", "vs pipe", "min", "max"];
    let mut table = Table::new(title, &heads);
    for (transport, outcome) in TRANSPORTS.iter().zip(&outcomes) {
        let Outcome { figures: [both, sender, receiver], ratios: [ratio, ..] } = outcome;
        let mut cells = both.cells(1).to_vec();
        cells.extend([sender, receiver].map(|part| format!("{:.1}", part.median())));
        cells.extend(ratio.cells(2));
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

/// Counts the system calls of each side. A traced call takes long enough for any spinning to end.
fn calls(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (rate, count) = (200_u64, effort.pick(5, 100, 400));
    let title = format!("System calls per message that wakes a receiver; {count} messages");
    let mut table = Table::new(
        title,
        &["", "sender", "receiver", "calls of the sender", "calls of the receiver"],
    );
    for &transport in TRANSPORTS {
        let (mut sender, mut receiver) =
            pair::start("sparse", transport, cores.apart, &[&rate, &count])?;
        let (sending, receiving) = (sender.pid(), receiver.pid());
        let tracer = Tracer::attach(&[sending, receiving])?;
        receiver.tell("go")?;
        sender.tell("go")?;
        let found = tracer.count_each()?;
        let [sums, lists]: [Vec<String>; 2] = {
            let sides = [sending, receiving].map(|pid| describe(&found, pid, count));
            [
                sides.iter().map(|s| s.0.clone()).collect(),
                sides.iter().map(|s| s.1.clone()).collect(),
            ]
        };
        table.row(transport.label(), sums.into_iter().chain(lists));
    }
    table.print();
    Ok(())
}

/// Describes the calls per message, without the pause between two: the number, and which calls.
fn describe(found: &HashMap<i32, Counts>, pid: i32, count: u64) -> (String, String) {
    let calls = found.get(&pid).cloned().unwrap_or_default();
    let calls = calls.into_iter().filter(|(number, _)| *number != libc::SYS_clock_nanosleep);
    let each: Vec<(String, f64)> =
        calls.map(|(number, n)| (syscalls::name(number), n as f64 / count as f64)).collect();
    let sum = each.iter().map(|(_, n)| n).sum::<f64>();
    let list: Vec<String> = each.iter().map(|(name, n)| format!("{} {name}", figure(*n))).collect();
    (format!("{sum:.2}"), list.join(", "))
}

pub fn worker(args: &mut Orders) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (rate, count): (u64, u64) = (args.next(), args.next());
    match (role.as_str(), transport) {
        ("send", Transport::Pipe) => {
            let (mut tx, address) = link::pipe_sender();
            say(address);
            send(rate, count, || tx.write_all(&[7; 8]).expect("write"));
        }
        ("send", Transport::Socket) => {
            let (listener, address) = link::socket_listener();
            say(address);
            let (mut tx, _) = listener.accept().expect("accept");
            send(rate, count, || tx.write_all(&[7; 8]).expect("write"));
        }
        ("send", _) => {
            let mut tx: Sender<u64> = link::sender(transport);
            say(tx.id());
            send(rate, count, || tx.send(&7).expect("send"));
        }
        ("receive", Transport::Pipe) => {
            let mut rx = link::pipe_receiver(&args.next::<String>());
            receive(count, || rx.read_exact(&mut [0; 8]).expect("read"));
        }
        ("receive", Transport::Socket) => {
            let mut rx = link::socket_receiver(&args.next::<String>());
            receive(count, || rx.read_exact(&mut [0; 8]).expect("read"));
        }
        ("receive", _) => {
            let mut rx: Receiver<u64> = link::receiver(transport, &args.next::<String>());
            receive(count, || _ = rx.recv().expect("receive"));
        }
        other => panic!("unknown role: {other:?}"),
    }
}

/// Runs the sender. The CPU time of its pauses is the same for every transport.
fn send(rate: u64, count: u64, mut send: impl FnMut()) {
    let pause = Duration::from_nanos(1_000_000_000 / rate);
    loop {
        hear();
        let mut due = Instant::now();
        let mut some = |count| {
            for _ in 0..count {
                due += pause;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                send();
            }
        };
        some(WARM_UP);
        measured(count, || some(count));
    }
}

fn receive(count: u64, mut receive: impl FnMut()) {
    say("ready");
    loop {
        hear();
        (0..WARM_UP).for_each(|_| receive());
        measured(count, || (0..count).for_each(|_| receive()));
    }
}

/// Reports the CPU time per message in microseconds; sets marks for the tracer.
fn measured(count: u64, all: impl FnOnce()) {
    trace::mark(trace::START);
    let worked = clock::worked();
    all();
    let worked = clock::worked() - worked;
    trace::mark(trace::END);
    say(worked as f64 / count as f64 / 1e3);
}

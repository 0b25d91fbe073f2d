//! Wake-up latency of a parked receiver.
//!
//! The sender pauses for 2 to 5 milliseconds, longer than any wait strategy spins, then sends its
//! clock; the receiver reads its own clock when it has the message. The reference is a pipe between
//! the same two processors: the kernel's cost to block and wake a process is unavoidable.

use std::io::{self, Read, Write};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::interleave::Schedule;
use crate::interleave::{Outcome, interleave};
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Bound, Series, Table};
use crate::{Effort, clock};

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Balanced, Transport::Park];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (first, second) = cores.apart;
    if first != second {
        place("different processors", cores.apart, effort)?;
    }
    place("the same processor", (first, first), effort)
}

fn place(name: &str, cores: (usize, usize), effort: Effort) -> io::Result<()> {
    let count: u64 = effort.pick(10, 20, 30);
    let effort = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 3, 3) };
    let start = |transport| pair::start("wake", transport, cores, &[&count]);
    let outcomes = interleave(TRANSPORTS, effort, start, |_, (sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<3>()
    })?;
    let title = format!(
        "Wake-up latency, {name}: us from before send to after receive; {} rounds x {} turns of {count} messages",
        effort.rounds, effort.turns
    );
    let heads = [
        "",
        "p50",
        "min",
        "max",
        "p99",
        "context switches/msg",
        "p50 vs pipe",
        "min",
        "max",
        "target",
        "",
    ];
    let mut table = Table::new(title, &heads);
    for (&transport, Outcome { figures: [p50, p99, sleeps], ratios: [ratio, ..] }) in
        TRANSPORTS.iter().zip(&outcomes)
    {
        let mut cells = p50.cells(1).to_vec();
        cells.push(format!("{:.1}", p99.median()));
        cells.push(format!("{:.2}", sleeps.median()));
        if transport != Transport::Pipe {
            cells.extend(ratio.cells(2));
            cells.extend(Bound::AtMost(1.1).cells(ratio.median()));
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
        "send" => send(transport, count),
        "receive" => receive(transport, count, &args.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

fn send(transport: Transport, count: u64) {
    if transport == Transport::Pipe {
        let (mut tx, address) = link::pipe_sender();
        say(address);
        now_and_then(count, |time| tx.write_all(&time.to_ne_bytes()).expect("write"));
    } else {
        let mut tx: Sender<u64> = link::sender(transport);
        say(tx.id());
        now_and_then(count, |time| tx.send(&time).expect("send"));
    }
}

fn receive(transport: Transport, count: u64, address: &str) {
    if transport == Transport::Pipe {
        let mut rx = link::pipe_receiver(address);
        delays(count, || {
            let mut time = [0; 8];
            rx.read_exact(&mut time).expect("read");
            u64::from_ne_bytes(time)
        });
    } else {
        let mut rx: Receiver<u64> = link::receiver(transport, address);
        delays(count, || rx.recv().expect("receive"));
    }
}

/// Messages at the start of a turn that only warm up.
const WARM_UP: u64 = 5;

/// Runs the sender: on `go`, it sends its clock after each pause.
fn now_and_then(count: u64, mut send: impl FnMut(u64)) {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        hear();
        for _ in 0..count + WARM_UP {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_micros(2_000 + random % 3_000));
            send(clock::now());
        }
    }
}

/// Runs the receiver and reports, for each turn, the median and the 99th percentile in microseconds
/// and the number of context switches per message.
fn delays(count: u64, mut receive: impl FnMut() -> u64) {
    say("ready");
    let mut delay = || {
        let sent = receive();
        (clock::now() - sent) as f64 / 1e3
    };
    loop {
        hear();
        for _ in 0..WARM_UP {
            delay();
        }
        let before = clock::sleeps();
        let delays: Series = (0..count).map(|_| delay()).collect();
        let sleeps = (clock::sleeps() - before) as f64 / count as f64;
        say(format!("{} {} {sleeps}", delays.median(), delays.quantile(0.99)));
    }
}

//! Wake-up latency of a parked receiver.
//!
//! The sender pauses for 2 to 5 milliseconds, longer than any wait strategy spins, then sends its
//! clock; the receiver reads its own clock when it has the message. The reference is a pipe between
//! the same two processors: the kernel's cost to block and wake a process is unavoidable.

use std::io::{self, Read, Write};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::contest::{Outcome, contest};
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Series, Table};
use crate::{Extent, clock, contest};

const WAYS: &[Way] = &[Way::Pipe, Way::Balanced, Way::Park];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let (first, second) = cores.apart;
    if first != second {
        place("different processors", cores.apart, extent)?;
    }
    place("the same processor", (first, first), extent)
}

fn place(name: &str, cores: (usize, usize), extent: Extent) -> io::Result<()> {
    let count: u64 = extent.pick(10, 20, 30);
    let extent = contest::Extent { rounds: extent.rounds(), turns: extent.pick(1, 3, 3) };
    let start = |way| pair::start("wake", way, cores, &[&count]);
    let outcomes = contest(WAYS, extent, start, |_, (sender, receiver)| {
        receiver.tell("go")?;
        sender.tell("go")?;
        receiver.figures::<3>()
    })?;
    let title = format!(
        "Wake-up latency, {name}: us from before send to after receive; {} rounds x {} turns of {count} messages",
        extent.rounds, extent.turns
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
    for (&way, Outcome { figures: [p50, p99, sleeps], ratios: [ratio, ..] }) in
        WAYS.iter().zip(&outcomes)
    {
        let mut cells = p50.cells(1).to_vec();
        cells.push(format!("{:.1}", p99.median()));
        cells.push(format!("{:.2}", sleeps.median()));
        if way != Way::Pipe {
            cells.extend(ratio.cells(2));
            cells.extend(Goal::AtMost(1.1).cells(ratio.median()));
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
        "send" => send(way, count),
        "receive" => receive(way, count, &orders.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

fn send(way: Way, count: u64) {
    if way == Way::Pipe {
        let (mut tx, address) = link::pipe_sender();
        say(address);
        now_and_then(count, |time| tx.write_all(&time.to_ne_bytes()).expect("write"));
    } else {
        let mut tx: Sender<u64> = link::sender(way);
        say(tx.id());
        now_and_then(count, |time| tx.send(&time).expect("send"));
    }
}

fn receive(way: Way, count: u64, address: &str) {
    if way == Way::Pipe {
        let mut rx = link::pipe_receiver(address);
        delays(count, || {
            let mut time = [0; 8];
            rx.read_exact(&mut time).expect("read");
            u64::from_ne_bytes(time)
        });
    } else {
        let mut rx: Receiver<u64> = link::receiver(way, address);
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

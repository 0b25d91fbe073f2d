//! Wake-up latency of a parked receiver.
//!
//! The sender pauses for 2 to 5 milliseconds, longer than any wait strategy spins, then sends its
//! clock; the receiver reads its own clock when it has the message. The reference is a pipe between
//! the same two processors: the kernel's cost to block and wake a process is unavoidable.

use std::io;
use std::time::Duration;

use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::{Outcome, interleave};
use crate::machine::Cores;
use crate::report::table::{Bound, Series, Table};
use crate::transport::Transport;
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::{by_transport, clock};

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Sysvring, Transport::Park];
/// Words per message.
const ONE: usize = 1;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (first, second) = cores.apart;
    if first != second {
        place("different processors", cores.apart, effort)?;
    }
    place("the same processor", (first, first), effort)
}

fn place(name: &str, cores: (usize, usize), effort: Effort) -> io::Result<()> {
    let (schedule, count) = (effort.schedule_of(1, 3, 3), effort.pick(10, 20, 30));
    let start = |transport| ends::start("wake", transport, cores, &[&count]);
    let outcomes = interleave(TRANSPORTS, schedule, start, |_, pair| ends::turn::<3>(pair))?;
    let title = format!(
        "Wake-up latency, {name}: us from before send to after receive; {schedule} of {count} \
         messages"
    );
    let heads =
        ["", "p50", "min", "max", "p99", "context switches/msg", "p50 vs pipe", "target", ""];
    let mut table = Table::new(title, &heads);
    for (transport, outcome) in TRANSPORTS.iter().zip(&outcomes) {
        let Outcome { figures: [p50, p99, sleeps], ratios: [ratio, ..] } = outcome;
        let mut cells = p50.cells(1).to_vec();
        cells.push(format!("{:.1}", p99.median()));
        cells.push(format!("{:.2}", sleeps.median()));
        if *transport != Transport::Pipe {
            cells.push(ratio.range());
            cells.extend(Bound::AtMost(1.1).cells(ratio.median()));
        }
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let count: u64 = args.next();
    match role.as_str() {
        "send" => by_transport!(transport, send::<ONE>(count)),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<ONE>(count, &address))
        }
        other => panic!("unknown role: {other}"),
    }
}

/// Messages at the start of a turn that only warm up.
const WARM_UP: u64 = 5;

/// Runs the sender.
pub fn send<T: IpcTransport<N>, const N: usize>(count: u64) {
    send_by(T::offer(CAPACITY), count)
}

/// Runs the sender of what was offered.
pub fn send_by<const N: usize, T: Send<N>>(
    (accept, address): (impl FnOnce() -> T, String),
    count: u64,
) {
    print_line(address);
    read_line();
    send_clock(&mut accept(), count, || _ = read_line())
}

/// Sends the clock after each pause, for a turn. Calls `next` and begins another one.
pub fn send_clock<const N: usize>(tx: &mut impl Send<N>, count: u64, mut next: impl FnMut()) -> ! {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        for _ in 0..count + WARM_UP {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_micros(2_000 + random % 3_000));
            tx.send(&[clock::now(); N]);
        }
        next();
    }
}

/// Runs the receiver.
pub fn receive<T: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
    let mut rx = T::attach(address, CAPACITY);
    print_line("ready");
    let mut receive = |count| (0..count).map(|_| delay(rx.receive_one())).collect();
    report_delays(count, || _ = read_line(), &mut receive)
}

/// Returns the time since a message was sent, in microseconds.
pub fn delay<const N: usize>(message: [u64; N]) -> f64 {
    (clock::now() - message[0]) as f64 / 1e3
}

/// Waits for each turn by `next`, and reports its median and 99th percentile in microseconds and the
/// number of context switches per message. `receive` returns the delays of this many messages.
pub fn report_delays(
    count: u64,
    mut next: impl FnMut(),
    receive: &mut dyn FnMut(u64) -> Vec<f64>,
) -> ! {
    loop {
        next();
        receive(WARM_UP);
        let before = clock::sleeps();
        let delays: Series = receive(count).into_iter().collect();
        let sleeps = (clock::sleeps() - before) as f64 / count as f64;
        print_line(format!("{} {} {sleeps}", delays.median(), delays.quantile(0.99)));
    }
}

//! CPU usage of an idle receiver, and CPU time and system calls per message at low rates, when the
//! receiver waits before each message.
//!
//! The sender sleeps until the next message is due. Reported are the CPU usage of a receiver that
//! waits for the first message, the CPU time per message of each side, user and system, and, in a
//! separate run, the system calls of both sides. The pauses of the sender cost the same with every
//! transport.

use std::collections::HashMap;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::goals::{Kind, Results};
use crate::report::table::{Series, Table, figure};
use crate::scenario::syscalls;
use crate::trace::{self, Counts, Tracer};
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::transport::{Transport, ends::remove_leftovers};
use crate::{by_transport, clock};

/// Words per message.
const ONE: usize = 1;
/// Messages that warm up.
const WARM_UP: u64 = 20;
/// The transports measured at the lower rate, where those that spin have nothing to show.
const BLOCKING: [Transport; 4] =
    [Transport::Pipe, Transport::Unix, Transport::Sysvring, Transport::Park];

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    time(cores, 100, effort, &BLOCKING)?;
    let missing = BLOCKING.into_iter().filter(|transport| !transports.contains(transport));
    time(cores, 1_000, effort, &transports.iter().copied().chain(missing).collect::<Vec<_>>())?;
    calls(cores, effort)
}

fn time(cores: &Cores, rate: u64, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let (rounds, count) = (effort.pick(1, 3, 5), effort.pick(5, rate, rate));
    // Percentage of a CPU while idle; microseconds per message of both sides, and of each.
    let mut figures = vec![<[Series; 4]>::default(); transports.len()];
    let idle = Duration::from_secs_f64(count as f64 / rate as f64);
    for round in 0..rounds {
        for i in rotated(transports.len(), round) {
            let (mut sender, mut receiver) =
                ends::start("cpu-usage", transports[i], cores.apart, &[&rate, &count])?;
            receiver.write_line("go")?;
            let begin = clock::now();
            sleep(idle);
            sender.write_line("go")?;
            let [waited] = receiver.figures()?;
            let share = waited / (clock::now() - begin) as f64 * 100.0;
            let ([sent], [received]) = (sender.figures()?, receiver.figures()?);
            let all = [share, sent + received, sent, received];
            figures[i].iter_mut().zip(all).for_each(|(series, x)| series.push(x));
        }
        remove_leftovers();
    }
    let title = format!(
        "CPU usage: of a receiver that waits {} s, and CPU time per message at {rate} msg/s, us; \
         {rounds} rounds of {count} messages",
        idle.as_secs_f64()
    );
    let both = figures.iter().map(|figures| figures[1].clone()).collect();
    let results = Results::of_series(Kind::Time, transports, both);
    let heads = ["", "idle, % of one CPU", "both sides", "min", "max", "sender", "receiver"];
    let mut table = Table::new(title, &results.heads(&heads, "both "));
    for (i, [share, both, sender, receiver]) in figures.iter().enumerate() {
        let mut cells = vec![figure(share.median())];
        cells.extend(both.three());
        cells.extend([sender, receiver].map(|side| figure(side.median())));
        cells.extend(results.cells(i));
        table.row(transports[i].label(), cells);
    }
    table.print();
    Ok(())
}

/// Counts the system calls of each side. A traced call takes long enough for any spinning to end.
fn calls(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (rate, count) = (200_u64, effort.pick(5, 100, 400));
    let title = format!("System calls per message that wakes a receiver; {count} messages");
    let heads = ["", "sender", "receiver", "calls of the sender", "calls of the receiver"];
    let mut table = Table::new(title, &heads);
    for transport in BLOCKING {
        let (mut sender, mut receiver) =
            ends::start("cpu-usage", transport, cores.apart, &[&rate, &count])?;
        let pids = [sender.pid(), receiver.pid()];
        let tracer = Tracer::attach(&pids)?;
        receiver.write_line("go")?;
        sender.write_line("go")?;
        let found = tracer.count_each()?;
        let [sender, receiver] = pids.map(|pid| describe(&found, pid, count));
        table.row(transport.label(), [sender.0, receiver.0, sender.1, receiver.1]);
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

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (rate, count): (u64, u64) = (args.next(), args.next());
    match role.as_str() {
        "send" => by_transport!(transport, send::<ONE>(rate, count)),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<ONE>(count, &address))
        }
        other => panic!("unknown role: {other}"),
    }
}

fn send<T: IpcTransport<N>, const N: usize>(rate: u64, count: u64) {
    let (accept, address) = T::offer(CAPACITY);
    print_line(address);
    read_line();
    let mut tx = accept();
    let (pause, mut due) = (Duration::from_nanos(1_000_000_000 / rate), Instant::now());
    let mut some = |count| {
        for n in 0..count {
            tx.send(&[n; N]);
            due += pause;
            sleep(due.saturating_duration_since(Instant::now()));
        }
    };
    some(WARM_UP);
    measured(count, || some(count));
    read_line();
}

fn receive<T: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
    let mut rx = T::attach(address, CAPACITY);
    let mut message = [0; N];
    let mut one = |n| {
        rx.receive(&mut message);
        assert_eq!(message, [n; N]);
    };
    print_line("ready");
    read_line();
    let worked = clock::worked();
    one(0);
    print_line(clock::worked() - worked);
    (1..WARM_UP).for_each(&mut one);
    measured(count, || (0..count).for_each(&mut one));
    read_line();
}

/// Reports the CPU time per message in microseconds; sets marks for the tracer.
fn measured(count: u64, all: impl FnOnce()) {
    trace::mark(trace::START);
    let worked = clock::worked();
    all();
    let worked = clock::worked() - worked;
    trace::mark(trace::END);
    print_line(worked as f64 / count as f64 / 1e3);
}

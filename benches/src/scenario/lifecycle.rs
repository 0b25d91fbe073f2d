//! Open and close latency, memory, and recovery after a crash.
//!
//! Measured are the time to create a channel, to open its other side and to close both, all in one
//! process; a thousand channels open at once; and the time until a successor holds the message that
//! was in flight at a killed receiver.

use std::fs;
use std::hint::black_box;
use std::io;

use sysvring::{ChannelId, Options, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};

use crate::effort::Effort;
use crate::machine::Cores;
use crate::report::goals::{Kind, Results};
use crate::report::table::{Series, Table, figure};
use crate::transport::ends::{self, CAPACITY};
use crate::transport::traits::IpcTransport;
use crate::transport::{Transport, message_queues};
use crate::{by_transport, clock};

/// Words per message.
const ONE: usize = 1;
/// The transports whose memory can be inspected.
const IN_MEMORY: [Transport; 3] = [Transport::Sysvring, Transport::Mpmc, Transport::Shaq];

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    times(cores, effort, transports)?;
    thousand(cores, effort, transports)?;
    recovery(cores, effort)
}

fn times(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let count: usize = effort.pick(10, 300, 1_000);
    let title = format!("Open and close latency: median of {count} runs, us");
    let times = |transport: &Transport| -> io::Result<[f64; 4]> {
        ends::worker(cores.apart.0, &[&"lifecycle", &"times", transport, &count])?.figures()
    };
    let times = transports.iter().map(times).collect::<io::Result<Vec<_>>>()?;
    let all: Vec<Series> = times.iter().map(|times| once(times.iter().sum())).collect();
    let results = Results::of_series(Kind::Time, transports, all);
    let heads = ["", "create", "open the other side", "close the receiver", "close the sender"];
    let mut table = Table::new(title, &results.heads(&heads, "total "));
    for (i, times) in times.iter().enumerate() {
        table.row(
            transports[i].label(),
            times.map(|ns| figure(ns / 1e3)).into_iter().chain(results.cells(i)),
        );
    }
    table.print();
    Ok(())
}

/// Returns a series of one figure.
fn once(figure: f64) -> Series {
    std::iter::once(figure).collect()
}

fn thousand(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let count: usize = effort.pick(20, 1_000, 1_000);
    let title = format!(
        "{count} channels of {CAPACITY} slots of 8 B, both sides open in one process: bytes, and \
         us to open a side"
    );
    let measured = IN_MEMORY.into_iter().filter(|transport| transports.contains(transport));
    let measured: Vec<Transport> = measured.collect();
    let Some(last) = measured.last() else { return Ok(()) };
    let versus = format!("vs {}", last.label());
    let heads = [
        "",
        "header",
        "per slot",
        "segment",
        "resident, first side",
        "resident, second side",
        "open, first tenth",
        "open, last tenth",
        &versus,
    ];
    let mut table = Table::new(title, &heads);
    let figures = |transport: &Transport| -> io::Result<[f64; 6]> {
        ends::worker(cores.apart.0, &[&"lifecycle", &"thousand", transport, &count])?.figures()
    };
    let all = measured.iter().map(figures).collect::<io::Result<Vec<_>>>()?;
    // The last is the competitor, if it takes part.
    let of = all[all.len() - 1][5];
    for (transport, [usual, double, first, second, early, late]) in measured.iter().zip(all) {
        let slot = (double - usual) / CAPACITY as f64;
        let header = usual - slot * CAPACITY as f64;
        let bytes = [header, slot, usual, first, second].map(|bytes| format!("{bytes:.0}"));
        let times = [early / 1e3, late / 1e3, late / of].map(figure);
        table.row(transport.label(), bytes.into_iter().chain(times));
    }
    table.print();
    Ok(())
}

fn recovery(cores: &Cores, effort: Effort) -> io::Result<()> {
    let kills: u64 = effort.pick(2, 30, 200);
    let title = format!(
        "Recovery of a message in flight at a killed receiver, {kills} kills: us until its successor, a new \
         process under the same name, holds it"
    );
    let heads = ["", "since the kill", "min", "max", "since it opens", "min", "max"];
    let mut table = Table::new(title, &heads);
    let mut row =
        |transport: Transport, send: &mut dyn FnMut(u64), name: &Name| -> io::Result<()> {
            let (mut since_kill, mut since_open) = (Series::default(), Series::default());
            let start = || ends::worker(cores.apart.1, &[&"lifecycle", &"hold", &transport, name]);
            send(0);
            let mut holder: Worker = start()?;
            holder.figures::<3>()?;
            for n in 0..kills {
                let before = clock::now();
                holder.kill_and_wait()?;
                holder = start()?;
                let [number, opens, has] = holder.figures()?;
                assert_eq!(number, n as f64, "another message");
                since_kill.push((has - before as f64) / 1e3);
                since_open.push((has - opens) / 1e3);
                send(n + 1);
                holder.write_line("next")?;
                assert_eq!(holder.figures()?, [(n + 1) as f64], "another message");
            }
            let cells = since_kill.three().into_iter().chain(since_open.three());
            table.row(transport.label(), cells);
            Ok(())
        };
    let name = Name::new();
    let mut tx: spsc::Sender<u64> = name.options().create().map_err(io::Error::other)?;
    row(Transport::Sysvring, &mut |n| tx.send(&n).expect("send"), &name)?;
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().create().map_err(io::Error::other)?;
    row(Transport::Mpmc, &mut |n| tx.send(&n).expect("send"), &name)?;
    table.print();
    Ok(())
}

pub fn worker(args: &mut Args) {
    let (work, transport): (String, Transport) = (args.next(), args.next());
    match work.as_str() {
        "times" => {
            let count: usize = args.next();
            by_transport!(transport, live::<ONE>(transport, count))
        }
        "thousand" => {
            let count: usize = args.next();
            by_transport!(transport, crowd::<ONE>(transport, count))
        }
        "hold" => hold(transport, &args.next::<String>()),
        other => panic!("unknown task: {other}"),
    }
}

/// Opens and closes channels one after the other.
fn live<T: IpcTransport<N>, const N: usize>(transport: Transport, count: usize) {
    let mut times = <[Series; 4]>::default();
    for _ in 0..count {
        let mut marks = [clock::now(); 5];
        let (accept, address) = T::offer(CAPACITY);
        marks[1] = clock::now();
        let rx = T::attach(&address, CAPACITY);
        let tx = accept();
        marks[2] = clock::now();
        drop(rx);
        marks[3] = clock::now();
        drop(tx);
        marks[4] = clock::now();
        for (series, mark) in times.iter_mut().zip(marks.windows(2)) {
            series.push((mark[1] - mark[0]) as f64);
        }
        if transport == Transport::SysV {
            message_queues::remove_sysv(&address);
        }
    }
    print_line(times.map(|series| series.median().to_string()).join(" "));
    read_line();
}

/// Opens all channels at once and reports the bytes of memory of the default and of twice the
/// default capacity, the resident bytes of each side, and the nanoseconds to open the early and the
/// late ones.
fn crowd<T: IpcTransport<N>, const N: usize>(transport: Transport, count: usize) {
    raise_limit();
    let bytes = [CAPACITY, 2 * CAPACITY].map(|capacity| {
        let (_accept, address) = T::offer(capacity);
        in_memory(transport, &address)
    });
    let before = resident();
    let made: Vec<_> = (0..count).map(|_| T::offer(CAPACITY)).collect();
    let half = resident();
    let mut times = Vec::new();
    let opened: Vec<_> = made
        .iter()
        .map(|(_, address)| {
            let start = clock::now();
            let rx = T::attach(address, CAPACITY);
            times.push((clock::now() - start) as f64);
            rx
        })
        .collect();
    let after = resident();
    black_box(&opened);
    let tenth = count / 10;
    let median = |times: &[f64]| times.iter().copied().collect::<Series>().median();
    let (early, late) = (median(&times[..tenth]), median(&times[count - tenth..]));
    let each = |bytes: u64| bytes / count as u64;
    let (first, second) = (each(half - before), each(after - half));
    print_line(format!("{} {} {first} {second} {early} {late}", bytes[0], bytes[1]));
    read_line();
}

/// Returns the bytes of shared memory of a channel.
fn in_memory(transport: Transport, address: &str) -> u64 {
    if transport == Transport::Shaq {
        return fs::metadata(address).expect("its memory").len();
    }
    let id: ChannelId = address.parse().expect("an id");
    sysvring::stat(id).expect("the channel").segment.size as u64
}

/// Returns the resident bytes of this process.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    // SAFETY: numbers only.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.expect("a number of pages") * page as u64
}

/// Raises the limit of open files to its maximum: some competitors have several per channel.
fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// Holds a message in flight and reports its number, when the channel was opened and when the
/// message was received; on each order, it receives the next.
fn hold(transport: Transport, name: &str) {
    let opens = clock::now();
    let mut is_first = true;
    let mut with = |number: u64| {
        match is_first {
            true => print_line(format!("{number} {opens} {}", clock::now())),
            false => print_line(number),
        }
        is_first = false;
        read_line();
    };
    // Each message is in flight until the end of its statement.
    let options = Options::named(name);
    if transport == Transport::Mpmc {
        let rx: mpmc::Receiver<u64> = options.open().expect("a receiver");
        loop {
            rx.recv_ref().expect("a message").read(|n| with(*n)).expect("acknowledged");
        }
    } else {
        let mut rx: spsc::Receiver<u64> = options.open().expect("a receiver");
        loop {
            rx.recv_ref().expect("a message").read(|n| with(*n)).expect("acknowledged");
        }
    }
}

//! SPSC throughput while both sides work without a pause.

use std::io;
use std::ops::Range;
use std::sync::mpsc;

use sysvring_support::worker::{self, Args, print_line};

use crate::by_transport;
use crate::effort::Effort;
use crate::interleave::{Pair, interleave};
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::stream_summary::{OfSize, named};
use crate::report::table::Bound;
use crate::scenario::bandwidth;
use crate::transport::Transport;
use crate::transport::baseline::Baseline;
use crate::transport::ends::{self, stand_by};
use crate::transport::sketch::{WordsApart, WordsInFront};
use crate::transport::sysvring::{ByValue, Huge, InPlace, Sysvring};
use crate::transport::traits::{BATCH, IpcTransport, Receive, Send, ThreadTransport};
use crate::workload::stream_workload::{check, timed_turns, turns};

/// Returns the throughput for each size.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<OfSize<Transport>>> {
    Ok(vec![
        of_size(8, effort.pick(2_000, 500_000, 1_000_000), cores, effort, transports)?,
        of_size(64, effort.pick(2_000, 250_000, 500_000), cores, effort, transports)?,
        of_size(1024, effort.pick(2_000, 50_000, 100_000), cores, effort, transports)?,
        of_size(65536, effort.pick(100, 1_000, 2_000), cores, effort, transports)?,
    ])
}

/// The targets for sysvring.
fn goals(bytes: usize) -> Vec<Goal<Transport>> {
    use Transport::{Baseline, InPlace, Rtrb, Shaq, Spin, Sysvring};
    let goal = |contender, over, times| Goal { contender, over, bound: Bound::AtLeast(times) };
    let over = |baseline, shaq, rtrb| {
        [(Baseline, baseline), (Shaq, shaq), (Rtrb, rtrb)]
            .map(|(o, times)| goal(Sysvring, o, times))
    };
    let mut goals = match bytes {
        8 => over(1.3, 25.0, 1.3).to_vec(),
        64 => over(1.2, 7.0, 1.5).to_vec(),
        1024 => vec![goal(InPlace, Baseline, 1.0), goal(Sysvring, Baseline, 0.95)],
        _ => vec![goal(InPlace, Baseline, 1.0)],
    };
    goals.push(goal(Sysvring, Spin, 0.97));
    goals
}

/// Measures messages of this size, `count` per turn; fewer where a message is a system call.
fn of_size(
    bytes: usize,
    count: u64,
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<OfSize<Transport>> {
    let transports: Vec<Transport> =
        transports.iter().copied().filter(|transport| transport.takes(bytes)).collect();
    let (schedule, capacity) = (effort.schedule(), ends::capacity(bytes));
    let of = |transport: Transport| {
        let count = if transport.has_system_calls() { count / 20 } else { count };
        start(Stream { transport, bytes, capacity, count, batches: false }, cores)
    };
    let outcomes = interleave(&transports, schedule, of, |_, pair| ends::turn::<1>(pair))?;
    let title = format!(
        "SPSC throughput, {}: Mmsg/s; {schedule} of {count} messages, a twentieth where a message \
         is a system call",
        named(bytes)
    );
    let results = Results::of_outcomes(Kind::Rate, &transports, &outcomes);
    results.print_rates(title, &goals(bytes));
    Ok(OfSize { bytes, results })
}

/// The parameters of a stream.
#[derive(Clone, Copy)]
pub struct Stream {
    pub transport: Transport,
    /// Size of a message.
    pub bytes: usize,
    /// Slots.
    pub capacity: usize,
    /// Messages per turn.
    pub count: u64,
    /// Whether messages are sent and received in batches.
    pub batches: bool,
}

/// Starts the two ends of a stream.
pub fn start(stream: Stream, cores: &Cores) -> io::Result<Pair> {
    let Stream { transport, bytes, capacity, count, batches } = stream;
    let more: [&dyn ToString; 5] = [&bytes, &capacity, &count, &batches, &cores.apart.0];
    ends::start("stream", transport, cores.apart, &more)
}

pub fn worker(args: &mut Args) {
    let (role, transport, bytes): (String, Transport, usize) =
        (args.next(), args.next(), args.next());
    let task = Task {
        capacity: args.next(),
        count: args.next(),
        batches: args.next(),
        core: args.next::<usize>(),
    };
    match (transport, bytes) {
        (Transport::Copy, _) if role == "receive" => {
            bandwidth::copy(bytes, task.capacity, task.count)
        }
        (Transport::Copy, _) => ends::idle(),
        (_, bandwidth::LARGE) => large::<{ bandwidth::LARGE / 8 }>(&role, transport, task, args),
        (_, bandwidth::LARGEST) => {
            large::<{ bandwidth::LARGEST / 8 }>(&role, transport, task, args)
        }
        (_, 16) => by_size::<2>(&role, transport, task, args),
        (_, 32) => by_size::<4>(&role, transport, task, args),
        (_, 48) => by_size::<6>(&role, transport, task, args),
        (_, 128) => by_size::<16>(&role, transport, task, args),
        (_, 256) => by_size::<32>(&role, transport, task, args),
        (_, 8) => work::<1>(&role, transport, task, args),
        (_, 64) => work::<8>(&role, transport, task, args),
        (_, 1024) => work::<128>(&role, transport, task, args),
        (_, 65536) => work::<8192>(&role, transport, task, args),
        other => panic!("unknown stream: {other:?}"),
    }
}

/// The stack of a thread that has some messages of the largest size on it.
pub const STACK: usize = 8 * bandwidth::LARGEST;

/// The arguments of one side.
#[derive(Clone, Copy)]
struct Task {
    /// Slots.
    capacity: usize,
    /// Messages per turn.
    count: u64,
    /// Whether messages are sent and received in batches.
    batches: bool,
    /// The processor of the sender.
    core: usize,
}

/// Runs one side for large messages, which few transports support and which do not fit on the stack
/// of the first thread.
fn large<const N: usize>(role: &str, transport: Transport, task: Task, args: &mut Args) {
    let run = || match transport {
        Transport::InPlace => one::<InPlace, N>(role, task, args),
        Transport::Huge => one::<Huge, N>(role, task, args),
        Transport::Sysvring => one::<Sysvring, N>(role, task, args),
        Transport::Baseline => one::<Baseline, N>(role, task, args),
        other => panic!("not measured with large messages: {other}"),
    };
    std::thread::scope(|scope| {
        let large = std::thread::Builder::new().stack_size(STACK);
        large.spawn_scoped(scope, run).expect("a thread").join().expect("it ends");
    });
}

/// Runs one side for a size that few transports are measured with.
fn by_size<const N: usize>(role: &str, transport: Transport, task: Task, args: &mut Args) {
    match transport {
        Transport::Sysvring => one::<Sysvring, N>(role, task, args),
        Transport::ByValue => one::<ByValue, N>(role, task, args),
        Transport::Baseline => one::<Baseline, N>(role, task, args),
        Transport::WordsInFront => one::<WordsInFront, N>(role, task, args),
        Transport::WordsApart => one::<WordsApart, N>(role, task, args),
        other => panic!("not measured with this size: {other}"),
    }
}

fn one<T: IpcTransport<N>, const N: usize>(role: &str, task: Task, args: &mut Args) {
    match role {
        "send" => send::<T, _>(task),
        "receive" => receive::<T, _>(task, &args.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

fn work<const N: usize>(role: &str, transport: Transport, task: Task, args: &mut Args) {
    match role {
        "send" => by_transport!(transport, send::<N>(task), stand_by()),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<N>(task, &address), both(task))
        }
        other => panic!("unknown role: {other}"),
    }
}

fn send<T: IpcTransport<N>, const N: usize>(task: Task) {
    let (accept, address) = T::offer(task.capacity);
    print_line(address);
    let (mut tx, mut accept) = (None, Some(accept));
    // The receiver has attached by the time `go` arrives.
    let mut accept = || (accept.take().expect("once"))();
    if task.batches {
        let mut places = vec![[0; N]; BATCH];
        turns(task.count, |sequence| {
            send_batches(tx.get_or_insert_with(&mut accept), &mut places, sequence);
        });
    } else {
        let mut place = [0; N];
        turns(task.count, |sequence| {
            let tx = tx.get_or_insert_with(&mut accept);
            sequence.for_each(|n| tx.send_nth(&mut place, n));
        });
    }
}

#[inline(always)]
fn send_batches<const N: usize>(
    tx: &mut impl Send<N>,
    places: &mut [[u64; N]],
    sequence: Range<u64>,
) {
    for n in sequence.clone().step_by(BATCH) {
        let many = (sequence.end - n).min(BATCH as u64) as usize;
        tx.send_nth_batch(&mut places[..many], n);
    }
}

fn receive<T: IpcTransport<N>, const N: usize>(task: Task, address: &str) {
    receive_all(task, T::attach(address, task.capacity), |_| {});
}

/// Runs the receiver; `begin` is called with the sequence of each turn.
fn receive_all<const N: usize>(
    task: Task,
    mut rx: impl Receive<N>,
    mut begin: impl FnMut(&Range<u64>),
) {
    if task.batches {
        let mut places = vec![[0; N]; BATCH];
        timed_turns(task.count, |sequence| {
            begin(&sequence);
            let mut n = sequence.start;
            while n < sequence.end {
                let left = (sequence.end - n).min(BATCH as u64) as usize;
                let many = rx.receive_batch(&mut places, left);
                for message in &places[..many] {
                    check(message, n);
                    n += 1;
                }
            }
        });
    } else {
        let mut place = [0; N];
        timed_turns(task.count, |sequence| {
            begin(&sequence);
            sequence.for_each(|n| rx.read(&mut place, |message| check(message, n)));
        });
    }
}

fn both<T: ThreadTransport<N>, const N: usize>(task: Task) {
    let (mut tx, rx) = T::pair(task.capacity);
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(task.core);
        let mut place = [0; N];
        let mut places = if task.batches { vec![[0; N]; BATCH] } else { Vec::new() };
        while let Ok(sequence) = told.recv() {
            let sequence: Range<u64> = sequence;
            match task.batches {
                true => send_batches(&mut tx, &mut places, sequence),
                false => sequence.for_each(|n| tx.send_nth(&mut place, n)),
            }
        }
    });
    receive_all(task, rx, |sequence| go.send(sequence.clone()).expect("the other thread"));
}

//! SPSC throughput while both sides work without a pause.

use std::io;
use std::ops::Range;
use std::sync::mpsc;

use sysvring_support::worker::{self, Orders, hear, say};

use crate::goals::{Goal, print_rates};
use crate::interleave::{Outcome, Pair, Schedule, interleave};
use crate::link::{self, Leftovers, Transport};
use crate::machine::Cores;
use crate::ours::{Huge, InPlace, Sysvring};
use crate::rates::{self, Rates, named};
use crate::shared::Raw;
use crate::table::{Bound, Series};
use crate::traits::{BATCH, IpcTransport, Local, Receive, Send};
use crate::workload::{check, timed_turns, turns};
use crate::{Effort, by_transport, size};

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<Vec<Rates>> {
    let sizes = vec![
        of_size::<1>(cores, effort, transports, effort.pick(2_000, 400_000, 1_000_000))?,
        of_size::<8>(cores, effort, transports, effort.pick(2_000, 200_000, 500_000))?,
        of_size::<128>(cores, effort, transports, effort.pick(2_000, 50_000, 100_000))?,
        of_size::<8192>(cores, effort, transports, effort.pick(100, 1_000, 2_000))?,
    ];
    rates::print(transports, &sizes);
    Ok(sizes)
}

/// The targets for sysvring.
fn goals(bytes: usize) -> Vec<Goal<Transport>> {
    use Transport::{Baseline, InPlace, Rtrb, Shaq, Spin, Sysvring};
    let goal = |contender, over, times| Goal { contender, over, bound: Bound::AtLeast(times) };
    let mut goals = match bytes {
        8 => vec![
            goal(Sysvring, Baseline, 1.3),
            goal(Sysvring, Shaq, 25.0),
            goal(Sysvring, Rtrb, 1.3),
        ],
        64 => vec![
            goal(Sysvring, Baseline, 1.2),
            goal(Sysvring, Shaq, 7.0),
            goal(Sysvring, Rtrb, 1.5),
        ],
        _ => vec![goal(InPlace, Baseline, 1.0)],
    };
    goals.push(goal(Sysvring, Spin, 0.97));
    goals
}

/// Measures messages of `N` words, `count` per turn; fewer where a message is a system call.
fn of_size<const N: usize>(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
    count: u64,
) -> io::Result<Rates> {
    let bytes = N * 8;
    // In-place access pays off only for messages of more than one word.
    let fits = |transport: &Transport| {
        transport.takes(bytes) && (N > 1 || *transport != Transport::InPlace)
    };
    let transports: Vec<Transport> = transports.iter().copied().filter(fits).collect();
    let rounds = Schedule { rounds: effort.rounds(), turns: effort.pick(1, 3, 9) };
    let leftovers = Leftovers::default();
    let capacity = link::capacity(bytes);
    let start = |transport: Transport| {
        let count = if transport.calls() { count / 20 } else { count };
        let flow = Flow { transport, bytes, capacity, count, batches: false };
        pair(flow, cores, &leftovers)
    };
    let outcomes = interleave(&transports, rounds, start, |_, pair| turn(pair))?;
    let title = format!(
        "SPSC throughput, {}: Mmsg/s; {} rounds x {} turns of {count} messages, a \
         twentieth where a message is a system call",
        named(bytes),
        rounds.rounds,
        rounds.turns
    );
    let (rates, ratios): (Vec<Series>, Vec<Series>) = outcomes
        .into_iter()
        .map(|Outcome { figures: [rate], ratios: [ratio] }| (rate, ratio))
        .unzip();
    let rates = Rates { bytes, transports, rates, ratios };
    print_rates(title, &rates.results(), &goals(bytes));
    Ok(rates)
}

/// The parameters of a stream.
#[derive(Clone, Copy)]
pub struct Flow {
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
pub fn pair(flow: Flow, cores: &Cores, leftovers: &Leftovers) -> io::Result<Pair> {
    let Flow { transport, bytes, capacity, count, batches } = flow;
    let more: [&dyn ToString; 5] = [&bytes, &capacity, &count, &batches, &cores.apart.0];
    link::start("stream", transport, cores, &more, leftovers)
}

/// Runs one turn and returns its throughput in Mmsg/s.
pub fn turn((sender, receiver): &mut Pair) -> io::Result<[f64; 1]> {
    receiver.tell("go")?;
    sender.tell("go")?;
    receiver.figures()
}

pub fn worker(args: &mut Orders) {
    let (role, transport, bytes): (String, Transport, usize) =
        (args.next(), args.next(), args.next());
    let task = Task {
        capacity: args.next(),
        count: args.next(),
        batches: args.next(),
        core: args.next::<usize>(),
    };
    match (transport, bytes) {
        (Transport::Copy, _) if role == "receive" => size::copy(bytes, task.capacity, task.count),
        (Transport::Copy, _) => stand_by(),
        (Transport::InPlace, size::LARGEST) => large::<InPlace>(&role, task, args),
        (Transport::Huge, size::LARGEST) => large::<Huge>(&role, task, args),
        (Transport::Sysvring, size::LARGEST) => large::<Sysvring>(&role, task, args),
        (Transport::Baseline, size::LARGEST) => large::<Raw>(&role, task, args),
        (_, 8) => work::<1>(&role, transport, task, args),
        (_, 64) => work::<8>(&role, transport, task, args),
        (_, 1024) => work::<128>(&role, transport, task, args),
        (_, 65536) => work::<8192>(&role, transport, task, args),
        other => panic!("unknown stream: {other:?}"),
    }
}

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

/// Runs one side for the largest messages, which few transports support.
fn large<C: IpcTransport<{ size::LARGEST / 8 }>>(role: &str, task: Task, args: &mut Orders) {
    match role {
        "send" => send::<C, _>(task),
        "receive" => receive::<C, _>(task, &args.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

fn work<const N: usize>(role: &str, transport: Transport, task: Task, args: &mut Orders) {
    match role {
        "send" => by_transport!(transport, send::<N>(task), idle()),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<N>(task, &address), both(task))
        }
        other => panic!("unknown role: {other}"),
    }
}

fn send<C: IpcTransport<N>, const N: usize>(task: Task) {
    let (offer, address) = C::offer(task.capacity);
    say(address);
    let mut tx = None;
    let mut offer = Some(offer);
    // The receiver has attached by the time `go` arrives.
    let mut accept = || C::accept(offer.take().expect("once"));
    if task.batches {
        let mut places = vec![[0; N]; BATCH];
        turns(task.count, |sequence| {
            send_batches(tx.get_or_insert_with(&mut accept), &mut places, sequence);
        });
    } else {
        let mut place = [0; N];
        turns(task.count, |sequence| {
            let tx = tx.get_or_insert_with(&mut accept);
            sequence.for_each(|n| tx.make(&mut place, n));
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
        tx.make_batch(&mut places[..many], n);
    }
}

fn receive<C: IpcTransport<N>, const N: usize>(task: Task, address: &str) {
    receive_all(task, C::attach(address, task.capacity), |_| {});
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
            sequence.for_each(|n| rx.look(&mut place, |message| check(message, n)));
        });
    }
}

/// Stands by, because both sides run as threads of the other worker.
fn idle<L: Local<N>, const N: usize>() {
    stand_by();
}

/// Stands by while the other worker does all the work.
fn stand_by() {
    say("within a process");
    loop {
        hear();
    }
}

fn both<L: Local<N>, const N: usize>(task: Task) {
    let (mut tx, rx) = L::pair(task.capacity);
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        worker::pin(task.core);
        let mut place = [0; N];
        let mut places = if task.batches { vec![[0; N]; BATCH] } else { Vec::new() };
        while let Ok(sequence) = told.recv() {
            let sequence: Range<u64> = sequence;
            match task.batches {
                true => send_batches(&mut tx, &mut places, sequence),
                false => sequence.for_each(|n| tx.make(&mut place, n)),
            }
        }
    });
    receive_all(task, rx, |sequence| go.send(sequence.clone()).expect("the other thread"));
}

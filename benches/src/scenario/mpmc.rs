//! MPMC throughput, for several numbers of senders and receivers.

use std::io;
use std::thread;

use shaq::mpmc;
use sysvring::{Handle, Options, mpmc as ours};
use sysvring_support::worker::{self, Orders, hear, say};

use crate::Effort;
use crate::goals::{Goal, Results};
use crate::link::{self, CAPACITY, Transport};
use crate::machine::Cores;
use crate::mpmc_fixed_count::FixedCount;
use crate::mpmc_fixed_time::{self, FixedTime, TOPOLOGIES, Task, Topology};
use crate::table::{Bound, Series, Table};
use crate::team::{MpmcWorkload, Turns, check, message};
use crate::vyukov::Queue;

/// A target for sysvring, relative to another transport.
fn goal(over: Transport, times: f64) -> Goal<Transport> {
    Goal { contender: Transport::Sysvring, over, bound: Bound::AtLeast(times) }
}

/// Returns the throughput of every topology.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<(Topology, Vec<Series>)>> {
    let count = effort.pick(4_000, 200_000, 400_000);
    // Fixed count, where members are not preempted.
    let between: Vec<Transport> =
        transports.iter().copied().filter(|transport| transport.is_between()).collect();
    let goals = [goal(Transport::Shaq, 4.0), goal(Transport::Vyukov, 0.8)];
    let eight = FixedCount { transports: &between, bytes: 8, count, goals: &goals };
    eight.run(cores, effort)?;
    FixedCount { bytes: 64, goals: &[], ..eight }.run(cores, effort)?;
    let goals = [goal(Transport::Shaq, 5.0), goal(Transport::Crossbeam, 1.0)];
    let mut topologies = Vec::new();
    for topology in TOPOLOGIES {
        let goals = if topology.senders == 4 { &goals[..] } else { &[] };
        topologies.push((topology, FixedTime { transports, topology, goals }.run(cores, effort)?));
    }
    print_all(transports, &topologies);
    Ok(topologies)
}

/// Prints all topologies in one table.
fn print_all(transports: &[Transport], topologies: &[(Topology, Vec<Series>)]) {
    let heads = topologies.iter().map(|(topology, _)| topology.name());
    let heads: Vec<String> = std::iter::once(String::new()).chain(heads).collect();
    let title = "MPMC throughput (senders x receivers) on two processors, 8 B: Mmsg/s (vs Vyukov's ring, vs the best \
                 competitor)";
    let mut table = Table::new(title, &heads);
    for (i, transport) in transports.iter().enumerate() {
        let cell = |(_, rates): &(Topology, Vec<Series>)| {
            let relative: Vec<Series> = rates.iter().map(|rate| rate.over(&rates[0])).collect();
            Results::rates(transports, rates, &relative).brief(i)
        };
        table.row(transport.label(), topologies.iter().map(cell));
    }
    table.print();
}

pub fn worker(args: &mut Orders) {
    let (role, transport, bytes): (String, Transport, usize) =
        (args.next(), args.next(), args.next());
    let turns = Turns(args.next());
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(transport, None, &turns),
        ("send", 64) => send::<8>(transport, None, &turns),
        ("receive", 8) => receive::<1>(transport, &args.next::<String>(), &turns),
        ("receive", 64) => receive::<8>(transport, &args.next::<String>(), &turns),
        other => panic!("unknown task: {other:?}"),
    }
}

/// Runs a member in a run of fixed duration.
pub fn member(args: &mut Orders) {
    let task = Task::hear(args);
    match (task.transport, task.sends, task.address.as_deref()) {
        (Transport::Crossbeam, false, _) if task.index == 0 => all(task),
        (Transport::Crossbeam, ..) => stand_by(),
        (_, true, address) => send::<1>(task.transport, address, &task),
        (_, false, address) => {
            receive::<1>(task.transport, address.expect("the sender's address"), &task)
        }
    }
}

/// Stands by, because all members run as threads of another process.
fn stand_by() {
    say("within a process");
    loop {
        hear();
    }
}

/// Runs all members as threads of this process.
fn all(task: Task) {
    let (tx, rx) = crossbeam_channel::bounded(CAPACITY);
    let Task { topology, cores, counts, .. } = task;
    say("ready");
    hear();
    thread::scope(|scope| {
        for index in 0..topology.senders {
            let tx = tx.clone();
            scope.spawn(move || {
                worker::pin(topology.core(cores, true, index));
                mpmc_fixed_time::send_on(index, |first| tx.send(first).expect("a receiver"));
            });
        }
        for index in 0..topology.receivers {
            let (rx, count) = (rx.clone(), counts.of(index));
            scope.spawn(move || {
                worker::pin(topology.core(cores, false, index));
                mpmc_fixed_time::receive_on(count, || rx.recv().expect("a sender"));
            });
        }
    });
}

/// Attaches a member to a channel, or creates the channel if there is no address yet.
fn join<H: Handle>(address: Option<&str>) -> H {
    match address {
        None => Options::private().create(),
        Some(address) => Options::id(address.parse().expect("an id")).attach(),
    }
    .expect("a member")
}

fn send<const N: usize>(transport: Transport, address: Option<&str>, workload: &impl MpmcWorkload) {
    match transport {
        Transport::Sysvring => {
            let tx: ours::Sender<[u64; N]> = join(address);
            say(tx.id());
            workload.send(|first| tx.send(&message(first)).expect("send"));
        }
        Transport::InPlace => {
            let tx: ours::Sender<[u64; N]> = join(address);
            say(tx.id());
            workload.send(|first| {
                let mut loan = tx.loan().expect("loan");
                *loan = message(first);
                loan.commit().expect("commit");
            });
        }
        Transport::Vyukov => {
            let queue = address.map_or_else(Queue::<N>::create, Queue::attach);
            say(queue.address());
            workload.send(|first| queue.send(&message(first)));
        }
        Transport::Shaq => {
            let file = match address {
                None => link::memory(mpmc::minimum_file_size::<[u64; N]>(CAPACITY)),
                Some(address) => link::same_memory(address),
            };
            // SAFETY: the first sender creates the queue, once; all ends use the same type, which
            // consists of plain words.
            let queue = match address {
                None => unsafe {
                    let len = file.metadata().expect("its length").len() as usize;
                    mpmc::Producer::create(&file, len)
                },
                Some(_) => unsafe { mpmc::Producer::join(&file) },
            }
            .expect("a producer");
            say(link::address(&file));
            workload
                .send(|first| link::poll_until_some(|| queue.try_write(message::<N>(first)).ok()));
        }
        other => panic!("not MPMC: {other}"),
    }
}

fn receive<const N: usize>(transport: Transport, address: &str, workload: &impl MpmcWorkload) {
    match transport {
        Transport::Sysvring => {
            let rx: ours::Receiver<[u64; N]> = join(Some(address));
            workload.receive(|| check(&rx.recv().expect("receive")));
        }
        Transport::InPlace => {
            let rx: ours::Receiver<[u64; N]> = join(Some(address));
            workload.receive(|| check(&rx.recv_ref().expect("receive in place")));
        }
        Transport::Vyukov => {
            let queue = Queue::<N>::attach(address);
            workload.receive(|| check(&queue.recv()));
        }
        Transport::Shaq => {
            // SAFETY: all ends use the same type, which consists of plain words.
            let queue = unsafe { mpmc::Consumer::<[u64; N]>::join(&link::same_memory(address)) }
                .expect("a consumer");
            // Its blocking call stalls for seconds where members share processors; polling does
            // not.
            workload.receive(|| check(&link::poll_until_some(|| queue.try_read())));
        }
        other => panic!("not MPMC: {other}"),
    }
}

//! MPMC throughput, for several numbers of senders and receivers.

use std::io;

use sysvring::{Handle, Options, mpmc};
#[cfg(feature = "competitors")]
use sysvring_support::worker::{self, read_line};
use sysvring_support::worker::{Args, print_line};

use crate::effort::Effort;
use crate::machine::Cores;
use crate::report::goals::{Goal, Results};
use crate::report::table::{Bound, Table};
#[cfg(feature = "competitors")]
use crate::scenario::mpmc_fixed_time;
use crate::scenario::mpmc_fixed_time::{FixedTime, TOPOLOGIES, Task, Topology};
use crate::scenario::{mpmc_batches, mpmc_fixed_count};
#[cfg(feature = "competitors")]
use crate::transport::shaq;
use crate::transport::vyukov::Queue;
use crate::transport::{Transport, ends};
use crate::workload::mpmc_workload::{MpmcWorkload, Turns, check, message};

/// A target for sysvring, relative to another transport.
fn goal(over: Transport, times: f64) -> Goal<Transport> {
    Goal { contender: Transport::Sysvring, over, bound: Bound::AtLeast(times) }
}

/// Returns the throughput of every topology.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
) -> io::Result<Vec<(Topology, Results<Transport>)>> {
    // Fixed count, where members are not preempted.
    let ipc: Vec<Transport> =
        transports.iter().copied().filter(|transport| transport.is_ipc()).collect();
    let goals = [goal(Transport::Shaq, 4.0), goal(Transport::Vyukov, 0.9)];
    for bytes in [8, 64] {
        mpmc_fixed_count::run(cores, effort, &ipc, bytes, &goals)?;
    }
    mpmc_batches::run(cores, effort, &ipc)?;
    let goals = [goal(Transport::Shaq, 5.0), goal(Transport::Crossbeam, 1.0)];
    let mut all = Vec::new();
    for topology in TOPOLOGIES {
        let goals = if topology.senders == 4 { &goals[..] } else { &[] };
        all.push((topology, FixedTime { transports, topology, goals }.run(cores, effort)?));
    }
    let heads = all.iter().map(|(topology, _)| topology.name());
    let heads: Vec<String> = std::iter::once(String::new()).chain(heads).collect();
    let title = "MPMC throughput (senders x receivers) on two processors, 8 B: Mmsg/s (vs Vyukov's \
                 ring, vs the best competitor)";
    let mut table = Table::new(title, &heads);
    for &transport in transports {
        table.row(transport.label(), all.iter().map(|(_, results)| results.brief(transport)));
    }
    table.print();
    Ok(all)
}

pub fn worker(args: &mut Args) {
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
pub fn member(args: &mut Args) {
    let task = Task::from_args(args);
    match (task.transport, task.sends, task.address.as_deref()) {
        #[cfg(feature = "competitors")]
        (Transport::Crossbeam, false, _) if task.index == 0 => in_process(task),
        (Transport::Crossbeam, ..) => ends::idle(),
        (_, true, address) => send::<1>(task.transport, address, &task),
        (_, false, address) => {
            receive::<1>(task.transport, address.expect("the sender's address"), &task)
        }
    }
}

/// Runs all members as threads of this process.
#[cfg(feature = "competitors")]
fn in_process(task: Task) {
    let (tx, rx) = crossbeam_channel::bounded(ends::CAPACITY);
    let Task { topology, cores, counts, .. } = task;
    print_line("ready");
    read_line();
    std::thread::scope(|scope| {
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
            let tx: mpmc::Sender<[u64; N]> = join(address);
            print_line(tx.id());
            workload.send(|first| tx.send(&message(first)).expect("send"));
        }
        Transport::InPlace => {
            let tx: mpmc::Sender<[u64; N]> = join(address);
            print_line(tx.id());
            workload.send(|first| {
                let mut loan = tx.loan().expect("loan");
                *loan = message(first);
                loan.commit().expect("commit");
            });
        }
        Transport::Vyukov => {
            let queue = address.map_or_else(Queue::<N>::create, Queue::attach);
            print_line(queue.address());
            workload.send(|first| queue.send(&message(first)));
        }
        #[cfg(feature = "competitors")]
        Transport::Shaq => {
            let (queue, address) = shaq::mpmc_producer(address);
            print_line(address);
            workload.send(|first| {
                ends::poll_until_some(|| queue.try_write(message::<N>(first)).ok());
            });
        }
        other => panic!("not MPMC: {other}"),
    }
}

fn receive<const N: usize>(transport: Transport, address: &str, workload: &impl MpmcWorkload) {
    match transport {
        Transport::Sysvring => {
            let rx: mpmc::Receiver<[u64; N]> = join(Some(address));
            workload.receive(|| check(&rx.recv().expect("receive")));
        }
        Transport::InPlace => {
            let rx: mpmc::Receiver<[u64; N]> = join(Some(address));
            workload.receive(|| {
                rx.recv_ref().expect("receive in place").read(check).expect("acknowledged")
            });
        }
        Transport::Vyukov => {
            let queue = Queue::<N>::attach(address);
            workload.receive(|| check(&queue.recv()));
        }
        #[cfg(feature = "competitors")]
        Transport::Shaq => {
            let queue = shaq::mpmc_consumer::<N>(address);
            // Its blocking call stalls for seconds where members share processors; polling does
            // not.
            workload.receive(|| check(&ends::poll_until_some(|| queue.try_read())));
        }
        other => panic!("not MPMC: {other}"),
    }
}

//! MPMC throughput, for several numbers of senders and receivers.
//!
//! One sender and one receiver run in turns of a fixed count, as in SPSC; larger numbers run for a
//! fixed duration. The sender writes every word of each message; the receiver reads every word and
//! checks the sequence.

use std::io;

use sysvring::mpmc::{Receiver, Sender};
use sysvring_support::worker::{Orders, say};

use crate::Effort;
use crate::goals::Goal;
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::mpmc_fixed_count::FixedCount;
use crate::mpmc_fixed_time::{FixedTime, TOPOLOGIES, Task};
use crate::table::Bound;
use crate::team::{MpmcWorkload, Turns, check, message};
use crate::vyukov::Queue;

const TRANSPORTS: &[Transport] = &[Transport::Vyukov, Transport::Mpmc, Transport::MpmcInPlace];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let count = effort.pick(4_000, 200_000, 400_000);
    let goal =
        Goal { contender: Transport::Mpmc, over: Transport::Vyukov, bound: Bound::AtLeast(0.8) };
    let eight = FixedCount { transports: TRANSPORTS, bytes: 8, count, goals: &[goal] };
    eight.run(cores, effort)?;
    FixedCount { bytes: 64, goals: &[], ..eight }.run(cores, effort)?;
    for topology in TOPOLOGIES.into_iter().filter(|topology| topology.is_crowd()) {
        FixedTime { transports: TRANSPORTS, topology, goals: &[] }.run(cores, effort)?;
    }
    Ok(())
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
    match (task.sends, task.address.as_deref()) {
        (true, address) => send::<1>(task.transport, address, &task),
        (false, address) => {
            receive::<1>(task.transport, address.expect("the sender's address"), &task)
        }
    }
}

fn send<const N: usize>(transport: Transport, address: Option<&str>, workload: &impl MpmcWorkload) {
    if transport == Transport::Vyukov {
        let queue = match address {
            None => Queue::<N>::create(),
            Some(address) => Queue::attach(address),
        };
        say(queue.address());
        return workload.send(|n| queue.send(&message(n)));
    }
    let tx: Sender<[u64; N]> = match address {
        None => link::many_sender(transport),
        Some(address) => link::many(transport, address),
    };
    say(tx.id());
    if transport == Transport::MpmcInPlace {
        workload.send(|n| {
            let mut loan = tx.loan().expect("loan");
            *loan = message(n);
            loan.commit().expect("commit");
        })
    } else {
        workload.send(|n| tx.send(&message(n)).expect("send"))
    }
}

fn receive<const N: usize>(transport: Transport, address: &str, workload: &impl MpmcWorkload) {
    if transport == Transport::Vyukov {
        let queue = Queue::<N>::attach(address);
        return workload.receive(|| check(&queue.recv()));
    }
    let rx: Receiver<[u64; N]> = link::many(transport, address);
    if transport == Transport::MpmcInPlace {
        workload.receive(|| check(&rx.recv_ref().expect("receive in place")))
    } else {
        workload.receive(|| check(&rx.recv().expect("receive")))
    }
}

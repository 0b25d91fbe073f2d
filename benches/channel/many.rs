//! MPMC throughput, for several numbers of senders and receivers.
//!
//! One sender and one receiver run in turns of a fixed count, as in SPSC; larger numbers run for a
//! fixed duration. The sender writes every word of each message; the receiver reads every word and
//! checks the sequence.

use std::io;

use sysvring::mpmc::{Receiver, Sender};
use sysvring_support::worker::{Orders, say};

use crate::Extent;
use crate::duel::Duel;
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::table::Goal;
use crate::team::{Course, Turns, check, message};
use crate::verdict::Aim;
use crate::vyukov::Queue;
use crate::window::{SHAPES, Task, Window};

const WAYS: &[Way] = &[Way::Vyukov, Way::Many, Way::ManyInPlace];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let count = extent.pick(4_000, 200_000, 400_000);
    let aim = Aim { whose: Way::Many, over: Way::Vyukov, goal: Goal::AtLeast(0.8) };
    let eight = Duel { ways: WAYS, bytes: 8, count, aims: &[aim] };
    eight.run(cores, extent)?;
    Duel { bytes: 64, aims: &[], ..eight }.run(cores, extent)?;
    for shape in SHAPES.into_iter().filter(|shape| shape.is_crowd()) {
        Window { ways: WAYS, shape, aims: &[] }.run(cores, extent)?;
    }
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    let turns = Turns(orders.next());
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(way, None, &turns),
        ("send", 64) => send::<8>(way, None, &turns),
        ("receive", 8) => receive::<1>(way, &orders.next::<String>(), &turns),
        ("receive", 64) => receive::<8>(way, &orders.next::<String>(), &turns),
        other => panic!("unknown task: {other:?}"),
    }
}

/// Runs a member in a run of fixed duration.
pub fn member(orders: &mut Orders) {
    let task = Task::hear(orders);
    match (task.sends, task.address.as_deref()) {
        (true, address) => send::<1>(task.way, address, &task),
        (false, address) => receive::<1>(task.way, address.expect("the sender's address"), &task),
    }
}

fn send<const N: usize>(way: Way, address: Option<&str>, course: &impl Course) {
    if way == Way::Vyukov {
        let queue = match address {
            None => Queue::<N>::create(),
            Some(address) => Queue::attach(address),
        };
        say(queue.address());
        return course.send(|n| queue.send(&message(n)));
    }
    let tx: Sender<[u64; N]> = match address {
        None => link::many_sender(way),
        Some(address) => link::many(way, address),
    };
    say(tx.id());
    if way == Way::ManyInPlace {
        course.send(|n| {
            let mut loan = tx.loan().expect("loan");
            *loan = message(n);
            loan.commit().expect("commit");
        })
    } else {
        course.send(|n| tx.send(&message(n)).expect("send"))
    }
}

fn receive<const N: usize>(way: Way, address: &str, course: &impl Course) {
    if way == Way::Vyukov {
        let queue = Queue::<N>::attach(address);
        return course.receive(|| check(&queue.recv()));
    }
    let rx: Receiver<[u64; N]> = link::many(way, address);
    if way == Way::ManyInPlace {
        course.receive(|| check(&rx.recv_ref().expect("receive in place")))
    } else {
        course.receive(|| check(&rx.recv().expect("receive")))
    }
}

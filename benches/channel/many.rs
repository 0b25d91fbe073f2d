//! Many to many: how many messages a second go through, from some processes to some others?
//!
//! Each sender numbers its messages; each receiver looks at every word, and takes its share until its
//! sender's worth of them was received.

use std::io;

use sysvring::mpmc::{Receiver, Sender};
use sysvring_support::worker::{Orders, say};

use crate::Extent;
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::teams::{Match, Task, check, message, timed_turns, turns};
use crate::vyukov::Queue;

const WAYS: &[Way] = &[Way::Vyukov, Way::Many, Way::ManyInPlace];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let each = extent.pick(4_000, 200_000, 400_000);
    let one = Match { ways: WAYS, goal: Some((Way::Many, 0.6)), n: 1, bytes: 8, each };
    one.run(cores, extent)?;
    Match { goal: None, bytes: 64, ..one }.run(cores, extent)?;
    Match { goal: None, n: 4, each: each / 4, ..one }.run(cores, extent)
}

pub fn worker(orders: &mut Orders) {
    let Task { sends, way, bytes, each, address } = Task::hear(orders);
    let address = address.as_deref();
    match (sends, bytes) {
        (true, 8) => send::<1>(way, each, address),
        (true, 64) => send::<8>(way, each, address),
        (false, 8) => receive::<1>(way, each, address),
        (false, 64) => receive::<8>(way, each, address),
        other => panic!("no such work: {other:?}"),
    }
}

fn send<const N: usize>(way: Way, each: u64, address: Option<&str>) {
    if way == Way::Vyukov {
        let queue = match address {
            None => Queue::<N>::create(),
            Some(address) => Queue::attach(address),
        };
        say(queue.address());
        return turns(each, |n| queue.send(&message(n)));
    }
    let tx: Sender<[u64; N]> = match address {
        None => link::many_sender(way),
        Some(address) => link::many(way, address),
    };
    say(tx.id());
    if way == Way::ManyInPlace {
        turns(each, |n| {
            let mut loan = tx.loan().expect("loan");
            *loan = message(n);
            loan.commit().expect("commit");
        })
    } else {
        turns(each, |n| tx.send(&message(n)).expect("send"))
    }
}

fn receive<const N: usize>(way: Way, each: u64, address: Option<&str>) {
    let address = address.expect("the sender's address");
    if way == Way::Vyukov {
        let queue = Queue::<N>::attach(address);
        return timed_turns(each, || check(&queue.recv()));
    }
    let rx: Receiver<[u64; N]> = link::many(way, address);
    if way == Way::ManyInPlace {
        timed_turns(each, || check(&rx.recv_ref().expect("receive in place")))
    } else {
        timed_turns(each, || check(&rx.recv().expect("receive")))
    }
}

//! The process on the other side of the victim.

use std::time::{Duration, Instant};

use sysvring::{ChannelId, Fault, Options, RecvError, SendError, WaitSet};
use sysvring_support::fork::Fork;
use sysvring_support::shared_counters::now_ns;

use crate::steps::handle::{How, Rx, Side, Tx};
use crate::steps::operations::{receive_all, recv_by_waits, send_by_waits};
use crate::steps::report::peer::*;
use crate::steps::scenario::{Before, Other, Scenario};

/// Orders to an idle peer.
pub mod order {
    /// Receive the available messages, or send one message. This wakes a parked waiter on the other
    /// side.
    pub const WAKE: u64 = 1;
    /// Report which process is on the other side.
    pub const REPORT: u64 = 2;
}

/// The maximum time until a peer is where it should be, on a busy host.
const SOON: Duration = Duration::from_secs(5);

/// A forked process that is on the other side of the victim.
pub struct Peer {
    pub fork: Fork,
    pub side: Side,
}

impl Peer {
    /// Starts it, and waits until it is where the case requires it.
    pub fn start(scenario: &Scenario) -> Option<Peer> {
        if scenario.other == Other::Nobody {
            return None;
        }
        let own = scenario.other.is_beside();
        let side = if own { scenario.side } else { scenario.side.other() };
        let fork = Fork::start(|| match side {
            Side::Sender => run_sender(scenario),
            Side::Receiver => run_receiver(scenario),
        });
        let peer = Peer { fork, side };
        peer.settle(scenario);
        Some(peer)
    }

    /// Waits until it is where the case requires it.
    pub fn settle(&self, scenario: &Scenario) {
        let start = Instant::now();
        let there = || match scenario.other {
            other if other.sleeps() => self.is_asleep(scenario),
            _ => scenario.shared.peer.get() >= HERE,
        };
        while !there() {
            let so_far = (scenario.shared.peer.get(), scenario.shared.peer_text.get());
            assert!(start.elapsed() < SOON, "the peer does not reach its state: {so_far:?}");
            std::thread::yield_now();
        }
    }

    /// Returns whether it sleeps.
    pub fn is_asleep(&self, scenario: &Scenario) -> bool {
        scenario.is_asleep(self.side)
    }

    /// Returns whether a process that is joining has rung it, or was killed before.
    pub fn is_rung_by_joining(&self, scenario: &Scenario) -> bool {
        scenario.other.is_armed() && scenario.is_rung(self.side)
    }

    /// Gives an idle peer an order and waits until it is executed.
    pub fn order(&self, scenario: &Scenario, order: u64) {
        scenario.shared.order.set(order);
        let start = Instant::now();
        while scenario.shared.order.get() != 0 {
            assert!(start.elapsed() < SOON, "the peer does not execute the order");
            std::thread::yield_now();
        }
    }
}

/// The errors that a parked call may return.
trait CallError: std::fmt::Display + PartialEq + Sized {
    const DISCONNECTED: Self;
    const REMOVED: Self;
}

impl CallError for RecvError {
    const DISCONNECTED: Self = RecvError::Disconnected;
    const REMOVED: Self = RecvError::Fault(Fault::Removed);
}

impl CallError for SendError {
    const DISCONNECTED: Self = SendError::Disconnected;
    const REMOVED: Self = SendError::Fault(Fault::Removed);
}

/// Reports how a parked call returned.
fn returned<E: CallError>(scenario: &Scenario, result: Result<(), E>) {
    scenario.shared.peer_at.set(now_ns());
    scenario.shared.peer.set(match result {
        Ok(()) => SUCCEEDED,
        Err(error) if error == E::DISCONNECTED => DISCONNECTED,
        Err(error) if error == E::REMOVED => REMOVED,
        Err(error) => {
            scenario.shared.peer_text.set(&error.to_string());
            FAILED
        }
    });
}

fn run_receiver(scenario: &Scenario) {
    let mut rx = Rx::reach(scenario.flavor, How::Open, options(scenario)).expect("a receiver");
    let report = scenario.of_peer();
    arrived(scenario, &rx.id());
    if scenario.other.is_armed() {
        let set = WaitSet::new().expect("a set");
        rx.add_to(&set).expect("added");
        let recv = |rx: &mut Rx| recv_by_waits(&set, rx);
        return returned(scenario, report.receiving(&mut rx, recv));
    }
    if scenario.other.sleeps() {
        return returned(scenario, report.receiving(&mut rx, Rx::recv));
    }
    loop {
        match next_order(scenario) {
            // In an MPMC channel, a stopped sender may block it.
            order::WAKE => _ = receive_all(report, &mut rx, Rx::recv_available),
            _ => scenario.shared.peer_text.set(&rx.news()),
        }
        scenario.shared.order.set(0);
    }
}

fn run_sender(scenario: &Scenario) {
    let mut tx = Tx::reach(scenario.flavor, How::Open, options(scenario)).expect("a sender");
    let report = scenario.of_peer();
    arrived(scenario, &tx.id());
    let send = |tx: &mut Tx| {
        let next = report.next(tx);
        report.sending(|| tx.send(&next))
    };
    if scenario.other.is_armed() {
        let set = WaitSet::new().expect("a set");
        tx.add_to(&set).expect("added");
        let next = report.next(&tx);
        let send = || send_by_waits(&set, &mut tx, &next);
        return returned(scenario, report.sending(send));
    }
    if scenario.other.sleeps() {
        return returned(scenario, send(&mut tx));
    }
    loop {
        match next_order(scenario) {
            order::WAKE => send(&mut tx).expect("the victim receives"),
            _ => scenario.shared.peer_text.set(&tx.news()),
        }
        scenario.shared.order.set(0);
    }
}

/// The process that makes a private channel does not know its identifier beforehand.
fn options(scenario: &Scenario) -> Options {
    match scenario.before {
        Before::Private => scenario.private(),
        _ => scenario.options(),
    }
}

fn arrived(scenario: &Scenario, id: &ChannelId) {
    if scenario.before == Before::Private {
        scenario.shared.id.set(&id.to_string());
    }
    scenario.shared.peer.set(HERE);
}

fn next_order(scenario: &Scenario) -> u64 {
    loop {
        match scenario.shared.order.get() {
            0 => std::thread::sleep(Duration::from_micros(100)),
            order => return order,
        }
    }
}

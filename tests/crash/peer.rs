//! The process on the other side of the victim.

use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{ChannelId, Fault, Options, RecvError, SendError, Wait};
use sysvring_support::board::now_ns;
use sysvring_support::fork::Fork;

use crate::steps::kernel::{self, Side};
use crate::steps::many;
use crate::steps::messages::{CAPACITY, Load, load};
use crate::steps::report::peer::*;
use crate::steps::scenario::{Before, Flavor, Other, Scene};

/// Orders to an idle peer.
pub mod order {
    /// Receive the available messages, or send one message. This wakes a parked waiter on the other
    /// side.
    pub const WAKE: u64 = 1;
    /// Report which process is on the other side.
    pub const LOOK: u64 = 2;
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
    pub fn start(scene: &Scene) -> Option<Peer> {
        if scene.other == Other::Nobody {
            return None;
        }
        let own = scene.other == Other::Fellow;
        let side = if own { scene.side } else { scene.side.other() };
        let fork = Fork::start(|| match (scene.flavor, side) {
            (Flavor::Many, side) => many::peer::be(scene, side),
            (Flavor::One, Side::Sender) => be_sender(scene),
            (Flavor::One, Side::Receiver) => be_receiver(scene),
        });
        let peer = Peer { fork, side };
        peer.settle(scene);
        Some(peer)
    }

    /// Waits until it is where the case requires it.
    pub fn settle(&self, scene: &Scene) {
        let start = Instant::now();
        let there = || match scene.other {
            other if other.sleeps() => self.is_asleep(scene),
            _ => scene.board.peer.get() >= HERE,
        };
        while !there() {
            let so_far = (scene.board.peer.get(), scene.board.peer_text.get());
            assert!(start.elapsed() < SOON, "the peer does not reach its state: {so_far:?}");
            std::thread::yield_now();
        }
    }

    /// Returns whether it sleeps.
    pub fn is_asleep(&self, scene: &Scene) -> bool {
        kernel::set(scene.key).is_some_and(|set| kernel::asleep(set, self.side))
    }

    /// Gives an idle peer an order and waits until it is executed.
    pub fn order(&self, scene: &Scene, order: u64) {
        scene.board.order.set(order);
        let start = Instant::now();
        while scene.board.order.get() != 0 {
            assert!(start.elapsed() < SOON, "the peer does not execute the order");
            std::thread::yield_now();
        }
    }
}

/// How a parked call returned, as a number for the board.
pub trait Told: std::fmt::Display + PartialEq + Sized {
    const GONE: Self;
    const REMOVED: Self;
}

impl Told for RecvError {
    const GONE: Self = RecvError::Disconnected;
    const REMOVED: Self = RecvError::Fault(Fault::Removed);
}

impl Told for SendError {
    const GONE: Self = SendError::Disconnected;
    const REMOVED: Self = SendError::Fault(Fault::Removed);
}

pub fn returned<E: Told>(scene: &Scene, result: Result<(), E>) {
    scene.board.peer_at.set(now_ns());
    scene.board.peer.set(match result {
        Ok(()) => SUCCEEDED,
        Err(error) if error == E::GONE => DISCONNECTED,
        Err(error) if error == E::REMOVED => REMOVED,
        Err(error) => {
            scene.board.peer_text.set(&error.to_string());
            FAILED
        }
    });
}

fn be_receiver(scene: &Scene) {
    let mut rx: Receiver<Load> = options(scene).open().expect("a receiver");
    arrived(scene, &rx.id());
    if scene.other == Other::Asleep {
        let result = receive(scene, &mut rx);
        return returned(scene, result);
    }
    loop {
        match next_order(scene) {
            order::WAKE => while !rx.is_empty() && receive(scene, &mut rx).is_ok() {},
            _ => scene.board.peer_text.set(&format!("{:?}", rx.peer())),
        }
        scene.board.order.set(0);
    }
}

fn be_sender(scene: &Scene) {
    let mut tx: Sender<Load> = options(scene).open().expect("a sender");
    arrived(scene, &tx.id());
    if scene.other == Other::Asleep {
        let result = send(scene, &mut tx);
        return returned(scene, result);
    }
    loop {
        match next_order(scene) {
            order::WAKE => send(scene, &mut tx).expect("the victim receives"),
            _ => scene.board.peer_text.set(&format!("{:?}", tx.peer())),
        }
        scene.board.order.set(0);
    }
}

/// The process that makes a private channel does not know its identifier beforehand.
pub fn options(scene: &Scene) -> Options {
    let private = || Options::private().capacity(CAPACITY as usize).wait(Wait::Park);
    match (scene.before, scene.flavor) {
        (Before::Private, Flavor::One) => private(),
        (Before::Private, Flavor::Many) => private().max_members(many::MEMBERS),
        _ => scene.options(),
    }
}

pub fn arrived(scene: &Scene, id: &ChannelId) {
    if scene.before == Before::Private {
        scene.board.id.set(&id.to_string());
    }
    scene.board.peer.set(HERE);
}

pub fn next_order(scene: &Scene) -> u64 {
    loop {
        match scene.board.order.get() {
            0 => std::thread::sleep(Duration::from_micros(100)),
            order => return order,
        }
    }
}

/// Receives one message and reports it.
pub fn receive(scene: &Scene, rx: &mut Receiver<Load>) -> Result<(), RecvError> {
    let position = rx.position();
    scene.board.taken.begin(1);
    let result = rx.recv();
    scene.board.taken.end(1, result.is_ok().into());
    if result? != load(position) {
        scene.board.wrong.set(1);
    }
    Ok(())
}

/// Sends one message and reports it.
pub fn send(scene: &Scene, tx: &mut Sender<Load>) -> Result<(), SendError> {
    let load = load(tx.position());
    scene.board.sent.begin(1);
    let result = tx.send(&load);
    scene.board.sent.end(1, result.is_ok().into());
    result
}

//! The parts that MPMC channels need: what exists when the victim starts, which other process there
//! is, and what must hold afterwards.

pub mod controls;
pub mod peer;
pub mod verify;

use std::time::Duration;

use sysvring::mpmc::{Receiver, Sender};
use sysvring::{Handle, Lifetime};
use sysvring_support::fork::Fork;

use crate::steps::kernel::{self, Memory, Side};
use crate::steps::messages::{Load, load};
use crate::steps::scenario::{Before, Scene};

/// The number of seats of every channel here.
pub const MEMBERS: usize = 6;
/// A seat that no process gets while fewer than four have joined. What a dead member left there is
/// found by any member that encounters it.
pub const FAR: usize = 3;
/// The seat of the next process that joins, which cleans up what the dead member left there.
pub const NEAR: usize = 0;

/// The number of messages that a dead receiver has in flight.
const HELD: u64 = 2;

/// Makes the channel, with its messages and what the dead members left.
pub fn make_channel(scene: &mut Scene) {
    let created = scene.options().lifetime(Lifetime::Kept).create::<Sender<Load>>();
    drop(created.expect("a new channel"));
    scene.segment = kernel::segment(scene.key).expect("a segment");
    Memory::of(scene.segment).move_to_many(scene.state);
    let scene = &*scene;
    match scene.before {
        Before::Dead(Side::Sender, seat) => die(scene, seat, || {
            let tx: Sender<Load> = open(scene);
            let loan = tx.loan().expect("a free slot");
            fill(scene, &tx, scene.state.fill - 1);
            wait_for_death(scene);
            drop(loan);
        }),
        Before::Dead(Side::Receiver, seat) => {
            fill(scene, &open(scene), scene.state.fill);
            die(scene, seat, || {
                let rx: Receiver<Load> = open(scene);
                let ledger = &scene.board.many;
                let n = HELD.min(scene.state.fill);
                let guards: Vec<_> = (0..n).map(|_| rx.recv_ref().expect("a message")).collect();
                ledger.orphans.set(n);
                wait_for_death(scene);
                drop(guards);
            });
        }
        _ => fill(scene, &open(scene), scene.state.fill),
    }
}

pub fn open<H: Handle>(scene: &Scene) -> H {
    scene.options().open().expect("a member")
}

fn fill(scene: &Scene, tx: &Sender<Load>, n: u64) {
    for _ in 0..n {
        tx.try_send(&load(scene.board.many.next_old())).expect("a free slot");
    }
}

/// Starts a process that joins in a seat and is killed there.
fn die(scene: &Scene, seat: usize, life: impl FnOnce()) {
    let company: Vec<Sender<Load>> = (0..seat).map(|_| open(scene)).collect();
    let mut member = Fork::start(life);
    while scene.board.order.get() == 0 {
        std::thread::yield_now();
    }
    member.kill_and_wait();
    scene.board.order.set(0);
    drop(company);
}

fn wait_for_death(scene: &Scene) {
    scene.board.order.set(1);
    std::thread::sleep(Duration::from_secs(60));
}

//! The kernel gives the identifier of a set out again, after some millions of others: a member whose set
//! was removed leaves the stranger's set alone.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Fault, Options, RecvError, SendError, mpmc};
use sysvring_support::ipc;
use sysvring_support::name::Name;
use sysvring_support::worker::{Orders, Worker};
use sysvring_support::{test, work};

use crate::raw::{Memory, at};

/// In the word of a side: a member of it is parked.
const PARKED: u32 = 1;
/// More sets than there are identifiers.
const MOST: u32 = 20_000_000;

#[test(quiet)]
fn a_set_that_has_the_identifier_by_now() {
    Worker::run(&[&"stale_ids::come_round", &Name::new()]);
}

#[test]
fn a_larger_set_that_has_the_identifier() {
    Worker::run(&[&"stale_ids::look_at_a_larger_one"]);
}

/// In another IPC namespace identifiers begin anew: the set there has as many semaphores as there may be.
#[work]
fn look_at_a_larger_one(_: &mut Orders) {
    let unshare = || {
        // SAFETY: a number; this process has one thread.
        unsafe { libc::unshare(libc::CLONE_NEWIPC) == 0 }
    };
    if !unshare() {
        println!("NOT CHECKED: no IPC namespace is to be had");
        return;
    }
    let tx: mpmc::Sender<u64> = Options::private().max_members(4).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let set = tx.stat().expect("stat").set.expect("a set").id;
    assert!(unshare());
    // SAFETY: numbers only.
    let larger = unsafe { libc::semget(libc::IPC_PRIVATE, 32_000, 0o600) };
    assert_eq!(larger, set, "the first identifier of a namespace");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::LivenessLost)));
    remove_set(larger);
}

/// A set of four semaphores, as many as a wake-up needs.
fn make_set() -> i32 {
    // SAFETY: numbers only.
    let id = unsafe { libc::semget(libc::IPC_PRIVATE, 4, 0o600) };
    assert_ne!(id, -1, "semget: {}", std::io::Error::last_os_error());
    id
}

fn remove_set(id: i32) {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }, 0);
}

#[work]
fn come_round(orders: &mut Orders) {
    // Only there are few enough sets.
    // SAFETY: a number; this process has one thread and uses nothing of System V yet.
    if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
        println!("NOT CHECKED: no IPC namespace is to be had");
        return;
    }
    let name: String = orders.next();
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let rx: Receiver<u64> = Options::named(&name).attach().expect("attach");
    tx.send(&1).expect("send");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let memory = Memory::of(tx.id().segment());
    remove_set(set);
    let came_round = (0..MOST).any(|_| {
        let id = make_set();
        if id != set {
            remove_set(id);
        }
        id == set
    });
    assert!(came_round, "{set} is not given out again in {MOST} sets");
    memory.u32(at::RECEIVERS).fetch_or(PARKED, SeqCst);
    tx.send(&2).expect("the message is in the ring");
    assert_eq!(ipc::values(set)[..4], [0; 4], "a stranger's semaphore was changed");
    assert_eq!(tx.flush(Duration::ZERO), Err(SendError::Fault(Fault::Removed)));
    drop((tx, rx));
    assert_eq!(ipc::values(set)[..4], [0; 4], "a stranger's semaphore was changed on leaving");
    remove_set(set);
}

//! The kernel reuses the identifier of a set after some millions of others: a member whose set was
//! removed does not change the unrelated set.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Fault, Options, RecvError, SendError, mpmc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, raw_ipc, test, work};

/// The flag that a member of this side is parked.
const PARKED: u32 = 1;
/// More sets than there are identifiers.
const MOST: u32 = 20_000_000;

#[test(quiet)]
fn an_unrelated_set_with_the_identifier_is_not_changed() {
    Worker::run(&[&"reused_set_id::come_round", &Name::new()]);
}

#[test]
fn a_larger_set_with_the_identifier_does_not_overflow() {
    Worker::run(&[&"reused_set_id::look_at_a_larger_one"]);
}

/// In another IPC namespace, identifiers start again: the set there has the maximum number of
/// semaphores.
#[work]
fn look_at_a_larger_one(_: &mut Args) {
    if !ipc_namespace::enter() {
        println!("NOT CHECKED: this kernel does not allow an IPC namespace");
        return;
    }
    let tx: mpmc::Sender<u64> = Options::private().max_members(4).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let set = tx.stat().expect("stat").set.expect("a set").id;
    assert!(ipc_namespace::enter());
    let larger = raw_ipc::create_set(libc::IPC_PRIVATE, 32_000, 0o600).expect("semget");
    assert_eq!(larger, set, "the first identifier of a namespace");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::LivenessLost)));
    raw_ipc::remove_set(larger).expect("IPC_RMID");
}

#[work]
fn come_round(args: &mut Args) {
    // Other programs would have too many sets.
    if !ipc_namespace::enter() {
        println!("NOT CHECKED: this kernel does not allow an IPC namespace");
        return;
    }
    let name: String = args.next();
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let rx: Receiver<u64> = Options::named(&name).attach().expect("attach");
    tx.send(&1).expect("send");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let memory = Segment::of(tx.id().segment());
    raw_ipc::remove_set(set).expect("IPC_RMID");
    let came_round = (0..MOST).any(|_| {
        // As many semaphores as a wake-up needs.
        let id = raw_ipc::create_set(libc::IPC_PRIVATE, 4, 0o600).expect("semget");
        if id != set {
            raw_ipc::remove_set(id).expect("IPC_RMID");
        }
        id == set
    });
    assert!(came_round, "identifier {set} is not reused in {MOST} sets");
    memory.u32(at::RECEIVERS).fetch_or(PARKED, SeqCst);
    tx.send(&2).expect("the message is in the ring");
    assert_eq!(raw_ipc::values(set)[..4], [0; 4], "an unrelated semaphore was changed");
    assert_eq!(tx.flush(Duration::ZERO), Err(SendError::Fault(Fault::Removed)));
    drop((tx, rx));
    assert_eq!(
        raw_ipc::values(set)[..4],
        [0; 4],
        "an unrelated semaphore was changed when leaving"
    );
    raw_ipc::remove_set(set).expect("IPC_RMID");
}

//! A process that opens a channel as root and becomes another user afterwards: the mode of the
//! channel does not admit that user. It is told, and told what to do; the others go on.

use std::fmt::Display;
use std::time::Duration;

use sysvring::{Error, Fault, Flavor, Options, RecvError, SendError};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender};
use sysvring_support::handle::{Broadcast, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::worker::{Args, Worker, end_with_parent, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

const LONG: Duration = Duration::from_secs(20);

/// The user `nobody`, who has no permissions.
const NOBODY: u32 = 65_534;

fn become_nobody() {
    // SAFETY: numbers only, in a process with one thread.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!((libc::setgid(NOBODY), libc::setuid(NOBODY)), (0, 0));
    }
    end_with_parent();
}

/// Checks that an error says what happened and what to do.
fn is_told(error: impl Display) {
    let text = error.to_string();
    assert!(text.contains("user") && text.contains("open the channel after"), "{text}");
}

/// Sends after the change of the user. A call that sent its message cannot take it back, so the call
/// after it is told.
fn send<F: AnyFlavor>(name: &str) {
    let mut tx: F::Sender<u64> = Options::named(name).attach().expect("attach");
    become_nobody();
    print_line("another user");
    read_line();
    let first = tx.try_send(&1);
    let next = tx.try_send(&2);
    assert!([Ok(()), next].contains(&first), "{first:?}");
    print_line(u64::from(first.is_ok()));
    assert_eq!(next, Err(SendError::Fault(Fault::PermissionLost)));
    is_told(next.unwrap_err());
    assert_eq!(tx.send_timeout(&2, LONG), next);
    let closed = tx.finish().expect_err("it may not");
    assert!(matches!(closed, Error::Fault(Fault::PermissionLost)), "{closed:?}");
    print_line("closed");
    read_line();
}

/// Sends to a receiver that does not wait, so that the departure is the first to be refused.
fn finish<F: AnyFlavor>(name: &str) {
    let mut tx: F::Sender<u64> = Options::named(name).attach().expect("attach");
    become_nobody();
    tx.try_send(&1).expect("room");
    let closed = tx.finish().expect_err("it may not");
    assert!(matches!(closed, Error::Fault(Fault::PermissionLost)), "{closed:?}");
    print_line("closed");
    read_line();
}

/// Receives after the change of the user.
fn receive<F: AnyFlavor>(name: &str) {
    let mut rx: F::Receiver<u64> = Options::named(name).attach().expect("attach");
    become_nobody();
    print_line("another user");
    read_line();
    assert_eq!(rx.try_recv(), Ok(1));
    let next = rx.try_recv();
    assert_eq!(next, Err(RecvError::Fault(Fault::PermissionLost)));
    is_told(next.unwrap_err());
    drop(rx);
    print_line("closed");
    read_line();
}

/// Waits after the change of the user.
fn wait<F: AnyFlavor>(name: &str) {
    let mut rx: F::Receiver<u64> = Options::named(name).attach().expect("attach");
    // An ordinary user may not open what tells the host's delays.
    let mut watch = Watch::start(&[]);
    watch.late(now_ns());
    become_nobody();
    watch.restart();
    let began = now_ns();
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Fault(Fault::PermissionLost)));
    watch.must_be_within(PROMPT, began);
    print_line("told");
    read_line();
}

#[work]
fn change_user(args: &mut Args) {
    let (name, flavor, what): (String, String, String) = (args.next(), args.next(), args.next());
    match (&*flavor, &*what) {
        ("Spsc", "send") => send::<Spsc>(&name),
        ("Mpmc", "send") => send::<Mpmc>(&name),
        ("Broadcast", "send") => send::<Broadcast>(&name),
        ("Spsc", "finish") => finish::<Spsc>(&name),
        ("Mpmc", "finish") => finish::<Mpmc>(&name),
        ("Broadcast", "finish") => finish::<Broadcast>(&name),
        ("Spsc", "receive") => receive::<Spsc>(&name),
        ("Mpmc", "receive") => receive::<Mpmc>(&name),
        ("Broadcast", "receive") => receive::<Broadcast>(&name),
        ("Spsc", _) => wait::<Spsc>(&name),
        ("Mpmc", _) => wait::<Mpmc>(&name),
        _ => wait::<Broadcast>(&name),
    }
}

/// Waits until a thread waits for a semaphore of the channel.
fn until_parked(name: &Name) {
    let set = sysvring::stat(name.as_str()).expect("stat").set.expect("a set");
    let waits = |n| raw_ipc::waiting(set.id, n) + raw_ipc::waiting_for_zero(set.id, n) > 0;
    until(|| (0..set.semaphores as usize).any(waits));
}

fn start<F: AnyFlavor>(name: &Name, what: &str) -> Worker {
    let flavor = format!("{:?}", F::FLAVOR);
    Worker::start(&[&"lost_permission::change_user", name, &flavor, &what]).expect("start")
}

/// Modes that leave another user nothing, and that let one ask but not change anything.
const MODES: [u32; 2] = [0o600, 0o644];

/// Options of a channel in which a seat that is not given back is missing.
fn options<F: AnyFlavor>(name: &Name, mode: u32) -> Options {
    let options = name.options().mode(mode).capacity(4);
    if F::FLAVOR == Flavor::Spsc { options } else { options.max_members(2) }
}

/// The channel works.
fn works<F: AnyFlavor>(name: &Name, tx: &mut F::Sender<u64>, rx: &mut F::Receiver<u64>) {
    tx.send_timeout(&7, LONG).expect("room");
    assert_eq!(rx.recv_timeout(LONG), Ok(7), "{}", name.as_str());
}

/// Returns the tokens of the two seats.
fn seats(name: &Name) -> Vec<u16> {
    let set = sysvring::stat(name.as_str()).expect("stat").set.expect("a set");
    raw_ipc::values(set.id)[raw_ipc::FIRST_SEAT..].to_vec()
}

#[test(root)]
fn a_sender_that_becomes_another_user_is_told<F: AnyFlavor>() {
    for mode in MODES {
        let name = Name::new();
        // Nobody could wake the receiver in time.
        name.may_oversleep();
        let mut rx: F::Receiver<u64> = options::<F>(&name, mode).open().expect("open");
        let mut worker = start::<F>(&name, "send");
        worker.expect("another user");
        let received = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| rx.recv_timeout(LONG));
            until_parked(&name);
            worker.write_line("send").expect("tell");
            receiving.join().expect("no panic")
        });
        let was_sent = worker.read_line().expect("a number") == "1";
        assert_eq!(received, if was_sent { Ok(1) } else { Err(RecvError::Disconnected) });
        worker.expect("closed");
        // It has left, although its process lives on.
        assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
        let mut tx: F::Sender<u64> = name.options().attach().expect("its seat is free");
        works::<F>(&name, &mut tx, &mut rx);
        // The end of its process takes nothing from its successor.
        worker.write_line("end").expect("tell");
        worker.finish();
        assert!(!seats(&name).contains(&0), "{:?}", seats(&name));
        works::<F>(&name, &mut tx, &mut rx);
        tx.finish().expect("it may");
        assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    }
}

/// Its successor is the first to ask.
#[test(root)]
fn the_seat_of_a_sender_that_became_another_user_is_free<F: AnyFlavor>() {
    for mode in MODES {
        let name = Name::new();
        name.may_oversleep();
        let mut rx: F::Receiver<u64> = options::<F>(&name, mode).open().expect("open");
        let mut worker = start::<F>(&name, "finish");
        worker.expect("closed");
        for _ in 0..3 {
            let tx: F::Sender<u64> = name.options().attach().expect("its seat is free");
            drop(tx);
        }
        let mut tx: F::Sender<u64> = name.options().attach().expect("its seat is free");
        worker.write_line("end").expect("tell");
        worker.finish();
        assert_eq!(rx.recv_timeout(LONG), Ok(1));
        works::<F>(&name, &mut tx, &mut rx);
    }
}

/// Nobody asks until its process has ended: it finished all the same.
#[test(root)]
fn a_sender_that_became_another_user_has_finished<F: AnyFlavor>() {
    for mode in MODES {
        let name = Name::new();
        name.may_oversleep();
        let rx: F::Receiver<u64> = options::<F>(&name, mode).open().expect("open");
        let mut worker = start::<F>(&name, "finish");
        worker.expect("closed");
        drop(rx);
        worker.write_line("end").expect("tell");
        worker.finish();
        let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
        assert_eq!(rx.recv_timeout(LONG), Ok(1));
        // An MPMC sender counts as one that died (`docs/operations.md`).
        if F::FLAVOR != Flavor::Mpmc {
            assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
        }
    }
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one `timespec`, which outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The kernel counts it until its process ends. A process that waits for a peer is not misled, and
/// does not spin.
#[test(root)]
fn a_sender_that_became_another_user_is_no_peer<F: AnyFlavor>() {
    let name = Name::new();
    name.may_oversleep();
    let rx: F::Receiver<u64> = options::<F>(&name, 0o600).open().expect("open");
    let mut worker = start::<F>(&name, "finish");
    worker.expect("closed");
    drop(rx);
    let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
    let (wait, before) = (Duration::from_millis(400), processor_time());
    assert_eq!(rx.wait_for_peer(wait), Err(RecvError::Timeout));
    assert!(processor_time() - before < wait / 4, "it spins");
    let (tx, mut rx) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| rx.wait_for_peer(LONG).map(|()| rx));
        until_parked(&name);
        let tx: F::Sender<u64> = name.options().attach().expect("its seat is free");
        (tx, waiting.join().expect("no panic").expect("a peer"))
    });
    let mut tx = tx;
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    works::<F>(&name, &mut tx, &mut rx);
    worker.write_line("end").expect("tell");
    worker.finish();
}

#[test(root)]
fn a_receiver_that_becomes_another_user_is_told<F: AnyFlavor>() {
    for mode in MODES {
        let name = Name::new();
        name.may_oversleep();
        let options = options::<F>(&name, mode).capacity(1);
        let mut tx: F::Sender<u64> = options.open().expect("open");
        let mut worker = start::<F>(&name, "receive");
        worker.expect("another user");
        tx.try_send(&1).expect("room");
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| tx.send_timeout(&2, LONG));
            until_parked(&name);
            worker.write_line("receive").expect("tell");
            assert_eq!(sending.join().expect("no panic"), Ok(()));
        });
        worker.expect("closed");
        if F::FLAVOR != Flavor::Broadcast {
            assert_eq!(tx.send_timeout(&3, LONG), Err(SendError::Disconnected));
        }
        let mut rx: F::Receiver<u64> = name.options().attach().expect("its seat is free");
        assert_eq!(rx.recv_timeout(LONG), Ok(2));
        works::<F>(&name, &mut tx, &mut rx);
        worker.write_line("end").expect("tell");
        worker.finish();
        assert!(!seats(&name).contains(&0), "{:?}", seats(&name));
        works::<F>(&name, &mut tx, &mut rx);
    }
}

#[test(root)]
fn a_receiver_that_waits_as_another_user_is_told_at_once<F: AnyFlavor>() {
    let name = Name::new();
    let tx: F::Sender<u64> = name.options().open().expect("open");
    let mut worker = start::<F>(&name, "wait");
    worker.expect("told");
    drop(tx);
    worker.write_line("end").expect("tell");
    worker.finish();
}

//! A process that opens a channel as root and becomes another user afterwards: the mode of the
//! channel does not admit that user. It is told, and told what to do; the others go on.

use std::fmt::Display;
use std::time::Duration;

use sysvring::{Error, Fault, Options, RecvError, SendError};
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

/// The seat is given back with the process, and the channel works.
fn works<F: AnyFlavor>(name: &Name, tx: &mut F::Sender<u64>, rx: &mut F::Receiver<u64>) {
    tx.send_timeout(&7, LONG).expect("room");
    assert_eq!(rx.recv_timeout(LONG), Ok(7), "{}", name.as_str());
}

#[test(root)]
fn a_sender_that_becomes_another_user_is_told<F: AnyFlavor>() {
    let name = Name::new();
    // Nobody could wake the receiver in time.
    name.may_oversleep();
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
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
    worker.finish();
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    let mut tx: F::Sender<u64> = name.options().attach().expect("its seat is free");
    works::<F>(&name, &mut tx, &mut rx);
}

#[test(root)]
fn a_receiver_that_becomes_another_user_is_told<F: AnyFlavor>() {
    let name = Name::new();
    name.may_oversleep();
    let mut tx: F::Sender<u64> = name.options().capacity(1).open().expect("open");
    let mut worker = start::<F>(&name, "receive");
    worker.expect("another user");
    tx.try_send(&1).expect("room");
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send_timeout(&2, LONG));
        until_parked(&name);
        worker.write_line("receive").expect("tell");
        assert_eq!(sending.join().expect("no panic"), Ok(()));
    });
    worker.finish();
    let mut rx: F::Receiver<u64> = name.options().attach().expect("its seat is free");
    assert_eq!(rx.recv_timeout(LONG), Ok(2));
    works::<F>(&name, &mut tx, &mut rx);
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

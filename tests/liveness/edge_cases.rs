//! Cases in which the kernel's undo and the facts may differ: `exec`, another IPC or PID namespace,
//! a main thread that ended, forks, and a kernel that does not implement undo.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use sysvring::{Error, Fault, Options, Peer, RecvError, SendError, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::{shared_counters, until, until_at_least};
use sysvring_support::single_step::trace_calls;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

/// Executes the same program again, without its mappings.
fn exec_into_sitting() -> ! {
    let error = Command::new("/proc/self/exe").args(["worker", "edge_cases::sit_still"]).exec();
    panic!("exec: {error}");
}

/// What a process does after such an `exec`.
#[work]
fn sit_still(_: &mut Args) {
    print_line("other");
    read_line();
}

#[work]
fn sit_and_exec(args: &mut Args) {
    let mut tx: spsc::Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    tx.send(&1).expect("send");
    exec_into_sitting();
}

#[test]
fn exec_keeps_a_seat() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    let mut other = Worker::start(&[&"edge_cases::sit_and_exec", &name]).expect("start");
    other.expect("other");
    let pid = other.pid() as u32;
    assert_eq!(rx.recv(), Ok(1));
    // The kernel keeps the undo records, so the peer is told nothing, and no process can take the
    // seat.
    assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
    assert_eq!(rx.peer(), Ok(Peer::Present { pid }));
    let taken = name.options().attach::<spsc::Sender<u64>>();
    assert!(matches!(taken, Err(Error::SeatTaken { pid: p, .. }) if p == pid));
    other.kill_and_wait().expect("kill");
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("free by now");
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
}

#[work]
fn claim_and_exec(args: &mut Args) {
    let tx: mpmc::Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    let _loan = tx.loan().expect("a slot");
    exec_into_sitting();
}

#[test]
fn exec_keeps_a_claim() {
    let name = Name::new();
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let mut other = Worker::start(&[&"edge_cases::claim_and_exec", &name]).expect("start");
    other.expect("other");
    let pid = other.pid() as u32;
    let tx: mpmc::Sender<u64> = name.options().attach().expect("another seat");
    tx.send(&2).expect("send");
    assert_eq!(
        rx.recv_timeout(SOON),
        Err(RecvError::Blocked { pid }),
        "it holds them up, and is named"
    );
    other.kill_and_wait().expect("kill");
    assert_eq!(rx.recv(), Ok(2));
}

#[work]
fn change_the_namespace(args: &mut Args) {
    let (name, flavor): (String, String) = (args.next(), args.next());
    // SAFETY: a number.
    let leave = || assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWIPC) }, 0, "as root");
    let lost = Fault::LivenessLost;
    if flavor == "spsc" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&1).expect("send");
        leave();
        print_line("lost");
        read_line();
        assert_eq!(tx.send(&9), Err(SendError::Fault(lost)));
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(lost)));
        assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
    } else {
        let rx: mpmc::Receiver<u64> = Options::named(name).open().expect("open");
        let guard = rx.recv_ref().expect("a message");
        leave();
        print_line("lost");
        read_line();
        let lost = RecvError::Fault(lost);
        assert_eq!(guard.ack(), Err(lost));
        assert_eq!((rx.recv(), rx.try_recv()), (Err(lost), Err(lost)));
    }
}

#[test(root)]
fn entering_another_ipc_namespace_is_reported() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().capacity(1).open().expect("open");
    let start = |name: &Name, flavor: &str| {
        let mut other =
            Worker::start(&[&"edge_cases::change_the_namespace", name, &flavor]).expect("start");
        other.expect("lost");
        other
    };
    let mut other = start(&name, "spsc");
    assert_eq!(rx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat is free");
    other.write_line("go on").expect("tell");
    other.finish();
    assert_eq!(rx.recv(), Ok(1));
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    tx.send(&1).expect("send");
    // No other thread waits.
    let mut other = start(&name, "mpmc");
    let guard = rx.recv_ref_timeout(LONG).expect("the message again");
    assert_eq!(guard.delivery_count(), 2);
    other.write_line("go on").expect("tell");
    other.finish();
    guard.ack().expect("acknowledged");
    assert_eq!(tx.len(), 0);
}

/// A child whose main thread ends at once, while another thread has a handle and sends.
#[work]
fn end_the_main_thread(args: &mut Args) {
    let name: String = args.next();
    let [sent] = shared_counters::<1>();
    let mut rx: spsc::Receiver<u64> = Options::named(&name).open().expect("open");
    let many = format!("{name}-many");
    let other_rx: mpmc::Receiver<u64> = Options::named(&many).open().expect("open");
    let mut child = Fork::start(|| {
        let mut tx: spsc::Sender<u64> = Options::named(&name).attach().expect("attach");
        let other_tx: mpmc::Sender<u64> = Options::named(&many).attach().expect("attach");
        std::thread::spawn(move || {
            let _loan = other_tx.loan().expect("a slot");
            for n in 0.. {
                tx.send(&n).expect("send");
                sent.store(n, std::sync::atomic::Ordering::Release);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // SAFETY: ends this thread and no other; nothing of it is used any more.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    });
    let state =
        || std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).expect("its state");
    until(|| state().contains(") Z "));
    until_at_least(sent, 1);
    let start = Instant::now();
    let mut next = 0;
    // Longer than any wait slice.
    while start.elapsed() < Duration::from_millis(400) {
        assert_eq!(rx.recv(), Ok(next));
        next += 1;
        assert_eq!(rx.peer(), Ok(Peer::Present { pid: child.pid() }));
    }
    let taken = Options::named(&name).attach::<spsc::Sender<u64>>();
    assert!(matches!(taken, Err(Error::SeatTaken { pid, .. }) if pid == child.pid()));
    let behind = Err(RecvError::Blocked { pid: child.pid() });
    assert_eq!(other_rx.recv_timeout(SOON), behind, "its claim stands");
    assert!(child.kill_and_wait());
    while rx.recv().is_ok() {}
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(other_rx.recv(), Err(RecvError::Disconnected));
    sysvring::remove(&*many).expect("removed");
}

#[test]
fn a_process_without_its_main_thread_is_alive() {
    Worker::run(&[&"edge_cases::end_the_main_thread", &Name::new()]);
}

/// A child calls an inherited handle of an MPMC channel, and ends.
#[work]
fn inherit(args: &mut Args) {
    let name: String = args.next();
    let tx: mpmc::Sender<u64> = Options::named(&name).capacity(8).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::named(&name).attach().expect("attach");
    tx.send_batch(&[1, 2]).expect("room");
    let guard = rx.recv_ref().expect("a message");
    let mut loan = tx.loan().expect("room");
    *loan = 3;
    let mut places = Some((loan, guard));
    Fork::start(|| {
        let sent = Err(SendError::Fault(Fault::Forked));
        let none = Err(RecvError::Fault(Fault::Forked));
        assert_eq!(tx.send(&9), sent);
        assert_eq!(tx.try_send(&9), sent);
        assert_eq!(tx.loan().map(drop), sent);
        assert_eq!(tx.send_batch(&[9]).map_err(|e| e.error), sent);
        assert_eq!(tx.flush(LONG), sent);
        assert_eq!(tx.wait_for_peer(LONG), sent);
        assert_eq!(rx.recv().map(drop), none);
        assert_eq!(rx.try_recv().map(drop), none);
        assert_eq!(rx.recv_ref().map(drop), none);
        assert_eq!(rx.recv_batch(&mut Vec::new(), 9).map(drop), none);
        assert_eq!(rx.wait_for_peer(LONG), none);
        assert_eq!(rx.deaths(), Err(Fault::Forked));
        let (loan, guard) = places.take().expect("a copy of the parent's");
        assert_eq!(loan.commit(), sent);
        assert_eq!(guard.ack(), none);
        // A seat of its own works.
        let own: mpmc::Sender<u64> = tx.try_clone().expect("another seat");
        own.send(&4).expect("send");
    })
    .finish();
    let (loan, guard) = places.take().expect("the parent's own");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
    guard.ack().expect("acknowledged");
    loan.commit().expect("still ours");
    assert!(rx.try_iter().map(|n| n.expect("a message")).eq([2, 3, 4]));
    assert_eq!(rx.deaths(), Ok(Vec::new()), "the child left, the parent never did");
}

#[test]
fn a_forked_child_is_not_a_member_of_an_mpmc_channel() {
    Worker::run(&[&"edge_cases::inherit", &Name::new()]);
}

/// Members in a child PID namespace.
#[work]
fn nest(args: &mut Args) {
    let name: String = args.next();
    let many = format!("{name}-many");
    let [here] = shared_counters::<1>();
    let mut rx: spsc::Receiver<u64> = Options::named(&name).open().expect("open");
    let tx: mpmc::Sender<u64> = Options::named(&many).open().expect("open");
    let many_rx: mpmc::Receiver<u64> = Options::named(&many).attach().expect("attach");
    tx.send_batch(&[1, 2]).expect("send");
    // SAFETY: a number; the next child is the first process of the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "as root");
    let mut child = Fork::start(|| {
        assert_eq!(std::process::id(), 1, "in a namespace of its own");
        let mut tx: spsc::Sender<u64> = Options::named(&name).attach().expect("attach");
        assert_eq!(tx.peer(), Ok(Peer::Present { pid: 0 }), "alive and not visible");
        let taken = Options::named(&name).attach::<spsc::Receiver<u64>>();
        assert!(matches!(taken, Err(Error::SeatTaken { pid: 0, .. })));
        let rx: mpmc::Receiver<u64> = Options::named(&many).attach().expect("attach");
        let _guard = rx.recv_ref().expect("a message");
        assert_eq!(rx.deaths(), Ok(Vec::new()));
        tx.send(&1).expect("send");
        here.store(1, std::sync::atomic::Ordering::Release);
        // Its own seat is detected, although it is process 1.
        assert_eq!(tx.flush(LONG), Ok(()));
        std::thread::sleep(LONG);
    });
    until_at_least(here, 1);
    let pid = child.pid();
    assert_eq!(rx.peer(), Ok(Peer::Present { pid }));
    assert_eq!((rx.recv(), rx.recv_timeout(SOON)), (Ok(1), Err(RecvError::Timeout)));
    assert_eq!(many_rx.try_recv(), Ok(2));
    assert_eq!(many_rx.recv_timeout(SOON), Err(RecvError::Timeout), "the other one is at work");
    assert!(child.kill_and_wait());
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert!(matches!(rx.peer(), Ok(Peer::Died { .. })));
    let guard = many_rx.recv_ref_timeout(LONG).expect("the dead receiver's message");
    assert_eq!((*guard, guard.delivery_count()), (1, 2));
    guard.ack().expect("acknowledged");
    assert_eq!(tx.deaths().expect("the dead").len(), 1);
    sysvring::remove(&*many).expect("removed");
}

#[test(root)]
fn deaths_in_another_pid_namespace_are_detected() {
    Worker::run(&[&"edge_cases::nest", &Name::new()]);
}

/// A process whose `unshare` returns this and does nothing. With 0, undo records are not applied.
#[work]
fn attach_without_undo(args: &mut Args) {
    let (name, errno): (String, i32) = (args.next(), args.next());
    let many = format!("{name}-many");
    // Not by a filter: under one, nothing is probed.
    let traced = trace_calls(&[(libc::SYS_unshare, -i64::from(errno))], || {
        for _ in 0..2 {
            let opened = Options::named(&name).open::<spsc::Sender<u64>>();
            let other = Options::named(&many).open::<mpmc::Receiver<u64>>();
            if errno != 0 {
                opened.expect("no call found a fault").send(&1).expect("send");
                other.expect("no call found a fault");
                continue;
            }
            for error in [opened.map(drop), other.map(drop)] {
                let Err(error @ Error::SemUndoUnsupported { .. }) = error else {
                    panic!("{error:?}")
                };
                let text = error.to_string();
                assert!(text.contains("SEM_UNDO") && text.contains("; use"), "{text}");
            }
        }
    });
    assert!(traced.end.success() && traced.calls.contains(&libc::SYS_unshare), "{traced:?}");
    if errno != 0 {
        sysvring::remove(&*many).expect("removed");
    }
}

#[test]
fn a_kernel_without_undo_is_refused() {
    let name = Name::new();
    Worker::run(&[&"edge_cases::attach_without_undo", &name, &0]);
    assert!(
        matches!(sysvring::stat(name.as_str()), Err(Error::NotFound { .. })),
        "nothing is left"
    );
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("this kernel implements undo");
    Worker::run(&[&"edge_cases::attach_without_undo", &name, &0]);
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat was released");
    tx.send(&1).expect("send");
    assert_eq!(rx.recv(), Ok(1));
    let values = raw_ipc::values(rx.stat().expect("stat").set.expect("a set").id);
    assert_eq!(
        values[raw_ipc::FIRST_SEAT..raw_ipc::FIRST_SEAT + 2],
        [raw_ipc::SENDER_TOKEN, raw_ipc::RECEIVER_TOKEN].map(|token| token as u16),
        "one token for each thread"
    );
}

#[test]
fn channels_work_where_undo_cannot_be_checked() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        Worker::run(&[&"edge_cases::attach_without_undo", &Name::new(), &errno]);
    }
}

//! Forked children and threads: an inherited handle does not belong to the child; a moved one
//! belongs to the thread.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU64};
use std::thread;
use std::time::Duration;

use static_assertions::{assert_impl_all, assert_not_impl_any};
use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Fault, Lifetime, Options, Peer, RecvError, SendError, Wait, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::{Name, wait_until_attached};
use sysvring_support::raw_ipc::{Segment, WAKE_RECEIVERS, WAKE_SENDERS, at};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::stopwatch::PROMPT;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

assert_impl_all!(Sender<u64>: Send);
assert_impl_all!(Receiver<[u8]>: Send);
assert_not_impl_any!(Sender<u64>: Sync, Clone);
assert_not_impl_any!(Receiver<[u8]>: Sync, Clone);

fn pair(args: &mut Args) -> (Sender<u64>, Receiver<u64>) {
    let name: String = args.next();
    let tx = Options::named(&name).capacity(8).open().expect("open");
    let rx = Options::named(&name).attach().expect("attach");
    (tx, rx)
}

/// Returns the whole state of a channel: the segment's bytes and the semaphores.
fn state(tx: &Sender<u64>) -> (Vec<u8>, Vec<u16>) {
    let stat = tx.stat().expect("stat");
    (raw_ipc::bytes(stat.segment.id), raw_ipc::values(stat.set.expect("a set").id))
}

#[test]
fn every_call_in_a_forked_child_returns_forked() {
    Worker::run(&[&"forks::call_everything", &Name::new()]);
}

#[test]
fn a_fork_inside_a_batch_is_noticed_at_the_next_message() {
    Worker::run(&[&"forks::fork_inside_a_batch", &Name::new()]);
}

/// The iterator of a batch forks. The child returns from the call as well.
#[work]
fn fork_inside_a_batch(args: &mut Args) {
    let (mut tx, mut rx) = pair(args);
    let mut child = -1;
    let messages = [1, 2, 3];
    let forks = messages.iter().inspect(|number| {
        if **number == 2 {
            // SAFETY: this process has one thread; the child ends below.
            child = unsafe { libc::fork() };
        }
    });
    let sent = tx.send_batch(forks).map_err(|error| (error.sent, error.error));
    if child == 0 {
        let noticed = sent == Err((1, SendError::Fault(Fault::Forked)));
        // SAFETY: ends the child, whose handles are the parent's.
        unsafe { libc::_exit(i32::from(!noticed)) };
    }
    let mut status = 0;
    // SAFETY: a child of this process, and a local variable for its status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!((sent, status), (Ok(()), 0));
    assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>(), Ok(vec![1, 2, 3]));
}

/// A child makes every call on the handles that it inherited.
#[work]
fn call_everything(args: &mut Args) {
    let (mut tx, rx) = pair(args);
    // Neither full nor empty, so that no call fails for another reason.
    tx.send_batch(&[1, 2, 3]).expect("room");
    let before = state(&tx);
    // What the child drops from its copy remains in the parent's.
    let mut handles = Some((tx, rx));
    Fork::start(|| {
        let (mut tx, mut rx) = handles.take().expect("inherited");
        let sent = Err(SendError::Fault(Fault::Forked));
        for _ in 0..2 {
            assert_eq!(tx.send(&9), sent);
            assert_eq!(tx.try_send(&9), sent);
            assert_eq!(tx.send_timeout(&9, LONG), sent);
            assert_eq!(tx.loan().map(drop), sent);
            assert_eq!(tx.try_loan().map(drop), sent);
            assert_eq!(tx.loan_timeout(LONG).map(drop), sent);
            assert_eq!(tx.send_batch(&[9, 9]).map_err(|e| e.error), sent);
            assert_eq!(tx.try_send_batch(&[9]).map_err(|e| e.error), sent);
            assert_eq!(tx.flush(LONG), sent);
            assert_eq!(tx.wait_for_peer(LONG).map(drop), sent);
            assert_eq!(tx.peer(), Err(Fault::Forked));
        }
        let fault = RecvError::Fault(Fault::Forked);
        let none = Err(fault);
        for _ in 0..2 {
            assert_eq!(rx.recv().map(drop), none);
            assert_eq!(rx.try_recv().map(drop), none);
            assert_eq!(rx.recv_timeout(LONG).map(drop), none);
            assert_eq!(rx.recv_boxed().map(drop), none);
            assert_eq!(rx.try_recv_boxed().map(drop), none);
            assert_eq!(rx.recv_boxed_timeout(LONG).map(drop), none);
            assert_eq!(rx.recv_ref().map(drop), none);
            assert_eq!(rx.try_recv_ref().map(drop), none);
            assert_eq!(rx.recv_ref_timeout(LONG).map(drop), none);
            assert_eq!(rx.recv_batch(&mut Vec::new(), 9).map(drop), none);
            assert_eq!(rx.try_recv_batch(&mut Vec::new(), 9).map(drop), none);
            assert_eq!(rx.recv_batch_timeout(&mut Vec::new(), 9, LONG).map(drop), none);
            assert_eq!(rx.iter().collect::<Vec<_>>(), [Err(fault)]);
            assert_eq!(rx.try_iter().collect::<Vec<_>>(), [Err(fault)]);
            assert_eq!(rx.wait_for_peer(LONG).map(drop), none);
            assert_eq!(rx.peer(), Err(Fault::Forked));
        }
        // Inspection is allowed.
        assert_eq!((tx.len(), tx.stat().expect("stat").depth, rx.len()), (3, 3, 3));
        assert!(matches!(tx.close(), Err(Error::Fault(Fault::Forked))));
        assert!(matches!(rx.close(), Err(Error::Fault(Fault::Forked))));
    })
    .finish();
    let (mut tx, mut rx) = handles.take().expect("the parent's");
    assert!(state(&tx) == before, "a child wrote something");
    // The parent is unaffected.
    tx.send(&4).expect("send");
    assert!((1..=4).all(|n| rx.recv() == Ok(n)));
}

#[test]
fn a_forked_child_releases_no_seat() {
    Worker::run(&[&"forks::drop_everything", &Name::new()]);
}

/// A child drops the handles that it inherited, of a channel that is removed with its last member.
#[work]
fn drop_everything(args: &mut Args) {
    let name: String = args.next();
    let options = || Options::named(&name).lifetime(Lifetime::LastMember);
    let mut tx: Sender<u64> = options().open().expect("open");
    let rx: Receiver<u64> = options().open().expect("open");
    tx.send(&1).expect("send");
    let before = state(&tx);
    let mut handles = Some((tx, rx));
    Fork::start(|| drop(handles.take())).finish();
    let (mut tx, mut rx) = handles.take().expect("the parent's");
    assert!(state(&tx) == before, "a child wrote something");
    assert_eq!(rx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    tx.send(&2).expect("send");
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    // A child that ends without dropping, like a child of a killed process.
    Fork::start(|| ()).finish();
    tx.send(&3).expect("send");
    assert_eq!(rx.recv(), Ok(3));
    drop((tx, rx));
    assert!(matches!(sysvring::stat(&*name), Err(Error::NotFound { .. })));
}

#[test]
fn a_forked_child_neither_commits_a_loan_nor_acknowledges_a_guard() {
    Worker::run(&[&"forks::keep_places", &Name::new()]);
}

/// A child finishes what its parent began in place.
#[work]
fn keep_places(args: &mut Args) {
    let (mut tx, mut rx) = pair(args);
    tx.send_batch(&[1, 2]).expect("room");
    let id = tx.stat().expect("stat").segment.id;
    let guard = rx.recv_ref().expect("a message");
    let mut loan = tx.loan().expect("room");
    *loan = 3;
    let before = raw_ipc::bytes(id);
    let mut places = Some((loan, guard));
    Fork::start(|| {
        let (loan, guard) = places.take().expect("a copy of the parent's");
        assert_eq!(*guard, 1, "still to be read");
        assert_eq!(loan.commit(), Err(SendError::Fault(Fault::Forked)));
        assert_eq!(guard.ack(), Err(RecvError::Fault(Fault::Forked)));
    })
    .finish();
    assert!(raw_ipc::bytes(id) == before, "a child wrote something");
    let (loan, guard) = places.take().expect("the parent's own");
    loan.commit().expect("committed");
    guard.ack().expect("acknowledged");
    drop(places);
    assert_eq!(tx.len(), 2);
    assert!(rx.try_iter().map(|n| n.expect("a message")).eq([2, 3]));
}

/// What the handler's `fork` returned, in both processes; 0 in the child.
static CHILD: AtomicI32 = AtomicI32::new(-1);

extern "C" fn fork_here(_: i32) {
    // SAFETY: what the child calls from here on is async-signal-safe, but for its report.
    CHILD.store(unsafe { libc::fork() }, Release);
}

/// Forks in a signal handler during a blocking call. Returns the parent's result. In the child, the
/// call must return `Forked`.
fn fork_while<T: PartialEq + Send + Sync>(
    set: i32,
    semaphore: usize,
    call: impl FnOnce() -> T + Send,
    forked: T,
    go_on: impl FnOnce(),
) -> T {
    let parent = std::process::id();
    CHILD.store(-1, Release);
    let thread = AtomicU64::new(0);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            // SAFETY: a number only.
            thread.store(unsafe { libc::pthread_self() }, Release);
            let result = call();
            if std::process::id() != parent {
                let code = if result == forked { 0 } else { 1 };
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(code) };
            }
            (result, now_ns())
        });
        until(|| raw_ipc::waiting(set, semaphore) == 1);
        // SAFETY: the thread is not joined yet.
        unsafe { libc::pthread_kill(thread.load(Acquire), libc::SIGUSR1) };
        until(|| CHILD.load(Acquire) > 0);
        let mut status = 0;
        // SAFETY: this process' own child.
        unsafe { libc::waitpid(CHILD.load(Acquire), &mut status, 0) };
        assert_eq!(status, 0, "the child's call did not return Forked");
        until(|| raw_ipc::waiting(set, semaphore) == 1);
        let (watch, since) = (Watch::start(&[]), now_ns());
        go_on();
        let (result, at) = waits.join().expect("no panic");
        let late = Duration::from_nanos(at.saturating_sub(since)).saturating_sub(watch.allowance());
        assert!(late < PROMPT, "woken after {late:?}");
        result
    })
}

/// Returns the parent's state that the handler's child must not change: counts, flags, the message.
#[test]
fn a_child_forked_in_a_signal_handler_leaves_a_blocking_call() {
    Worker::run(&[&"forks::fork_in_calls"]);
}

/// Runs in its own process with its own signal handler.
#[work]
fn fork_in_calls(_: &mut Args) {
    // SAFETY: zeros are an action without flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = fork_here as *const () as usize;
    // SAFETY: see the handler.
    unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
    let name = Name::new();
    let forked = || Err(RecvError::Fault(Fault::Forked));
    {
        let tx: mpmc::Sender<u64> = name.options().wait(Wait::Park).open().expect("open");
        let rx: mpmc::Receiver<u64> = name.options().wait(Wait::Park).attach().expect("attach");
        let set = tx.stat().expect("stat").set.expect("a set").id;
        let receive = || rx.recv_timeout(LONG);
        let send = || tx.send(&7).expect("send");
        let result = fork_while(set, WAKE_RECEIVERS, receive, forked(), send);
        assert_eq!(result, Ok(7));
    }
    sysvring::remove(name.as_str()).expect("removed");
    let options = || name.options().capacity(2).wait(Wait::Park);
    let mut tx: Sender<u64> = options().open().expect("open");
    let mut rx: Receiver<u64> = options().attach().expect("attach");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let receive = || rx.recv_timeout(LONG);
    let send = || tx.send(&7).expect("send");
    let result = fork_while(set, WAKE_RECEIVERS, receive, forked(), send);
    assert_eq!(result, Ok(7));
    (0..2).for_each(|n| tx.send(&n).expect("send"));
    let forked = Err(SendError::Fault(Fault::Forked));
    let send = || tx.send_timeout(&2, LONG);
    let mut first = None;
    let receive = || first = Some(rx.recv());
    let result = fork_while(set, WAKE_SENDERS, send, forked, receive);
    assert_eq!(result, Ok(()));
    assert_eq!(first, Some(Ok(0)));
    assert_eq!([rx.recv(), rx.recv(), rx.try_recv()], [Ok(1), Ok(2), Err(RecvError::Empty)]);
}

#[test]
fn a_forked_child_opens_handles_of_its_own() {
    Worker::run(&[&"forks::attach_anew", &Name::new()]);
}

/// A child takes the other seat, then a seat that its parent released.
#[work]
fn attach_anew(args: &mut Args) {
    let name: String = args.next();
    let tx: Sender<u64> = Options::named(&name).capacity(4).open().expect("open");
    let mut handle = Some(tx);
    let child = Fork::start(|| {
        let mut tx = handle.take().expect("inherited");
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(Fault::Forked)));
        let taken = Options::named(&name).attach::<Sender<u64>>();
        let parent = std::os::unix::process::parent_id();
        assert!(matches!(taken, Err(Error::SeatTaken { pid, .. }) if pid == parent));
        let mut rx: Receiver<u64> = Options::named(&name).attach().expect("attach");
        assert_eq!(rx.peer(), Ok(Peer::Present { pid: parent }));
        for n in 0..1_000 {
            assert_eq!(rx.recv(), Ok(n));
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        // The parent has left; its handle still does not work here.
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(Fault::Forked)));
        drop(tx);
        let mut tx: Sender<u64> = Options::named(&name).attach().expect("attach");
        tx.send(&1_000).expect("send");
        assert_eq!(rx.recv(), Ok(1_000));
    });
    let mut tx = handle.take().expect("the parent's");
    assert_eq!(tx.wait_for_peer(LONG), Ok(()));
    assert_eq!(tx.peer(), Ok(Peer::Present { pid: child.pid() }));
    for n in 0..1_000 {
        tx.send(&n).expect("send");
    }
    tx.close().expect("closed");
    child.finish();
}

#[test]
fn generations_of_forked_children_open_handles_of_their_own() {
    Worker::run(&[&"forks::attach_by_generations", &Name::new()]);
}

/// Each generation has all handles of its ancestors, none of which works, and its own.
#[work]
fn attach_by_generations(args: &mut Args) {
    fn live(name: &str, inherited: &mut Vec<Sender<u64>>, left: u64) {
        for tx in inherited.iter_mut() {
            assert_eq!(tx.send(&666), Err(SendError::Fault(Fault::Forked)));
        }
        if left == 0 {
            return;
        }
        let name = format!("{name}{left}");
        let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
        tx.send(&left).expect("send");
        let id = tx.id();
        inherited.push(tx);
        Fork::start(|| live(&name, inherited, left - 1)).finish();
        inherited.pop().expect("ours").finish().expect("finish");
        let mut rx: Receiver<u64> = Options::id(id).attach().expect("attach");
        assert_eq!((rx.recv(), rx.try_recv()), (Ok(left), Err(RecvError::Disconnected)));
        sysvring::remove(&*name).expect("removed");
    }
    live(&args.next::<String>(), &mut Vec::new(), 4);
}

#[test]
fn a_forked_child_does_not_keep_the_seat_of_a_killed_parent() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    let mut worker = Worker::start(&[&"forks::leave_a_child", &name]).expect("start");
    assert_eq!(rx.recv(), Ok(1));
    let child: i32 = worker.read_line().expect("a child").parse().expect("its number");
    // The receiver, the sender and its child.
    wait_until_attached(name.as_str(), 4);
    worker.kill_and_wait().expect("kill");
    wait_until_attached(name.as_str(), 3);
    let pid = worker.pid() as u32;
    assert_eq!(rx.peer(), Ok(Peer::Died { pid }));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    let mut tx: Sender<u64> = name.options().attach().expect("the seat is free");
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
    // SAFETY: the kernel may have given the number to nobody else: the child waits for this.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

/// Sends, forks a child that lives on, and waits to be killed.
#[work]
fn leave_a_child(args: &mut Args) {
    let mut tx: Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    let child = Fork::start(|| {
        // SAFETY: numbers only. It ends by the watchdog at the latest.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
        loop {
            std::thread::sleep(LONG);
        }
    });
    tx.send(&1).expect("send");
    print_line(child.pid());
    read_line();
}

#[test]
fn handles_move_between_threads() {
    let name = Name::new();
    let (tx, rx) = name.pair::<u64>(16);
    let sender = std::thread::spawn(move || {
        let mut tx = tx;
        for n in 0..10_000 {
            tx.send(&n).expect("send");
        }
        tx
    });
    let receiver = std::thread::spawn(move || {
        let mut rx = rx;
        for n in 0..10_000 {
            assert_eq!(rx.recv(), Ok(n));
        }
        rx
    });
    let (mut tx, mut rx) = (sender.join().expect("sent"), receiver.join().expect("received"));
    tx.send(&7).expect("send");
    assert_eq!(rx.recv(), Ok(7));
}

#[test]
fn a_seat_outlives_the_thread_that_opened_it() {
    let name = Name::new();
    let options = name.options();
    let mut tx = std::thread::spawn(move || options.open::<Sender<u64>>().expect("open"))
        .join()
        .expect("opened");
    let mut rx: Receiver<u64> = name.options().attach().expect("attach");
    std::thread::sleep(SOON);
    assert_eq!(rx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    assert!(matches!(name.options().attach::<Sender<u64>>(), Err(Error::SeatTaken { .. })));
    tx.send(&1).expect("send");
    assert_eq!(rx.recv(), Ok(1));
    std::thread::spawn(move || drop(tx)).join().expect("dropped");
    assert_eq!(rx.peer(), Ok(Peer::Left));
}

/// A call in a child that inherited an MPMC handle ends at once and posts nothing, although the
/// waiting table counts a parked thread of the parent.
#[test]
fn a_forked_child_leaves_the_parked_threads_of_its_parent_alone() {
    Worker::run(&[&"forks::call_beside_a_parked_thread"]);
}

#[work]
fn call_beside_a_parked_thread(_: &mut Args) {
    let name = Name::new();
    let options = || name.options().max_members(8);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let waiting_of_seat_1 = at::MEMBERS + 8 * at::MEMBER + 8;
    Segment::of(tx.id().segment()).u32(waiting_of_seat_1).store(1, Relaxed);
    Fork::start(|| {
        assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::Forked)));
        assert_eq!(rx.recv(), Err(RecvError::Fault(Fault::Forked)));
    })
    .finish();
    assert_eq!(raw_ipc::value(set, WAKE_RECEIVERS).expect("a value"), 0, "a child posted");
    Segment::of(tx.id().segment()).u32(waiting_of_seat_1).store(0, Relaxed);
}

//! Where the kernel's word and the truth may differ: `exec`, `unshare`, a main thread that is gone,
//! other PID namespaces, forks, and a kernel that undoes nothing.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use sysvring::{Error, Fault, Options, Peer, RecvError, SendError, Wait, mpmc, spsc};
use sysvring_support::board::{board, until, until_at_least};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::worker::{Orders, Worker, hear, say};
use sysvring_support::{inject, ipc, tests, workers};

use crate::raw::{self, Key};

tests![
    exec_keeps_a_seat,
    exec_keeps_a_claim,
    a_sender_without_a_token_is_told,
    who_lost_a_seat_leaves_without_a_trace,
    who_comes_again_keeps_the_new_seat,
    many_go_on_without_one_that_lost_its_token,
    whoever_asks_first_what_is_lost_stays_lost,
    a_process_whose_main_thread_is_gone_lives,
    a_forked_child_is_no_member_of_many,
    a_kernel_without_undo_is_refused,
    where_it_cannot_be_known_it_works;
    root: another_ipc_namespace_is_told, members_of_another_pid_namespace_live_and_die,
];
workers![
    sit_and_exec,
    claim_and_exec,
    sit_still,
    lose_a_seat,
    lose_a_seat_and_leave,
    send_many_and_sit,
    come_again,
    lose_a_claim,
    lose_a_guard,
    change_the_namespace,
    end_the_main_thread,
    inherit,
    nest,
    attach_without_undo,
];

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

/// The same program again, without what was mapped.
fn exec_into_sitting() -> ! {
    let error = Command::new("/proc/self/exe").args(["worker", "false_verdicts::sit_still"]).exec();
    panic!("exec: {error}");
}

/// What a process becomes that forgot all.
fn sit_still(_: &mut Orders) {
    say("other");
    hear();
}

fn sit_and_exec(orders: &mut Orders) {
    let mut tx: spsc::Sender<u64> = Options::named(orders.next::<String>()).open().expect("open");
    tx.send(&1).expect("send");
    exec_into_sitting();
}

fn exec_keeps_a_seat() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    let mut other = Worker::start(&[&"false_verdicts::sit_and_exec", &name]).expect("start");
    other.expect("other");
    let pid = other.pid() as u32;
    assert_eq!(rx.recv(), Ok(1));
    // The kernel keeps what it would undo, so nobody is told, and nobody may come instead.
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

fn claim_and_exec(orders: &mut Orders) {
    let tx: mpmc::Sender<u64> = Options::named(orders.next::<String>()).open().expect("open");
    let _loan = tx.loan().expect("a slot");
    exec_into_sitting();
}

fn exec_keeps_a_claim() {
    let name = Name::new();
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let mut other = Worker::start(&[&"false_verdicts::claim_and_exec", &name]).expect("start");
    other.expect("other");
    let pid = other.pid() as u32;
    let tx: mpmc::Sender<u64> = name.options().attach().expect("another seat");
    tx.send(&2).expect("send");
    assert_eq!(
        rx.recv_timeout(SOON),
        Err(RecvError::Behind { pid }),
        "it holds them up, and is named"
    );
    other.kill_and_wait().expect("kill");
    assert_eq!(rx.recv(), Ok(2));
}

/// From now on this process has no token in any set.
fn lose_tokens() {
    // SAFETY: a number; the kernel forgets what it would undo, after having done it.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_SYSVSEM) }, 0, "for all users, without a filter");
}

fn lose_a_seat(orders: &mut Orders) {
    let (name, side): (String, String) = (orders.next(), orders.next());
    let lost = Fault::LivenessLost;
    if side == "sender" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&1).expect("send");
        lose_tokens();
        say("lost");
        hear();
        // It is told where it would wait, once and for all.
        assert_eq!(tx.send(&9), Err(SendError::Fault(lost)));
        assert_eq!(tx.peer(), Err(lost));
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(lost)));
        assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
    } else {
        let mut rx: spsc::Receiver<u64> = Options::named(name).open().expect("open");
        lose_tokens();
        say("lost");
        hear();
        for _ in 0..2 {
            assert_eq!(rx.recv(), Err(RecvError::Fault(lost)));
            assert_eq!(rx.try_recv(), Err(RecvError::Fault(lost)));
        }
        assert!(matches!(rx.close(), Err(Error::Fault(Fault::LivenessLost))));
    }
}

fn a_sender_without_a_token_is_told() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().capacity(1).open().expect("open");
    let start = |side: &str| {
        let mut other =
            Worker::start(&[&"false_verdicts::lose_a_seat", &name, &side]).expect("start");
        other.expect("lost");
        other
    };
    let mut other = start("sender");
    assert_eq!(rx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat is free");
    other.tell("go on").expect("tell");
    other.finish();
    // It took nothing along that is the successor's by now.
    assert_eq!(rx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    assert_eq!(rx.recv(), Ok(1));
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
    drop(rx);
    let mut other = start("receiver");
    assert_eq!(tx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("its seat is free");
    other.tell("go on").expect("tell");
    other.finish();
    tx.send(&3).expect("send");
    assert_eq!(rx.recv(), Ok(3));
}

/// Messages that a successor sends and receives: many times a ring.
const MANY: u64 = 40;

/// Sends or receives one message, is a member no more, and leaves when others are far ahead.
fn lose_a_seat_and_leave(orders: &mut Orders) {
    let (name, side, told): (String, String, bool) = (orders.next(), orders.next(), orders.next());
    let lost = Fault::LivenessLost;
    if side == "sender" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&0).expect("send");
        lose_tokens();
        say("lost");
        hear();
        if told {
            assert_eq!(tx.flush(SOON), Err(SendError::Fault(lost)));
        }
    } else {
        let mut rx: spsc::Receiver<u64> = Options::named(name).open().expect("open");
        assert_eq!(rx.recv(), Ok(0));
        lose_tokens();
        say("lost");
        hear();
        if told {
            assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Fault(lost)));
        }
    }
}

/// Sends as many as are asked for, and then sits there until it is killed.
fn send_many_and_sit(orders: &mut Orders) {
    let mut tx: spsc::Sender<u64> = Options::named(orders.next::<String>()).open().expect("open");
    say("here");
    (1..=MANY).for_each(|n| tx.send(&n).expect("send"));
    tx.flush(LONG).expect("received");
    say("sent");
    hear();
}

/// Where its ends are by now is its successors' business.
fn who_lost_a_seat_leaves_without_a_trace() {
    for told in [false, true] {
        let name = Name::new();
        let mut rx: spsc::Receiver<u64> = name.options().capacity(4).open().expect("open");
        let lose = |side: &str| {
            let orders: [&dyn ToString; 4] =
                [&"false_verdicts::lose_a_seat_and_leave", &name, &side, &told];
            let mut other = Worker::start(&orders).expect("start");
            other.expect("lost");
            other
        };
        let leave = |mut other: Worker| {
            other.tell("go on").expect("tell");
            other.finish();
        };
        let other = lose("sender");
        assert_eq!(rx.recv(), Ok(0));
        let mut next =
            Worker::start(&[&"false_verdicts::send_many_and_sit", &name]).expect("start");
        // Until it is there, the receiver is told that its sender is gone.
        next.expect("here");
        (1..=MANY).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        next.expect("sent");
        leave(other);
        // Killed before it says once more how far it is.
        next.kill_and_wait().expect("kill");
        let mut tx: spsc::Sender<u64> = name.options().attach().expect("its end is found");
        assert_eq!(tx.position(), MANY + 1);
        drop(rx);

        tx.send(&0).expect("send");
        let other = lose("receiver");
        let mut rx: spsc::Receiver<u64> = name.options().attach().expect("its seat is free");
        for n in 1..=MANY {
            tx.send(&n).expect("send");
            assert_eq!(rx.recv(), Ok(n));
        }
        leave(other);
        (0..4).for_each(|n| tx.send(&n).expect("send"));
        assert_eq!(tx.send_timeout(&4, SOON), Err(SendError::Timeout), "full, and nothing else");
        assert!(rx.try_iter().map(|n| n.expect("a message")).eq(0..4));
    }
}

/// Takes another seat where a handle says that it lost its own, and only then lets go of that one.
fn come_again(orders: &mut Orders) {
    let name: String = orders.next();
    let many = format!("{name}-many");
    let options = || Options::named(&name);
    let mut tx: spsc::Sender<u64> = options().capacity(4).open().expect("open");
    let mut rx: spsc::Receiver<u64> = options().open().expect("open");
    let options = || Options::named(&many);
    let mut many_tx: mpmc::Sender<u64> = options().capacity(4).open().expect("open");
    let mut many_rx: mpmc::Receiver<u64> = options().open().expect("open");
    let many_loan = many_tx.loan().expect("a slot");
    lose_tokens();
    let lost = Fault::LivenessLost;
    assert_eq!(tx.wait_for_peer(SOON), Err(SendError::Fault(lost)));
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Fault(lost)));
    tx = Options::named(&name).attach().expect("its seat is free");
    rx = Options::named(&name).attach().expect("its seat is free");
    assert_eq!(many_rx.wait_for_peer(SOON), Err(RecvError::Fault(lost)));
    let next: mpmc::Receiver<u64> = options().attach().expect("a seat");
    // Of many, the claim of whoever sat there is cleared.
    let next_tx: mpmc::Sender<u64> = options().attach().expect("a seat");
    assert_eq!(many_loan.commit(), Err(SendError::Fault(lost)));
    (many_tx, many_rx) = (next_tx, next);
    for n in 0..MANY {
        tx.send_timeout(&n, LONG).expect("send");
        assert_eq!(rx.recv_timeout(LONG), Ok(n));
        many_tx.send_timeout(&n, LONG).expect("send");
        assert_eq!(many_rx.recv_timeout(LONG), Ok(n));
    }
    let pid = std::process::id();
    assert_eq!((tx.peer(), rx.peer()), (Ok(Peer::Present { pid }), Ok(Peer::Present { pid })));
    assert_eq!((tx.flush(LONG), many_tx.flush(LONG)), (Ok(()), Ok(())));
    let taken = Options::named(&name).attach::<spsc::Sender<u64>>();
    assert!(matches!(taken, Err(Error::SeatTaken { pid: p, .. }) if p == pid));
    tx.close().expect("ours");
    rx.close().expect("ours");
    many_tx.close().expect("ours");
    many_rx.close().expect("ours");
    sysvring::remove(&*many).expect("removed");
}

fn who_comes_again_keeps_the_new_seat() {
    Worker::run(&[&"false_verdicts::come_again", &Name::new()]);
}

fn lose_a_claim(orders: &mut Orders) {
    let tx: mpmc::Sender<u64> = Options::named(orders.next::<String>()).open().expect("open");
    let mut loan = tx.loan().expect("a slot");
    *loan = 666;
    lose_tokens();
    say("lost");
    hear();
    let lost = SendError::Fault(Fault::LivenessLost);
    assert_eq!(loan.commit(), Err(lost));
    assert_eq!(tx.send(&666), Err(lost));
    assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
}

fn lose_a_guard(orders: &mut Orders) {
    let rx: mpmc::Receiver<u64> = Options::named(orders.next::<String>()).open().expect("open");
    let guard = rx.recv_ref().expect("a message");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
    lose_tokens();
    say("lost");
    hear();
    drop(guard);
    let lost = RecvError::Fault(Fault::LivenessLost);
    assert_eq!((rx.recv(), rx.try_recv()), (Err(lost), Err(lost)));
}

fn many_go_on_without_one_that_lost_its_token() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().wait(Wait::Park).attach().expect("attach");
    let start = |work: &str| {
        let mut other = Worker::start(&[&format!("false_verdicts::{work}"), &name]).expect("start");
        other.expect("lost");
        other
    };
    // Its claim is stepped over, and what it would have sent there is never seen.
    let mut other = start("lose_a_claim");
    tx.send(&1).expect("send");
    let pid = other.pid() as u32;
    assert!(tx.deaths().expect("the dead").iter().any(|death| death.pid == pid));
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    other.tell("go on").expect("tell");
    other.finish();
    // What it had in hand goes to another, and its own acknowledgement comes to nothing.
    tx.send(&1).expect("send");
    let mut other = start("lose_a_guard");
    let guard = rx.recv_ref_timeout(LONG).expect("the message again");
    assert_eq!((*guard, guard.delivery_count()), (1, 2));
    other.tell("go on").expect("tell");
    other.finish();
    assert_eq!(tx.len(), 1, "still ours");
    drop(guard);
    assert_eq!((tx.len(), rx.try_recv()), (0, Err(RecvError::Empty)));
}

/// It is noticed by the calls that only wait, too, and from then on by all.
fn whoever_asks_first_what_is_lost_stays_lost() {
    let key = Key::new();
    let tx: mpmc::Sender<u64> = key.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = key.options().attach().expect("attach");
    let set = key.set().expect("a set");
    tx.send(&1).expect("send");
    for seat in [8, 9] {
        raw::set_semaphore(set, seat, 0);
    }
    assert_eq!(tx.flush(SOON), Err(SendError::Fault(Fault::LivenessLost)));
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Fault(Fault::LivenessLost)));
    assert_eq!(tx.try_send(&2), Err(SendError::Fault(Fault::LivenessLost)));
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::LivenessLost)));
}

fn change_the_namespace(orders: &mut Orders) {
    let (name, flavor): (String, String) = (orders.next(), orders.next());
    // SAFETY: a number.
    let leave = || assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWIPC) }, 0, "as root");
    let lost = Fault::LivenessLost;
    if flavor == "spsc" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&1).expect("send");
        leave();
        say("lost");
        hear();
        assert_eq!(tx.send(&9), Err(SendError::Fault(lost)));
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(lost)));
        assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
    } else {
        let rx: mpmc::Receiver<u64> = Options::named(name).open().expect("open");
        let guard = rx.recv_ref().expect("a message");
        leave();
        say("lost");
        hear();
        drop(guard);
        let lost = RecvError::Fault(lost);
        assert_eq!((rx.recv(), rx.try_recv()), (Err(lost), Err(lost)));
    }
}

fn another_ipc_namespace_is_told() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().capacity(1).open().expect("open");
    let start = |name: &Name, flavor: &str| {
        let mut other = Worker::start(&[&"false_verdicts::change_the_namespace", name, &flavor])
            .expect("start");
        other.expect("lost");
        other
    };
    let mut other = start(&name, "spsc");
    assert_eq!(rx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat is free");
    other.tell("go on").expect("tell");
    other.finish();
    assert_eq!(rx.recv(), Ok(1));
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    tx.send(&1).expect("send");
    // It is the only one who waits for something.
    let mut other = start(&name, "mpmc");
    let guard = rx.recv_ref_timeout(LONG).expect("the message again");
    assert_eq!(guard.delivery_count(), 2);
    other.tell("go on").expect("tell");
    other.finish();
    drop(guard);
    assert_eq!(tx.len(), 0);
}

/// A child whose main thread ends at once, while another one has a handle and sends.
fn end_the_main_thread(orders: &mut Orders) {
    let name: String = orders.next();
    let [sent] = board::<1>();
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
    // Longer than anybody's slice.
    while start.elapsed() < Duration::from_millis(400) {
        assert_eq!(rx.recv(), Ok(next));
        next += 1;
        assert_eq!(rx.peer(), Ok(Peer::Present { pid: child.pid() }));
    }
    let taken = Options::named(&name).attach::<spsc::Sender<u64>>();
    assert!(matches!(taken, Err(Error::SeatTaken { pid, .. }) if pid == child.pid()));
    let behind = Err(RecvError::Behind { pid: child.pid() });
    assert_eq!(other_rx.recv_timeout(SOON), behind, "its claim stands");
    assert!(child.kill_and_wait());
    while rx.recv().is_ok() {}
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(other_rx.recv(), Err(RecvError::Disconnected));
    sysvring::remove(&*many).expect("removed");
}

fn a_process_whose_main_thread_is_gone_lives() {
    Worker::run(&[&"false_verdicts::end_the_main_thread", &Name::new()]);
}

/// A child calls what it inherited of a channel of many, and ends.
fn inherit(orders: &mut Orders) {
    let name: String = orders.next();
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
        drop(guard);
        // A seat of its own serves it.
        let own: mpmc::Sender<u64> = tx.try_clone().expect("another seat");
        own.send(&4).expect("send");
    })
    .finish();
    let (loan, guard) = places.take().expect("the parent's own");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
    drop(guard);
    loan.commit().expect("still ours");
    assert!(rx.try_iter().map(|n| n.expect("a message")).eq([2, 3, 4]));
    assert_eq!(rx.deaths(), Ok(Vec::new()), "the child left, the parent never did");
}

fn a_forked_child_is_no_member_of_many() {
    Worker::run(&[&"false_verdicts::inherit", &Name::new()]);
}

/// Members in a PID namespace below this one.
fn nest(orders: &mut Orders) {
    let name: String = orders.next();
    let many = format!("{name}-many");
    let [here] = board::<1>();
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
        // Its own token is there, for all that it is process 1.
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
    let guard = many_rx.recv_ref_timeout(LONG).expect("what the dead one had");
    assert_eq!((*guard, guard.delivery_count()), (1, 2));
    drop(guard);
    assert_eq!(tx.deaths().expect("the dead").len(), 1);
    sysvring::remove(&*many).expect("removed");
}

fn members_of_another_pid_namespace_live_and_die() {
    Worker::run(&[&"false_verdicts::nest", &Name::new()]);
}

/// A process whose `unshare` answers with this and does nothing: 0, and what is to be undone stays.
fn attach_without_undo(orders: &mut Orders) {
    let (name, errno): (String, i32) = (orders.next(), orders.next());
    let many = format!("{name}-many");
    inject::fail(&[libc::SYS_unshare], errno).expect("a filter");
    for _ in 0..2 {
        let opened = Options::named(&name).open::<spsc::Sender<u64>>();
        let other = Options::named(&many).open::<mpmc::Receiver<u64>>();
        if errno != 0 {
            opened.expect("nothing is known against it").send(&1).expect("send");
            other.expect("nothing is known against it");
            continue;
        }
        for error in [opened.map(drop), other.map(drop)] {
            let Err(error @ Error::NoUndo { .. }) = error else { panic!("{error:?}") };
            let text = error.to_string();
            assert!(text.contains("SEM_UNDO") && text.contains("; run"), "{text}");
        }
    }
    if errno != 0 {
        sysvring::remove(&*many).expect("removed");
    }
}

fn a_kernel_without_undo_is_refused() {
    let name = Name::new();
    Worker::run(&[&"false_verdicts::attach_without_undo", &name, &0]);
    assert!(
        matches!(sysvring::stat(name.as_str()), Err(Error::NotFound { .. })),
        "nothing is left"
    );
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("here is a kernel that does");
    Worker::run(&[&"false_verdicts::attach_without_undo", &name, &0]);
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat went back");
    tx.send(&1).expect("send");
    assert_eq!(rx.recv(), Ok(1));
    let values = ipc::values(rx.stat().expect("stat").set.expect("a set").id);
    assert_eq!(values[8..10], [1, 1], "one token for each of us");
}

fn where_it_cannot_be_known_it_works() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        Worker::run(&[&"false_verdicts::attach_without_undo", &Name::new(), &errno]);
    }
}

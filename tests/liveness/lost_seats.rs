//! Members that gave up their undo records (`unshare`) or lost their seat: they are considered dead
//! while they live, are told so, and leave nothing in the seat of a successor.

use std::os::unix::process::parent_id;
use std::time::Duration;

use sysvring::{Error, Fault, Options, Peer, RecvError, SendError, Wait, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Key, WAKE_RECEIVERS};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

/// From now on, this process has no undo record in any set.
fn lose_tokens() {
    // SAFETY: a number; the kernel forgets what it would undo, after having done it.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_SYSVSEM) }, 0, "for all users, without a filter");
}

#[work]
fn lose_a_seat(args: &mut Args) {
    let (name, side): (String, String) = (args.next(), args.next());
    let lost = Fault::LivenessLost;
    if side == "sender" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&1).expect("send");
        lose_tokens();
        print_line("lost");
        read_line();
        // It is told in calls that would wait, from then on for ever.
        assert_eq!(tx.send(&9), Err(SendError::Fault(lost)));
        assert_eq!(tx.peer(), Err(lost));
        assert_eq!(tx.try_send(&9), Err(SendError::Fault(lost)));
        assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
    } else {
        let mut rx: spsc::Receiver<u64> = Options::named(name).open().expect("open");
        lose_tokens();
        print_line("lost");
        read_line();
        for _ in 0..2 {
            assert_eq!(rx.recv(), Err(RecvError::Fault(lost)));
            assert_eq!(rx.try_recv(), Err(RecvError::Fault(lost)));
        }
        assert!(matches!(rx.close(), Err(Error::Fault(Fault::LivenessLost))));
    }
}

#[test]
fn a_sender_without_a_seat_is_told() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().capacity(1).open().expect("open");
    let start = |side: &str| {
        let mut other = Worker::start(&[&"lost_seats::lose_a_seat", &name, &side]).expect("start");
        other.expect("lost");
        other
    };
    let mut other = start("sender");
    assert_eq!(rx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut tx: spsc::Sender<u64> = name.options().attach().expect("its seat is free");
    other.write_line("go on").expect("tell");
    other.finish();
    // It did not remove anything of its successor.
    assert_eq!(rx.peer(), Ok(Peer::Present { pid: std::process::id() }));
    assert_eq!(rx.recv(), Ok(1));
    tx.send(&2).expect("send");
    assert_eq!(rx.recv(), Ok(2));
    drop(rx);
    let mut other = start("receiver");
    assert_eq!(tx.peer(), Ok(Peer::Died { pid: other.pid() as u32 }));
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("its seat is free");
    other.write_line("go on").expect("tell");
    other.finish();
    tx.send(&3).expect("send");
    assert_eq!(rx.recv(), Ok(3));
}

#[test]
fn a_receiver_that_lost_its_seat_disturbs_no_successor() {
    // One that knows that its stream is open, and one that does not.
    [PARKS, 0].into_iter().for_each(disturbs_no_successor);
}

fn disturbs_no_successor(parks: u64) {
    let name = Name::new();
    let mut tx: spsc::Sender<u64> = name.options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let is_parked = || raw_ipc::waiting(set, WAKE_RECEIVERS) == 1;
    let mut evicted = Worker::start(&[&"lost_seats::park_and_lose", &name, &parks]).expect("start");
    for n in 0..parks {
        until(is_parked);
        tx.send(&n).expect("send");
    }
    evicted.expect("lost");
    let mut successor = Worker::start(&[&"lost_seats::park_in_its_place", &name]).expect("start");
    successor.expect("ready");
    // It has consumed the tokens that were posted for the other one.
    until(|| is_parked() && raw_ipc::values(set)[WAKE_RECEIVERS] == 0);
    evicted.write_line("go on").expect("tell");
    evicted.finish();
    for _ in 0..PARKS {
        until(is_parked);
        tx.send(&now_ns()).expect("send");
    }
    tx.finish().expect("finish");
    successor.finish();
}

/// Messages before each of which a receiver is parked.
const PARKS: u64 = 10;

#[work]
fn park_and_lose(args: &mut Args) {
    let (name, parks): (String, u64) = (args.next(), args.next());
    let mut rx: spsc::Receiver<u64> = Options::named(name).wait(Wait::Park).open().expect("open");
    (0..parks).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
    lose_tokens();
    print_line("lost");
    read_line();
    let (watch, called_at) = (Watch::start(&[]), now_ns());
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Fault(Fault::LivenessLost)));
    watch.must_be_within(SOON, called_at);
}

#[work]
fn park_in_its_place(args: &mut Args) {
    let name: String = args.next();
    let mut rx: spsc::Receiver<u64> =
        Options::named(name).wait(Wait::Park).open().expect("its seat is free");
    let mut watch = Watch::start(&[parent_id()]);
    print_line("ready");
    for _ in 0..PARKS {
        watch.restart();
        let sent_at = rx.recv().expect("a message");
        watch.must_be_within(SOON, sent_at);
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
}

/// Messages that a successor sends and receives: many laps of the ring.
const MANY: u64 = 40;

/// Sends or receives one message, loses its seat, and leaves when others are far ahead.
#[work]
fn lose_a_seat_and_leave(args: &mut Args) {
    let (name, side, told): (String, String, bool) = (args.next(), args.next(), args.next());
    let lost = Fault::LivenessLost;
    if side == "sender" {
        let mut tx: spsc::Sender<u64> = Options::named(name).open().expect("open");
        tx.send(&0).expect("send");
        lose_tokens();
        print_line("lost");
        read_line();
        if told {
            assert_eq!(tx.flush(SOON), Err(SendError::Fault(lost)));
        }
    } else {
        let mut rx: spsc::Receiver<u64> = Options::named(name).open().expect("open");
        assert_eq!(rx.recv(), Ok(0));
        lose_tokens();
        print_line("lost");
        read_line();
        if told {
            assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Fault(lost)));
        }
    }
}

/// Sends the requested number of messages, and then keeps its seat until it is killed.
#[work]
fn send_many_and_sit(args: &mut Args) {
    let mut tx: spsc::Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    print_line("here");
    (1..=MANY).for_each(|n| tx.send(&n).expect("send"));
    tx.flush(LONG).expect("received");
    print_line("sent");
    read_line();
}

/// The later positions of its side belong to its successors.
#[test]
fn a_member_that_lost_its_seat_leaves_without_a_trace() {
    for told in [false, true] {
        let name = Name::new();
        let mut rx: spsc::Receiver<u64> = name.options().capacity(4).open().expect("open");
        let lose = |side: &str| {
            let args: [&dyn ToString; 4] =
                [&"lost_seats::lose_a_seat_and_leave", &name, &side, &told];
            let mut other = Worker::start(&args).expect("start");
            other.expect("lost");
            other
        };
        let leave = |mut other: Worker| {
            other.write_line("go on").expect("tell");
            other.finish();
        };
        let other = lose("sender");
        assert_eq!(rx.recv(), Ok(0));
        let mut next = Worker::start(&[&"lost_seats::send_many_and_sit", &name]).expect("start");
        // Until the sender joins, the receiver is told that it is gone.
        next.expect("here");
        (1..=MANY).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        next.expect("sent");
        leave(other);
        // Killed before it publishes its position again.
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

/// Takes another seat when a handle reports that it lost its own, and only then drops that handle.
#[work]
fn come_again(args: &mut Args) {
    let name: String = args.next();
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
    // In an MPMC channel, the claim of the previous holder is cleared.
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

#[test]
fn a_member_that_joins_again_keeps_the_new_seat() {
    Worker::run(&[&"lost_seats::come_again", &Name::new()]);
}

#[work]
fn lose_a_claim(args: &mut Args) {
    let tx: mpmc::Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    let mut loan = tx.loan().expect("a slot");
    *loan = 666;
    lose_tokens();
    print_line("lost");
    read_line();
    let lost = SendError::Fault(Fault::LivenessLost);
    assert_eq!(loan.commit(), Err(lost));
    assert_eq!(tx.send(&666), Err(lost));
    assert!(matches!(tx.close(), Err(Error::Fault(Fault::LivenessLost))));
}

#[work]
fn lose_a_guard(args: &mut Args) {
    let rx: mpmc::Receiver<u64> = Options::named(args.next::<String>()).open().expect("open");
    let guard = rx.recv_ref().expect("a message");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
    lose_tokens();
    print_line("lost");
    read_line();
    let lost = RecvError::Fault(Fault::LivenessLost);
    assert_eq!(guard.ack(), Err(lost));
    assert_eq!((rx.recv(), rx.try_recv()), (Err(lost), Err(lost)));
}

#[test]
fn an_mpmc_channel_recovers_from_a_member_that_lost_its_seat() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().wait(Wait::Park).attach().expect("attach");
    let start = |work: &str| {
        let mut other = Worker::start(&[&format!("lost_seats::{work}"), &name]).expect("start");
        other.expect("lost");
        other
    };
    // Receivers step over its claim, and what it would have sent there is never seen.
    let mut other = start("lose_a_claim");
    tx.send(&1).expect("send");
    let pid = other.pid() as u32;
    assert!(tx.deaths().expect("the dead").iter().any(|death| death.pid == pid));
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    other.write_line("go on").expect("tell");
    other.finish();
    // Its unacknowledged message is delivered to another receiver, and its own acknowledgement has
    // no effect.
    tx.send(&1).expect("send");
    let mut other = start("lose_a_guard");
    let guard = rx.recv_ref_timeout(LONG).expect("the message again");
    assert_eq!((*guard, guard.delivery_count()), (1, 2));
    other.write_line("go on").expect("tell");
    other.finish();
    assert_eq!(tx.len(), 1, "still ours");
    guard.ack().expect("acknowledged");
    assert_eq!((tx.len(), rx.try_recv()), (0, Err(RecvError::Empty)));
}

/// Calls that only wait detect it, too, and from then on all calls do.
#[test]
fn a_lost_seat_is_reported_by_every_call_and_stays_lost() {
    let key = Key::new();
    let tx: mpmc::Sender<u64> = key.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = key.options().attach().expect("attach");
    let set = key.set().expect("a set");
    tx.send(&1).expect("send");
    for seat in [0, 1].map(|seat| raw_ipc::FIRST_SEAT + seat) {
        raw_ipc::set_value(set, seat, 0).expect("SETVAL");
    }
    assert_eq!(tx.flush(SOON), Err(SendError::Fault(Fault::LivenessLost)));
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Fault(Fault::LivenessLost)));
    assert_eq!(tx.try_send(&2), Err(SendError::Fault(Fault::LivenessLost)));
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::LivenessLost)));
}

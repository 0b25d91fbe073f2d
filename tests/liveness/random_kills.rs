//! Processes are killed at random moments in the middle of a stream: nothing that was sent is lost,
//! nothing that was acknowledged is delivered again, nothing is torn, and every seat is free at
//! once.

use std::array;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Peer, RecvError, SendError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);
/// Longer than any wake-up, and shorter than the interval at which a parked waiter polls.
const SLICE: Duration = Duration::from_millis(150);

/// A message of several cache lines.
type Wide = [u64; 24];

/// Returns the message of a position. A torn message differs from all of them.
fn wide(n: u64) -> Wide {
    array::from_fn(|i| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32))
}

fn options(name: &str, capacity: usize) -> Options {
    // Half of the handles never spin.
    let wait = [Wait::Park, Wait::Balanced][Rng::new().below(2) as usize];
    Options::named(name).capacity(capacity).wait(wait)
}

fn sender(name: &str, capacity: usize) -> Sender<Wide> {
    options(name, capacity).open().expect("the seat is free at once")
}

fn receiver(name: &str, capacity: usize) -> Receiver<Wide> {
    options(name, capacity).open().expect("the seat is free at once")
}

/// Sends the message of each position, by all kinds of calls in turn, and records its progress.
/// Ends when the receiver is gone and no other one joins soon.
fn send_on(tx: &mut Sender<Wide>, sent: &AtomicU64, rng: &mut Rng) {
    // The last sender may have died before it recorded this.
    sent.store(tx.position(), Release);
    loop {
        let n = tx.position();
        let result = match rng.below(4) {
            0 => tx.send(&wide(n)),
            1 => tx.send_batch(&[wide(n), wide(n + 1), wide(n + 2)]).map_err(|e| e.error),
            2 => tx.loan().map(|mut loan| {
                *loan = wide(n);
                loan.commit().expect("committed");
            }),
            _ => {
                rng.pause(17);
                tx.try_send(&wide(n))
            }
        };
        sent.store(tx.position(), Release);
        match result {
            Ok(()) | Err(SendError::Full) => {}
            Err(SendError::Disconnected) => {
                tx.wait_for_peer(LONG).expect("another receiver");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn killed_senders_leave_no_gap() {
    for capacity in [1, 4, 64, 1024] {
        Worker::run(&[&"random_kills::kill_senders", &Name::new(), &capacity, &50]);
    }
}

/// One receiver, and senders that are killed one after the other.
#[work]
fn kill_senders(args: &mut Args) {
    let (name, capacity, kills): (String, usize, u64) = (args.next(), args.next(), args.next());
    let [sent] = shared_counters::<1>();
    let mut rng = Rng::new();
    let mut rx = receiver(&name, capacity);
    let mut killed = 0;
    while killed < kills {
        let mut victim = Fork::start(|| {
            let mut tx = sender(&name, capacity);
            assert!(tx.position() >= sent.load(Acquire), "what was sent is there");
            send_on(&mut tx, sent, &mut Rng::new());
        });
        // Some are killed before they send anything, most in the middle of the stream.
        if rng.below(4) != 0 {
            assert_eq!(rx.wait_for_peer(LONG), Ok(()));
            // It may have been ended by one that was killed before this one joined.
            until(|| rx.peer() == Ok(Peer::Present { pid: victim.pid() }));
            let some = rng.below(2 * capacity as u64) + 1;
            for _ in 0..some {
                assert_eq!(rx.recv(), Ok(wide(rx.position() - 1)));
            }
        } else {
            rng.pause(21);
        }
        let (killed_at, watch) = (now_ns(), Watch::start(&[victim.pid()]));
        victim.kill();
        // Some successors join while messages remain, some after the drain. If no sender ever
        // joined, one may still join: that is not a death.
        if rng.below(3) != 0 && rx.peer() != Ok(Peer::Absent) {
            let end = loop {
                match rx.recv() {
                    Ok(message) => assert_eq!(message, wide(rx.position() - 1)),
                    Err(end) => break end,
                }
            };
            assert_eq!(end, RecvError::Disconnected);
            watch.must_be_within(SLICE, killed_at);
            assert!(rx.position() >= sent.load(Acquire), "lost a message that was sent");
            assert!(
                rx.position() <= sent.load(Acquire) + 3,
                "received a message that was not sent"
            );
        }
        killed += u64::from(!victim.wait().success());
    }
}

#[test]
fn killed_receivers_leave_unacknowledged_messages() {
    for capacity in [1, 4, 64, 1024] {
        Worker::run(&[&"random_kills::kill_receivers", &Name::new(), &capacity, &50]);
    }
}

/// How a receiver receives, and by how much the recorded progress may be ahead of or behind the
/// acknowledged one.
const WAYS: [(u64, u64); 4] = [
    // By value, a message is acknowledged before the caller can record it.
    (0, 1),
    // In place, it is recorded, then acknowledged.
    (1, 0),
    (0, 3),
    (0, 1),
];

/// Receives what is there by one kind of call, and records its progress.
fn receive_on(rx: &mut Receiver<Wide>, seen: &AtomicU64, way: u64, rng: &mut Rng) {
    // The last receiver may have died before it recorded this.
    seen.store(rx.position(), Release);
    loop {
        let n = rx.position();
        let result = match way {
            0 => rx.recv().map(|message| assert_eq!(message, wide(n))),
            1 => rx.recv_ref().and_then(|guard| {
                assert_eq!(*guard, wide(n));
                seen.store(n + 1, Release);
                rng.pause(13);
                guard.ack()
            }),
            2 => {
                let mut some = Vec::new();
                rx.recv_batch(&mut some, 3).map(|_| {
                    assert!(some.iter().zip(n..).all(|(message, n)| *message == wide(n)));
                })
            }
            _ => rx.recv_boxed().map(|message| assert_eq!(*message, wide(n))),
        };
        seen.store(rx.position(), Release);
        match result {
            Ok(()) => {}
            Err(RecvError::Disconnected) => {
                rx.wait_for_peer(LONG).expect("another sender");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// One sender, and receivers that are killed one after the other.
#[work]
fn kill_receivers(args: &mut Args) {
    let (name, capacity, kills): (String, usize, u64) = (args.next(), args.next(), args.next());
    let [seen] = shared_counters::<1>();
    let mut rng = Rng::new();
    let mut tx = sender(&name, capacity);
    let mut killed = 0;
    while killed < kills {
        let way = rng.below(4);
        let acknowledged = tx.position() - tx.len() as u64;
        let mut victim = Fork::start(|| {
            let mut rx = receiver(&name, capacity);
            assert_eq!(rx.position(), acknowledged, "no message twice, and none missing");
            receive_on(&mut rx, seen, way, &mut Rng::new());
        });
        if rng.below(4) != 0 {
            assert_eq!(tx.wait_for_peer(LONG), Ok(()));
            until(|| tx.peer() == Ok(Peer::Present { pid: victim.pid() }));
            for _ in 0..=rng.below(2 * capacity as u64) + capacity as u64 {
                tx.send(&wide(tx.position())).expect("a receiver is there");
            }
        } else {
            rng.pause(21);
        }
        let (killed_at, watch) = (now_ns(), Watch::start(&[victim.pid()]));
        victim.kill();
        if rng.below(3) != 0 && tx.peer() != Ok(Peer::Absent) {
            let end = loop {
                match tx.send(&wide(tx.position())) {
                    Ok(()) => {}
                    Err(end) => break end,
                }
            };
            assert_eq!(end, SendError::Disconnected);
            watch.must_be_within(SLICE, killed_at);
        }
        killed += u64::from(!victim.wait().success());
        let (ahead, behind) = WAYS[way as usize];
        let acknowledged = tx.position() - tx.len() as u64;
        let noted = seen.swap(acknowledged, AcqRel);
        assert!(noted <= acknowledged + ahead, "acknowledged {acknowledged}, seen {noted}");
        assert!(noted + behind >= acknowledged, "acknowledged {acknowledged}, seen {noted}");
    }
}

#[test]
fn both_sides_are_killed_in_turn() {
    for capacity in [1, 8, 256] {
        Worker::run(&[&"random_kills::kill_both", &Name::new(), &capacity, &70]);
    }
}

/// All members of this channel are killed soon.
#[work]
fn kill_both(args: &mut Args) {
    let (name, capacity, kills): (String, usize, u64) = (args.next(), args.next(), args.next());
    let [sent, seen] = shared_counters::<2>();
    let start_sender = || {
        Fork::start(|| {
            let mut tx = sender(&name, capacity);
            send_on(&mut tx, sent, &mut Rng::new());
        })
    };
    let start_receiver = || {
        Fork::start(|| {
            let mut rx = receiver(&name, capacity);
            let seen_before = seen.load(Acquire);
            assert!(rx.position() >= seen_before.saturating_sub(1), "it comes again");
            assert!(rx.position() <= seen_before + 1, "it is omitted");
            // In place, or by value.
            let mut rng = Rng::new();
            let way = rng.below(2);
            receive_on(&mut rx, seen, way, &mut rng);
        })
    };
    let mut rng = Rng::new();
    let (mut first, mut second) = (start_sender(), start_receiver());
    for _ in 0..kills {
        match rng.below(3) {
            0 => {
                assert!(first.kill_and_wait());
                first = start_sender();
            }
            1 => {
                assert!(second.kill_and_wait());
                second = start_receiver();
            }
            _ => {
                first.kill();
                assert!(second.kill_and_wait() && first.kill_and_wait());
                second = start_receiver();
                first = start_sender();
            }
        }
        // Checks that messages are delivered again and again.
        if rng.below(2) == 0 {
            until_at_least(seen, seen.load(Acquire) + 10);
        }
        rng.pause(22);
    }
    assert!(first.kill_and_wait() && second.kill_and_wait());
    let mut rx = receiver(&name, capacity);
    while let Ok(message) = rx.try_recv() {
        assert_eq!(message, wide(rx.position() - 1));
    }
    assert!(rx.position() >= sent.load(Acquire), "lost a message that was sent");
}

//! Joining: a sender fills the ring while receivers come, read and leave.

use super::{bound, channel};
use crate::models::ends::{Receiver, Until};
use crate::models::harness::{
    Fixture, Job, all_of, check_bounded, check_deaths_bounded, many, together,
};
use crate::models::sim_kernel::Fences;
use crate::ring::broadcast::Start;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::sync::crash_point::crash_at;

/// Sends a message if there is room.
fn send(tx: &mut Producer, exact: bool) -> bool {
    // Whether it has room or not, as a sender looks that may have to wake another one.
    let has_room = tx.refresh(exact).expect("no corruption");
    if has_room {
        write(tx.slot(), tx.position());
        tx.publish();
    }
    has_room
}

/// Receives the next message if it is there.
fn receive(rx: &mut Consumer) -> bool {
    let is_there = rx.is_ready().expect("not overrun");
    if is_there {
        assert_eq!(read(rx.slot()), rx.position());
        if rx.acknowledge() {
            rx.publish_credit();
        }
    }
    is_there
}

/// How receivers join beside a sender.
#[derive(Clone, Copy, Debug)]
struct Work {
    capacity: usize,
    /// The number of messages that were sent before.
    before: u64,
    /// Whether another receiver in the same seat has received them, and left.
    inherits: bool,
    sent: u64,
    receivers: u8,
    start: Start,
    /// Whether the sender looks at the heads, and not at the credit.
    exact: bool,
}

/// The ring alone: no seats and no waiting, which would impose more ordering.
fn join_beside(work: Work) {
    let Work { capacity, before, sent, start, exact, .. } = work;
    let fixture = Fixture::of_broadcast(capacity, Fences::OnRequest, 0);
    let mut tx = Producer::new(fixture.ring()).expect("no corruption");
    let last = work.inherits.then(|| fixture.ring().join(1, fixture.stamp(), Start::Oldest, || {}));
    let mut last = last.map(|joined| joined.expect("no corruption"));
    for _ in 0..before {
        assert!(send(&mut tx, exact), "nobody is behind");
        assert!(last.as_mut().is_none_or(receive));
        last.iter_mut().for_each(Consumer::publish_credit);
    }
    // Its head stays.
    last.iter().for_each(|last| last.ring().leave(1));
    let mut jobs: Vec<Job<Option<Consumer>>> = Vec::new();
    for seat in 1..=work.receivers {
        let fixture = fixture.clone();
        jobs.push(Box::new(move || {
            let joined = fixture.ring().join(seat, fixture.stamp(), start, || {});
            let mut rx = joined.expect("no corruption");
            let first = rx.position();
            assert!(first + capacity as u64 >= before && first <= before + sent, "{first}");
            (0..many(2)).for_each(|_| _ = receive(&mut rx));
            Some(rx)
        }));
    }
    jobs.push(Box::new(move || {
        (0..sent).for_each(|_| _ = send(&mut tx, exact));
        None
    }));
    // What is left is whole, and the sender waits for nobody in the end.
    for mut rx in all_of(jobs).into_iter().flatten() {
        while receive(&mut rx) {}
        assert_eq!(rx.position(), fixture.ring().tail());
        rx.publish_credit();
    }
    let mut tx = Producer::new(fixture.ring()).expect("no corruption");
    (0..capacity).for_each(|_| assert!(send(&mut tx, exact)));
    assert!(!send(&mut tx, exact), "the receivers are still waited for");
}

const JOIN: Work = Work {
    capacity: 1,
    before: 1,
    inherits: false,
    sent: 2,
    receivers: 1,
    start: Start::Oldest,
    exact: true,
};

#[test]
fn a_receiver_is_not_overrun_while_it_joins() {
    let n = many(2);
    let works = [
        Work { sent: n, ..JOIN },
        Work { capacity: 2, before: 3, sent: n, ..JOIN },
        Work { capacity: 2, before: 3, sent: n, exact: false, ..JOIN },
        Work { capacity: 4, before: 4, sent: n, ..JOIN },
        Work { capacity: 2, before: 3, inherits: true, sent: n, ..JOIN },
        Work { capacity: 2, before: 2, sent: n, start: Start::Next, ..JOIN },
        Work { capacity: 2, before: 3, sent: n, start: Start::Position(2), ..JOIN },
        Work { capacity: 2, before: 2, sent: many(1), receivers: 2, ..JOIN },
    ];
    for work in works {
        check_bounded(&format!("{work:?}"), bound(work.receivers), move || join_beside(work));
    }
}

/// A sender looks again in the middle of a run of two slots. Beside a receiver that is joining, it may
/// find less room than it has.
#[test]
fn a_sender_keeps_the_room_that_it_found() {
    check_bounded("a run of two slots", 2, || {
        let fixture = Fixture::of_broadcast(8, Fences::OnRequest, 0);
        let mut tx = Producer::new(fixture.ring()).expect("no corruption");
        (0..8).for_each(|_| assert!(send(&mut tx, true)));
        // The ring needs it until both have ended.
        let shared = fixture.clone();
        let receiver = move || {
            let joined = shared.ring().join(1, shared.stamp(), Start::Oldest, || {});
            receive(&mut joined.expect("no corruption"));
        };
        let sender = move || {
            send(&mut tx, true);
            let _ = tx.refresh(true).expect("no corruption");
            for _ in 0..2 {
                if tx.has_room() {
                    write(tx.slot(), tx.position());
                    tx.publish();
                }
            }
        };
        together(sender, receiver);
    });
}

/// A receiver reads a message and leaves; the sender writes to its slot after that.
#[test]
fn a_receiver_that_leaves_has_read_its_messages() {
    check_bounded("it leaves", 2, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let mut tx = Producer::new(fixture.ring()).expect("no corruption");
        let mut rx = fixture.ring().join(1, fixture.stamp(), Start::Oldest, || {}).expect("a seat");
        assert!(send(&mut tx, true));
        let receiver = move || {
            // Without an acknowledgement: only its departure lets the sender go on.
            assert_eq!(read(rx.slot()), 0);
            rx.publish_credit();
            rx.ring().leave(1);
        };
        together(move || (0..many(2)).for_each(|_| _ = send(&mut tx, true)), receiver);
    });
}

/// Returns whether the receiver died while it joined or read. A successor takes its seat beside the
/// sender, which passes over the dead one.
fn receiver_dies(capacity: usize, before: u64, sent: u64, step: u32) -> bool {
    let fixture = Fixture::of_broadcast(capacity, Fences::OnRequest, 0);
    let (mut tx, _) = channel(&fixture, 0, before);
    let receiver = move || {
        let lived = crash_at(step, || {
            let mut rx = Receiver::join(&fixture, 1, Start::Oldest);
            receive(&mut rx.consumer);
        });
        fixture.kernel.member_died(1);
        let head = fixture.ring().head_of(1);
        let mut rx = Receiver::join(&fixture, 1, Start::Position(head));
        assert!(rx.consumer.position() >= head, "it receives a message again");
        receive(&mut rx.consumer);
        (lived.is_none(), rx)
    };
    let sender = move || {
        (0..sent).for_each(|_| _ = tx.try_send(Until::Dead));
        tx
    };
    let (mut tx, (died, mut rx)) = together(sender, receiver);
    while receive(&mut rx.consumer) {}
    assert_eq!(rx.consumer.position(), tx.sending.producer.position());
    rx.consumer.publish_credit();
    (0..capacity).for_each(|_| assert!(tx.try_send(Until::Dead)));
    assert!(!tx.try_send(Until::Dead), "the successor is still waited for");
    died
}

#[test]
fn a_receiver_is_succeeded_at_every_step() {
    for (capacity, before) in [(1, 1), (2, 3)] {
        let name = format!("a receiver dies, capacity {capacity}");
        check_deaths_bounded(&name, 1, move |step| receiver_dies(capacity, before, 1, step));
    }
}

/// Returns whether the sender died. Its successor goes on beside the receiver.
fn sender_dies(capacity: usize, before: u64, step: u32) -> bool {
    let fixture = Fixture::of_broadcast(capacity, Fences::OnRequest, 0);
    let mut tx = Producer::new(fixture.ring()).expect("no corruption");
    (0..before).for_each(|_| assert!(send(&mut tx, true)));
    let shared = fixture.clone();
    let sender = move || {
        let mut done = before;
        let lived = crash_at(step, || done += u64::from(send(&mut tx, true)));
        // The kernel orders the death before the successor.
        let mut tx = Producer::new(shared.ring()).expect("no corruption");
        let from = tx.position();
        assert!(from == done || from == done + 1, "{done} were sent, {from} are there");
        send(&mut tx, true);
        (lived.is_none(), tx)
    };
    let other = fixture.clone();
    let receiver = move || {
        let joined = other.ring().join(1, other.stamp(), Start::Oldest, || {});
        let mut rx = joined.expect("no corruption");
        receive(&mut rx);
        rx
    };
    let ((died, mut tx), mut rx) = together(sender, receiver);
    while receive(&mut rx) {}
    assert_eq!(rx.position(), tx.position());
    (0..capacity).for_each(|_| assert!(send(&mut tx, true)));
    assert!(!send(&mut tx, true), "the receiver is still waited for");
    drop(fixture);
    died
}

#[test]
fn a_sender_is_succeeded_at_every_step() {
    for (capacity, before) in [(1, 1), (2, 3)] {
        let name = format!("the sender dies beside one that joins, capacity {capacity}");
        check_deaths_bounded(&name, 1, move |step| sender_dies(capacity, before, step));
    }
}

/// A dead receiver is passed over while a successor takes its seat: only the dead one is forgotten.
#[test]
fn the_successor_of_a_dead_receiver_is_waited_for() {
    check_bounded("a successor beside a sender that passes over", 2, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let (mut tx, mut all) = channel(&fixture, 1, 1);
        let first = all.next().expect("a receiver");
        fixture.kernel.member_died(1);
        let receiver = move || {
            let mut rx = Receiver::join(&fixture, 1, Start::Oldest);
            receive(&mut rx.consumer);
            rx
        };
        let sender = move || {
            (0..2).for_each(|_| _ = tx.try_send(Until::Dead));
            tx
        };
        let (mut tx, mut rx) = together(sender, receiver);
        while receive(&mut rx.consumer) {}
        assert_eq!(rx.consumer.position(), tx.sending.producer.position());
        assert!(tx.try_send(Until::Dead));
        assert!(!tx.try_send(Until::Dead), "the successor is still waited for");
        drop(first);
    });
}

/// A look at a receiver that is joining finds too low a head. A sender that parks for that is woken,
/// even if the receiver never calls.
#[test]
fn a_sender_is_woken_by_a_receiver_that_has_joined() {
    check_bounded("a receiver joins and does nothing", 2, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let (mut tx, _) = channel(&fixture, 0, 1);
        fixture.kernel.forget_posts();
        let sender = move || tx.send();
        let receiver = move || {
            let mut rx = Receiver::join(&fixture, 1, Start::Oldest);
            // One message is there at the most, which was sent before it joined.
            (rx.consumer.position()..1).for_each(|_| assert_eq!(rx.recv(), 0));
        };
        together(sender, receiver);
    });
}

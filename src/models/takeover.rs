//! Death: does a successor continue where the dead process stopped, at whatever step that was?
//!
//! The other side lives on meanwhile, and may be blocked. The successor joins after the kernel has
//! reported the death, so all that the dead process wrote is visible: both run in one thread.

use super::ends::{Receiver, Sender, Until};
use super::harness::{Fixture, check_deaths, together};
use super::sim_kernel::Fences;
use crate::role::Side;
use crate::sync::crash_point::crash_at;

/// Orders, with the number of messages to send. With fences from the start there are many more
/// executions.
const WAYS: [(Fences, u64); 2] = [(Fences::OnRequest, 2), (Fences::Asked, 1)];

/// Returns whether the sender died. Each message arrives once, whichever process sent it.
fn sender_dies(capacity: usize, messages: u64, step: u32, fences: Fences) -> bool {
    let fixture = Fixture::with(capacity, fences);
    let mut rx = Receiver::new(&fixture);
    let sender = move || {
        let mut done = 0;
        let lived = crash_at(step, || {
            let mut tx = Sender::new(&fixture);
            while done < messages {
                tx.send();
                done += 1;
            }
        });
        fixture.kernel.side_died(Side::Senders);
        let mut tx = Sender::new(&fixture);
        let from = tx.sending.producer.position();
        assert!(from == done || from == done + 1, "{done} were sent, {from} are there");
        (from..messages).for_each(|_| tx.send());
        lived.is_none()
    };
    let receiver = move || (0..messages).for_each(|next| assert_eq!(rx.recv(), next));
    together(sender, receiver).0
}

/// Returns whether the receiver died. Unacknowledged messages are delivered again.
fn receiver_dies(capacity: usize, messages: u64, step: u32, fences: Fences) -> bool {
    let fixture = Fixture::with(capacity, fences);
    let mut tx = Sender::new(&fixture);
    let receiver = move || {
        let mut done = 0;
        let lived = crash_at(step, || {
            let mut rx = Receiver::new(&fixture);
            while done < messages {
                assert_eq!(rx.recv(), done);
                done += 1;
            }
        });
        fixture.kernel.side_died(Side::Receivers);
        let mut rx = Receiver::new(&fixture);
        let from = rx.consumer.position();
        assert!(from == done || from == done + 1, "{done} were received, {from} are gone");
        (from..messages).for_each(|next| assert_eq!(rx.recv(), next));
        lived.is_none()
    };
    together(move || (0..messages).for_each(|_| tx.send()), receiver).1
}

/// Returns whether a receiver that works in place died. Every message was processed to the end.
fn worker_dies(capacity: usize, messages: u64, step: u32, fences: Fences) -> bool {
    let fixture = Fixture::with(capacity, fences);
    let mut tx = Sender::new(&fixture);
    let receiver = move || {
        let mut done = Vec::new();
        let lived = crash_at(step, || {
            let mut rx = Receiver::new(&fixture);
            (0..messages).for_each(|_| rx.recv_ref(|number| done.push(number)));
        });
        fixture.kernel.side_died(Side::Receivers);
        let mut rx = Receiver::new(&fixture);
        let from = rx.consumer.position();
        assert!(from <= done.len() as u64, "{done:?} were worked on, {from} are gone");
        (from..messages).for_each(|_| rx.recv_ref(|number| done.push(number)));
        done.sort_unstable();
        done.dedup();
        assert!(done.into_iter().eq(0..messages));
        lived.is_none()
    };
    together(move || (0..messages).for_each(|_| tx.send()), receiver).1
}

/// Returns whether the sender died. With no successor, the receiver drains the available messages
/// and is notified.
fn nobody_succeeds(capacity: usize, messages: u64, step: u32, fences: Fences) -> bool {
    let fixture = Fixture::with(capacity, fences);
    let mut rx = Receiver::new(&fixture);
    let sender = move || {
        let mut done = 0;
        let lived = crash_at(step, || {
            let mut tx = Sender::new(&fixture);
            while done < messages {
                tx.send();
                done += 1;
            }
        });
        fixture.kernel.side_died(Side::Senders);
        (done, lived.is_none())
    };
    let receiver = move || {
        let mut next = 0;
        while let Some(number) = rx.recv_until(Until::Dead) {
            assert_eq!(number, next);
            next += 1;
        }
        next
    };
    let ((done, died), received) = together(sender, receiver);
    assert!(received == done || received == done + 1, "{done} were sent, {received} received");
    died
}

/// Returns whether the receiver died. With no successor, the sender is notified and knows what is
/// left.
fn nobody_receives(capacity: usize, messages: u64, step: u32, fences: Fences) -> bool {
    let fixture = Fixture::with(capacity, fences);
    let mut tx = Sender::new(&fixture);
    // So that the sender blocks from the start, and with room for less than half a ring.
    (0..capacity).for_each(|_| tx.send());
    let receiver = move || {
        let mut done = 0;
        let lived = crash_at(step, || {
            let mut rx = Receiver::new(&fixture);
            while done < messages {
                assert_eq!(rx.recv(), done);
                done += 1;
            }
        });
        fixture.kernel.side_died(Side::Receivers);
        (done, lived.is_none())
    };
    let sender = move || {
        while tx.send_until(Until::Dead) {}
        (tx.sending.producer.position(), tx.sending.producer.unacknowledged())
    };
    let ((sent, kept), (done, died)) = together(sender, receiver);
    let received = sent - kept;
    assert!(received == done || received == done + 1, "{done} were received, {sent} sent");
    died
}

#[test]
fn a_sender_is_succeeded_at_every_step() {
    for (fences, messages) in WAYS {
        let name = format!("the sender dies, {fences:?}");
        check_deaths(&name, move |step| sender_dies(1, messages, step, fences));
    }
}

#[test]
fn a_receiver_is_succeeded_at_every_step() {
    for (fences, messages) in WAYS {
        let name = format!("the receiver dies, {fences:?}");
        check_deaths(&name, move |step| receiver_dies(1, messages, step, fences));
    }
}

#[test]
fn work_in_place_is_done_at_least_once() {
    for (fences, messages) in WAYS {
        let name = format!("the worker dies, {fences:?}");
        check_deaths(&name, move |step| worker_dies(1, messages, step, fences));
    }
}

#[test]
fn a_death_is_reported_after_the_drain() {
    for (fences, messages) in WAYS {
        let name = format!("the sender dies for good, {fences:?}");
        check_deaths(&name, move |step| nobody_succeeds(1, messages, step, fences));
    }
}

#[test]
fn a_death_is_reported_when_the_ring_is_full() {
    use Fences::{Asked, OnRequest};
    for (capacity, messages, fences) in [(1, 2, OnRequest), (8, 1, OnRequest), (1, 1, Asked)] {
        let name = format!("the receiver dies for good, capacity {capacity}, {fences:?}");
        check_deaths(&name, move |step| nobody_receives(capacity, messages, step, fences));
    }
}

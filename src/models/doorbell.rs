//! Doorbells of SPSC channels: is every member rung that waits by its doorbell? Under loom, one that
//! is never rung is a deadlock.

use super::ends::{Receiver, Sender, Until};
use super::harness::{Fixture, check, check_deaths, many, together};
use super::sim_kernel::Fences;
use crate::role::Side;
use crate::sync::crash_point::crash_at;

const WAYS: [Fences; 3] = [Fences::OnRequest, Fences::Asked, Fences::Refused];

/// Which ends wait by their doorbell; the others block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Receiver,
    Sender,
    Both,
}

/// `before` messages are available at the start; `sent` are sent while all of them are received.
fn exchange(capacity: usize, before: u64, sent: u64, fences: Fences, by: By) {
    let fixture = Fixture::with_bells(capacity, fences, 2);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    (0..before).for_each(|_| tx.send());
    let sender = move || {
        for _ in 0..sent {
            match by {
                By::Receiver => tx.send(),
                By::Sender | By::Both => assert!(tx.send_by_doorbell(Until::Ever)),
            }
        }
    };
    let receiver = move || {
        for next in 0..before + sent {
            let number = match by {
                By::Sender => rx.recv(),
                By::Receiver | By::Both => rx.recv_by_doorbell(Until::Ever).expect("a message"),
            };
            assert_eq!(number, next);
        }
    };
    together(sender, receiver);
}

/// The sender leaves after its messages.
fn end(messages: u64) {
    let fixture = Fixture::with_bells(1, Fences::OnRequest, 2);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    let sender = move || {
        (0..messages).for_each(|_| tx.send());
        tx.leave();
    };
    let receiver = move || {
        (0..messages).for_each(|next| assert_eq!(rx.recv_by_doorbell(Until::Left), Some(next)));
        assert_eq!(rx.recv_by_doorbell(Until::Left), None);
    };
    together(sender, receiver);
}

/// The receiver leaves without having received anything.
fn departure() {
    let fixture = Fixture::with_bells(1, Fences::OnRequest, 2);
    let (mut tx, rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    tx.send();
    together(move || rx.leave(), move || assert!(!tx.send_by_doorbell(Until::Left)));
}

/// Returns whether the sender died. The receiver gets what was published, and learns of the death.
fn sender_dies(messages: u64, step: u32) -> bool {
    let fixture = Fixture::with_bells(1, Fences::OnRequest, 2);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    let sender = move || {
        let mut done = 0;
        let lived = crash_at(step, || {
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
        while let Some(number) = rx.recv_by_doorbell(Until::Dead) {
            assert_eq!(number, next);
            next += 1;
        }
        next
    };
    let ((done, died), received) = together(sender, receiver);
    assert!(received == done || received == done + 1, "{done} were sent, {received} received");
    died
}

#[test]
fn a_receiver_is_rung_for_a_message() {
    for fences in WAYS {
        let n = many(2);
        check(&format!("the receiver has a doorbell, {fences:?}"), move || {
            exchange(n.next_power_of_two() as usize, 0, n, fences, By::Receiver);
        });
    }
}

#[test]
fn a_sender_is_rung_for_room() {
    for (capacity, sent) in [(1, 1), (2, 1), (4, 1)] {
        let before = capacity as u64;
        let name = format!("the sender has a doorbell, capacity {capacity}");
        check(&name, move || exchange(capacity, before, sent, Fences::OnRequest, By::Sender));
    }
}

#[test]
fn both_are_rung() {
    for fences in [Fences::OnRequest, Fences::Asked] {
        let n = many(2);
        check(&format!("both have a doorbell, {fences:?}"), move || {
            exchange(1, 0, n, fences, By::Both);
        });
    }
}

#[test]
fn both_are_rung_for_the_end() {
    check("the receiver is rung for the end", || end(1));
    check("the sender is rung for the end", departure);
}

#[test]
fn a_receiver_learns_of_a_death() {
    check_deaths("the sender dies, and the receiver has a doorbell", |step| sender_dies(1, step));
}

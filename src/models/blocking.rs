//! Blocking: does every blocked waiter wake up, with at most one post for each time that PARKED was
//! set? Under loom, a waiter that never wakes up is a deadlock.

use super::ends::{Receiver, Sender};
use super::harness::{Fixture, check, many, together};
use super::sim_kernel::Fences;

const WAYS: [Fences; 3] = [Fences::OnRequest, Fences::Asked, Fences::Refused];

/// `before` messages are available at the start; `sent` are sent while `received` are received.
fn exchange(capacity: usize, before: u64, sent: u64, received: u64, fences: Fences) {
    let fixture = Fixture::with(capacity, fences);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    (0..before).for_each(|_| tx.send());
    let receiver = move || (0..received).for_each(|next| assert_eq!(rx.recv(), next));
    together(move || (0..sent).for_each(|_| tx.send()), receiver);
    fixture.kernel.check_posts();
}

#[test]
fn a_receiver_that_finds_nothing_is_woken() {
    for fences in WAYS {
        let n = many(2);
        check(&format!("receiver sleeps, {fences:?}"), move || {
            exchange(n.next_power_of_two() as usize, 0, n, n, fences);
        });
    }
}

#[test]
fn a_sender_that_finds_no_room_is_woken() {
    for fences in WAYS {
        for capacity in [1, 2] {
            let n = capacity as u64;
            check(&format!("sender sleeps, capacity {capacity}, {fences:?}"), move || {
                exchange(capacity, n, n, n, fences);
            });
        }
    }
}

/// With more slots the receiver wakes the sender late: when half of them are free.
#[test]
fn a_sender_is_woken_when_half_is_free() {
    use Fences::{Asked, OnRequest};
    for (capacity, sent, fences) in
        [(4, 1, OnRequest), (4, 3, OnRequest), (8, 1, OnRequest), (4, 1, Asked)]
    {
        let name = format!("sender sleeps, capacity {capacity}, sends {sent}, {fences:?}");
        check(&name, move || exchange(capacity, capacity as u64, sent, capacity as u64, fences));
    }
}

#[test]
fn both_park_and_both_wake() {
    use Fences::{Asked, OnRequest, Refused};
    for (capacity, n, fences) in
        [(1, 2, OnRequest), (2, 3, OnRequest), (1, 2, Asked), (1, 2, Refused), (2, 3, Refused)]
    {
        let n = many(n);
        check(&format!("both sleep, capacity {capacity}, {fences:?}"), move || {
            exchange(capacity, 0, n, n, fences);
        });
    }
}

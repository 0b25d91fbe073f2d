//! Blocking: does every blocked waiter wake up, with at most one post for each time that PARKED was
//! set? Under loom, a waiter that never wakes up is a deadlock.

use super::ends::{Receiver, Sender};
use super::harness::{Fixture, check, many, together};
use super::sim_kernel::Order;

const ORDERS: [Order; 4] = [Order::Membarrier, Order::Fences, Order::Refused, Order::RefusedLater];

/// `before` messages are available at the start; `sent` are sent while `received` are received.
fn exchange(capacity: usize, before: u64, sent: u64, received: u64, order: Order) {
    let fixture = Fixture::new(capacity, order);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    (0..before).for_each(|_| tx.send());
    let receiver = move || (0..received).for_each(|next| assert_eq!(rx.recv(), next));
    together(move || (0..sent).for_each(|_| tx.send()), receiver);
    fixture.kernel.check_posts();
}

#[test]
fn a_receiver_that_finds_nothing_is_woken() {
    for order in ORDERS {
        let n = many(2);
        check(&format!("receiver sleeps, {order:?}"), move || {
            exchange(n.next_power_of_two() as usize, 0, n, n, order);
        });
    }
}

#[test]
fn a_sender_that_finds_no_room_is_woken() {
    for order in ORDERS {
        for capacity in [1, 2] {
            let n = capacity as u64;
            check(&format!("sender sleeps, capacity {capacity}, {order:?}"), move || {
                exchange(capacity, n, n, n, order);
            });
        }
    }
}

/// With more slots the receiver wakes the sender late: when half of them are free.
#[test]
fn a_sender_is_woken_when_half_is_free() {
    use Order::{Fences, Membarrier};
    for (capacity, sent, order) in
        [(4, 1, Membarrier), (4, 3, Membarrier), (8, 1, Membarrier), (4, 1, Fences)]
    {
        let name = format!("sender sleeps, capacity {capacity}, sends {sent}, {order:?}");
        check(&name, move || exchange(capacity, capacity as u64, sent, capacity as u64, order));
    }
}

#[test]
fn both_park_and_both_wake() {
    use Order::{Fences, Membarrier, Refused, RefusedLater};
    for (capacity, n, order) in [
        (1, 2, Membarrier),
        (2, 3, Membarrier),
        (1, 2, Fences),
        (1, 2, Refused),
        (2, 3, Refused),
        (1, 2, RefusedLater),
    ] {
        let n = many(n);
        check(&format!("both sleep, capacity {capacity}, {order:?}"), move || {
            exchange(capacity, 0, n, n, order);
        });
    }
}

//! Models of MPMC channels.
//!
//! | file | question |
//! |---|---|
//! | `transfer` | does each message reach one receiver, whole and in order? |
//! | `starts` | may a member start from a hint, or from its handle's other thread? |
//! | `blocking` | does every blocked waiter wake up? |
//! | `doorbell` | is a member rung that waits by its doorbell, whatever dies meanwhile? |
//! | `freed` | does a sender stay blocked next to a slot freed without an acknowledgement? |
//! | `interrupt` | is every interrupt returned, and every message received? |
//! | `leaving` | does a process that sees the end of the stream see all that was done? |
//! | `finishing` | does a receiver that saw no sender learn of the end, and only of the end? |
//! | `recovery` | is what a dead member leaves passed on whole, from member to member? |
//! | `step_over` | is a slot that senders step over still whole, owned, and found? |
//! | `tap` | is a message whole that a tap copies, and was it sent at that position? |
//! | `search` | is a dead receiver's message found, whatever joins and dies meanwhile? |
//! | `crash` | do the others continue, at any step a member dies: message, recovery, start? |

mod ends;

mod blocking;
mod crash;
mod doorbell;
mod finishing;
mod freed;
mod interrupt;
mod leaving;
mod recovery;
mod returned;
mod search;
mod starts;
mod step_over;
mod tap;
mod transfer;

use ends::sender_of;

/// Checks that each message of `sent` arrived once, at one of the receivers, and that each receiver
/// got the messages of a sender in their order.
fn check_exchange(sent: &[u64], received: &[Vec<u64>]) {
    received.iter().for_each(|got| check_order(got));
    let mut all = received.concat();
    let mut sent = sent.to_vec();
    all.sort_unstable();
    sent.sort_unstable();
    assert_eq!(all, sent, "received, sent");
}

/// Checks that the messages of each sender are in their order.
fn check_order(received: &[u64]) {
    for (n, &later) in received.iter().enumerate() {
        let in_order = |&earlier: &u64| {
            let ((by, earlier), (from, later)) = (sender_of(earlier), sender_of(later));
            by != from || earlier < later
        };
        assert!(received[..n].iter().all(in_order), "out of order: {received:x?}");
    }
}

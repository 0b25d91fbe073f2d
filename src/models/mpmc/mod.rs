//! Models of many-to-many channels: the shipped ring and the shipped waiting, two to four threads.
//!
//! | file | question |
//! |---|---|
//! | `transfer` | does each message come to one receiver, whole and in order? |
//! | `starts` | may one start from a hint, or from where another thread of its handle is? |
//! | `blocking` | does everyone who sleeps wake? |
//! | `freed` | does a sender sleep beside a slot that is free without an acknowledgement? |
//! | `leaving` | does who sees the end see all that was done before? |
//! | `repair` | what one leaves who died: is it given on whole, and from hand to hand? |
//! | `search` | is a message of the dead found, whoever joins and dies while it is searched for? |
//! | `killed` | do the others go on, at whatever step one dies: of a message, of a repair, of a start? |

mod member;
mod receiver;
mod sender;

mod blocking;
mod crash;
mod freed;
mod leaving;
mod recovery;
mod search;
mod starts;
mod transfer;

use member::sender_of;

/// Each of `sent` came once, to one of the receivers; to each of them those of a sender in their
/// order.
fn check_exchange(sent: &[u64], received: &[Vec<u64>]) {
    received.iter().for_each(|got| check_order(got));
    let mut all = received.concat();
    let mut sent = sent.to_vec();
    all.sort_unstable();
    sent.sort_unstable();
    assert_eq!(all, sent, "received, sent");
}

/// Messages of one sender are in their order.
fn check_order(received: &[u64]) {
    for (n, &later) in received.iter().enumerate() {
        let in_order = |&earlier: &u64| {
            let ((by, earlier), (from, later)) = (sender_of(earlier), sender_of(later));
            by != from || earlier < later
        };
        assert!(received[..n].iter().all(in_order), "out of order: {received:x?}");
    }
}

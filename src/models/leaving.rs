//! Leaving: does a process that sees the end of the stream see all that came before?

use super::ends::{Receiver, Sender, Until};
use super::harness::{Fixture, check, many, together};
use super::sim_kernel::Fences;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::wait;

/// The flag alone: no seat and no post, which would impose more ordering.
fn the_senders_flag(sent: u64) {
    let fixture = Fixture::new(sent.next_power_of_two() as usize);
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut consumer = Consumer::new(fixture.ring());
    let sender = move || {
        for _ in 0..sent {
            assert!(producer.has_room());
            write(producer.slot(), producer.position());
            producer.publish();
        }
        producer.ring().header().senders.set(wait::LEFT);
    };
    let receiver = move || {
        let left = consumer.ring().header().senders.has_left();
        let mut received = 0;
        while consumer.is_ready().unwrap() {
            assert_eq!(read(consumer.slot()), received);
            consumer.acknowledge();
            received += 1;
        }
        assert!(!left || received == sent, "left, and {received} of {sent} are there");
    };
    together(sender, receiver);
}

/// The reverse: a sender that sees that the receiver left knows what it acknowledged.
fn the_receivers_flag(sent: u64, acknowledged: u64) {
    let fixture = Fixture::new(sent.next_power_of_two() as usize);
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut consumer = Consumer::new(fixture.ring());
    for _ in 0..sent {
        assert!(producer.has_room());
        write(producer.slot(), producer.position());
        producer.publish();
    }
    let sender = move || {
        let left = producer.ring().header().receivers.has_left();
        let kept = producer.unacknowledged();
        assert!(!left || kept == sent - acknowledged, "left, and {kept} of {sent} are kept");
    };
    let receiver = move || {
        for _ in 0..acknowledged {
            assert!(consumer.is_ready().unwrap());
            consumer.acknowledge();
        }
        consumer.ring().header().receivers.set(wait::LEFT);
    };
    together(sender, receiver);
}

/// A blocked receiver is notified, and receives every message first.
fn drained(capacity: usize, sent: u64, fences: Fences) {
    let fixture = Fixture::with(capacity, fences);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    let sender = move || {
        (0..sent).for_each(|_| tx.send());
        tx.leave();
    };
    let receiver = move || {
        let mut next = 0;
        while let Some(number) = rx.recv_until(Until::Left) {
            assert_eq!(number, next);
            next += 1;
        }
        assert_eq!(next, sent);
    };
    together(sender, receiver);
}

#[test]
fn a_departed_sender_published_everything() {
    check("the sender's flag", || the_senders_flag(many(2)));
}

#[test]
fn a_departed_receiver_acknowledged_everything() {
    check("the receiver's flag", || the_receivers_flag(many(3), many(2)));
}

#[test]
fn a_channel_is_drained_before_it_ends() {
    use Fences::{Asked, OnRequest};
    for (capacity, sent, fences) in [(1, 2, OnRequest), (2, 2, OnRequest), (1, 1, Asked)] {
        let name = format!("drained, capacity {capacity}, {fences:?}");
        check(&name, move || drained(capacity, many(sent), fences));
    }
}

//! Anything that can happen to a ring, in any order, against a plain queue.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::pair::Pair;
use super::places;
use crate::ring::testing::{read, write};
use crate::sync::mortal::killed_at;

#[derive(Clone, Debug)]
enum Op {
    /// Sends if there is room by what the sender knows, after a look at credit or head.
    Send {
        exact: bool,
    },
    /// Sends so many, or until there is no room.
    SendBatch(u8),
    Receive,
    /// Receives so many, or all there are, acknowledged together.
    ReceiveBatch(u8),
    /// Looks at the next message in place and forgets the guard.
    Forget,
    /// The receiver tells the sender how far it is.
    PublishCredit,
    ForgetRoom,
    /// The sender dies at this step of a send, or leaves after it, and another comes.
    SuccessorSender {
        step: u32,
    },
    /// The receiver dies at this step of receiving, or leaves after it, and another comes.
    SuccessorReceiver {
        step: u32,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any::<bool>().prop_map(|exact| Op::Send { exact }),
        3 => (0..20u8).prop_map(Op::SendBatch),
        8 => Just(Op::Receive),
        3 => (0..20u8).prop_map(Op::ReceiveBatch),
        2 => Just(Op::Forget),
        1 => Just(Op::PublishCredit),
        1 => Just(Op::ForgetRoom),
        2 => (0..10u32).prop_map(|step| Op::SuccessorSender { step }),
        2 => (0..10u32).prop_map(|step| Op::SuccessorReceiver { step }),
    ]
}

/// The ring, and what should be in it.
struct Trial {
    pair: Pair,
    queue: VecDeque<u64>,
    capacity: usize,
    /// Positions of the next message to send and to receive.
    tail: u64,
    head: u64,
}

impl Trial {
    fn new(capacity: usize, place: u64) -> Trial {
        let (pair, queue) = (Pair::at(capacity, place), VecDeque::new());
        Trial { pair, queue, capacity, tail: place, head: place }
    }

    fn sent(&mut self) {
        self.queue.push_back(self.tail);
        self.tail = self.tail.wrapping_add(1);
    }

    fn received(&mut self, number: u64) {
        assert_eq!(self.queue.pop_front(), Some(number));
        self.head = self.head.wrapping_add(1);
    }

    fn put(&mut self) {
        write(self.pair.tx.slot(), self.tail);
        self.pair.tx.publish();
        self.sent();
    }

    fn apply(&mut self, op: &Op) {
        let pair = &mut self.pair;
        match *op {
            Op::Send { exact } => {
                let room = pair.tx.refresh(exact).unwrap();
                // By credit it may know of less room than there is, exactly it knows all.
                assert!(!room || self.queue.len() < self.capacity);
                assert!(!exact || room == (self.queue.len() < self.capacity));
                if room {
                    self.put();
                }
            }
            Op::SendBatch(many) => {
                for _ in 0..many {
                    if !self.pair.tx.has_room() && !self.pair.tx.refresh(true).unwrap() {
                        assert_eq!(self.queue.len(), self.capacity);
                        break;
                    }
                    self.put();
                }
            }
            Op::Receive => match pair.receive().unwrap() {
                Some(number) => self.received(number),
                None => assert!(self.queue.is_empty()),
            },
            Op::ReceiveBatch(many) => {
                let mut numbers = Vec::new();
                while numbers.len() < usize::from(many) && pair.rx.has_message() {
                    numbers.push(read(pair.rx.slot()));
                    pair.rx.pass();
                }
                assert_eq!(numbers.len(), self.queue.len().min(many.into()));
                // Nothing is acknowledged before all is.
                assert_eq!(pair.tx.unacknowledged(), self.queue.len() as u64);
                if pair.rx.acknowledge_passed() {
                    pair.rx.publish_credit();
                }
                numbers.into_iter().for_each(|number| self.received(number));
            }
            Op::Forget => {
                let number = pair.rx.is_ready().unwrap().then(|| read(pair.rx.slot()));
                assert_eq!(number.as_ref(), self.queue.front());
            }
            Op::PublishCredit => pair.rx.publish_credit(),
            Op::ForgetRoom => pair.tx.forget_room(),
            Op::SuccessorSender { step } => {
                let sent = killed_at(step, || pair.send().unwrap());
                pair.succeed_sender().unwrap();
                if let Some(sent) = sent {
                    assert_eq!(sent, self.queue.len() < self.capacity);
                }
                // What it was about to send is there or not; the successor knows.
                match pair.tx.position().wrapping_sub(self.tail) {
                    0 => assert_ne!(sent, Some(true)),
                    1 => self.sent(),
                    _ => panic!("a successor somewhere else"),
                }
            }
            Op::SuccessorReceiver { step } => {
                let received = killed_at(step, || pair.receive().unwrap());
                pair.succeed_receiver();
                match pair.rx.position().wrapping_sub(self.head) {
                    0 => assert!(received.flatten().is_none()),
                    1 => {
                        let number = received.unwrap_or(Some(self.head));
                        self.received(number.expect("a message"));
                    }
                    _ => panic!("a successor somewhere else"),
                }
            }
        }
    }

    /// What is true whatever happened.
    fn check(&self) {
        let (Pair { tx, rx, ring, .. }, len) = (&self.pair, self.queue.len() as u64);
        assert_eq!((tx.position(), rx.position()), (self.tail, self.head));
        assert_eq!((ring.depth(), tx.unacknowledged()), (len, len));
        assert_eq!(rx.has_message(), len != 0);
        assert_eq!(rx.is_ready(), Ok(len != 0));
        assert!(tx.room() <= ring.capacity() - len);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_ring_is_a_queue(
        capacity in 1..=16usize,
        place in 0..4usize,
        ops in vec(op(), 1..120),
    ) {
        let capacity = capacity.next_power_of_two();
        let mut trial = Trial::new(capacity, places(capacity)[place]);
        for op in &ops {
            trial.apply(op);
            trial.check();
        }
    }
}

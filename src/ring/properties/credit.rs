//! Credit and head of an SPSC ring as they are between two instructions of a receiver: whole rings
//! acknowledged together, credit published late or never, exact and lazy refreshes in any order. No
//! refresh reports corruption while both ends are honest, and none gives more room than there is.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::ring::Ring;
use crate::ring::spsc::tests::places;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, read, write};
use crate::sync::Ordering::Relaxed;

/// The next step of one end.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The sender refreshes, exactly or lazily, and sends up to this many messages.
    Send { exact: bool, most: u64 },
    /// The receiver takes up to this many messages and acknowledges them one by one.
    Receive { most: u64 },
    /// The receiver takes up to this many messages and acknowledges them together.
    Batch { most: u64 },
    /// The receiver publishes its credit.
    Credit,
    /// Another sender takes over.
    Succeed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let most = || prop_oneof![Just(u64::MAX), 0..20u64];
    let step = prop_oneof![
        4 => (any::<bool>(), most()).prop_map(|(exact, most)| Step::Send { exact, most }),
        1 => most().prop_map(|most| Step::Receive { most }),
        3 => most().prop_map(|most| Step::Batch { most }),
        1 => Just(Step::Credit),
        1 => Just(Step::Succeed),
    ];
    vec(step, 1..60)
}

/// Both ends, and the positions that were sent and received.
struct Ends {
    tx: Producer,
    rx: Consumer,
    ring: Ring,
}

impl Ends {
    fn take(&mut self, step: Step) {
        let Ends { tx, rx, ring } = self;
        match step {
            Step::Send { exact, most } => {
                tx.refresh(exact).expect("both ends are honest");
                let head = ring.header().head.0.load(Relaxed);
                let unread = tx.position().wrapping_sub(head);
                assert!(tx.room() <= ring.capacity() - unread, "room over what nobody read");
                if exact {
                    assert_eq!(tx.room(), ring.capacity() - unread);
                }
                for _ in 0..most.min(ring.capacity()) {
                    if !tx.has_room() {
                        break;
                    }
                    write(tx.slot(), tx.position());
                    tx.publish();
                }
            }
            Step::Receive { most } => {
                for _ in 0..most.min(ring.capacity()) {
                    if !rx.is_ready().expect("both ends are honest") {
                        break;
                    }
                    assert_eq!(read(rx.slot()), rx.position());
                    // Stopped before it publishes the credit that may be due.
                    rx.acknowledge();
                }
            }
            Step::Batch { most } => {
                let mut next = rx.position();
                rx.take_while(most.min(ring.capacity()) as usize, |slot| {
                    assert_eq!(read(slot), next);
                    next = next.wrapping_add(1);
                    true
                });
                assert_eq!(rx.position(), next);
                rx.acknowledge_passed();
            }
            Step::Credit => rx.publish_credit(),
            Step::Succeed => *tx = Producer::new(*ring).expect("both ends are honest"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn late_credit_is_no_news(log in 0..5u32, place in 0..4usize, steps in steps()) {
        let capacity = 1usize << log;
        let block = HeapRing::at(capacity, places(capacity)[place]);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let (tx, rx) = (Producer::new(ring).expect("fresh"), Consumer::new(ring));
        let mut ends = Ends { tx, rx, ring };
        for step in steps {
            ends.take(step);
        }
    }
}

/// The shortest sequence that takes credit more than two rings behind the sender.
#[test]
fn a_batch_of_a_whole_ring_then_a_lap() {
    for place in places(8) {
        let block = HeapRing::at(8, place);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let (tx, rx) = (Producer::new(ring).expect("fresh"), Consumer::new(ring));
        let mut ends = Ends { tx, rx, ring };
        let all = u64::MAX;
        ends.take(Step::Send { exact: true, most: all });
        ends.take(Step::Receive { most: 1 });
        ends.take(Step::Send { exact: true, most: all });
        ends.take(Step::Batch { most: all });
        ends.take(Step::Send { exact: true, most: all });
        assert_eq!(ends.tx.position(), place.wrapping_add(17));
        assert_eq!(ring.header().credit.0.load(Relaxed), place);
        assert_eq!(ends.tx.refresh(false), Ok(false), "a look at old credit");
        ends.take(Step::Credit);
        assert_eq!(ends.tx.refresh(false), Ok(false), "the ring is full");
        ends.take(Step::Batch { most: all });
        ends.take(Step::Credit);
        assert_eq!(ends.tx.refresh(false), Ok(true));
    }
}

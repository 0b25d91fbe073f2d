//! A broadcast ring: for each receiver, it is a queue of all messages from its first one on. The
//! receivers join anywhere, leave, and die in the middle of joining and receiving; the sender dies in
//! the middle of sending. What is compared is a plain vector of all messages.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::ring::Ring;
use crate::ring::broadcast::Start;
use crate::ring::spsc::tests::places;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, SEATS, read, write};
use crate::sync::crash_point::crash_at;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The sender sends so many messages, as long as there is room.
    Send(u8),
    /// The sender dies at a step of sending one, or of taking over.
    SenderDies(u32),
    /// A receiver joins the seat if it is free: at the oldest, at the next, or at a distance from the
    /// next one.
    Join(u8, u8),
    /// The same, but it dies at this step.
    JoinDies(u8, u8, u32),
    /// Receives so many messages, one by one or as a batch.
    Receive(u8, u8, bool),
    /// A receiver dies at this step of receiving.
    Dies(u8, u32),
    Leave(u8),
}

fn any_event() -> impl Strategy<Value = Event> {
    let seat = || 1..SEATS as u8;
    prop_oneof![
        4 => any::<u8>().prop_map(|n| Event::Send(n % 24)),
        1 => (0..80u32).prop_map(Event::SenderDies),
        3 => (seat(), any::<u8>()).prop_map(|(seat, start)| Event::Join(seat, start)),
        1 => (seat(), any::<u8>(), 0..60u32).prop_map(|(s, start, n)| Event::JoinDies(s, start, n)),
        6 => (seat(), any::<u8>(), any::<bool>()).prop_map(|(s, n, b)| Event::Receive(s, n % 24, b)),
        1 => (seat(), 0..10u32).prop_map(|(seat, step)| Event::Dies(seat, step)),
        1 => seat().prop_map(Event::Leave),
    ]
}

/// What was sent and what each receiver has to receive next.
struct World {
    tx: Producer,
    /// The living receivers.
    receivers: [Option<Consumer>; SEATS],
    /// Whether the seat has a holder that lives.
    is_alive: [bool; SEATS],
    ring: Ring,
    /// The position of the first message in `sent`.
    place: u64,
    sent: Vec<u64>,
    stamps: u64,
    /// Declared last: the others refer to it.
    _block: HeapRing,
}

impl World {
    fn new(capacity: usize, place: u64) -> World {
        let block = HeapRing::of_broadcast_at(capacity, place);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let tx = Producer::new(ring).expect("no corruption");
        let receivers = std::array::from_fn(|_| None);
        let is_alive = [false; SEATS];
        World { tx, receivers, is_alive, ring, place, sent: Vec::new(), stamps: 0, _block: block }
    }

    fn next(&self) -> u64 {
        self.place + self.sent.len() as u64
    }

    /// Sends a message if there is room; forgets dead receivers that are in the way.
    fn send(tx: &mut Producer, is_alive: &[bool; SEATS], number: u64) -> bool {
        loop {
            if tx.has_room() || tx.refresh(number & 1 == 0).unwrap() || tx.refresh(true).unwrap() {
                write(tx.slot(), number);
                tx.publish();
                return true;
            }
            match tx.blocker() {
                Some(slowest) if !is_alive[usize::from(slowest.seat)] => {
                    tx.ring().forget_dead(slowest);
                }
                _ => return false,
            }
        }
    }

    /// Returns whether a living receiver is a whole ring behind.
    fn is_held_up(&self) -> bool {
        let behind = |rx: &Consumer| self.next() - rx.position() >= self.ring.capacity();
        self.receivers.iter().flatten().any(behind)
    }

    fn start(&self, seat: u8, start: u8) -> Start {
        match start {
            0..64 => Start::Oldest,
            64..128 => Start::Next,
            // As a receiver with the label of the last one.
            128..192 => Start::Position(self.ring.head_of(seat)),
            far => Start::Position((self.next() + 4).saturating_sub(u64::from(far - 192))),
        }
    }

    fn join(&mut self, seat: u8, start: u8, dies_at: Option<u32>) {
        let n = usize::from(seat);
        if self.is_alive[n] {
            return;
        }
        (self.is_alive[n], self.stamps) = (true, self.stamps + 1);
        let (start, head) = (self.start(seat, start), self.ring.head_of(seat));
        let (ring, stamp) = (self.ring, self.stamps);
        let joined =
            crash_at(dies_at.unwrap_or(u32::MAX - 1), || ring.join(seat, stamp, start, || {}));
        if start == Start::Position(head) && head <= self.next() {
            assert!(ring.head_of(seat) >= head, "it moves the head of a dead one back");
        }
        let Some(joined) = joined else {
            self.is_alive[n] = false;
            return;
        };
        let (mut rx, next, capacity) = (joined.unwrap(), self.next(), ring.capacity());
        let (first, kept) = (rx.position(), capacity - (capacity / 2).max(1));
        let oldest = next - kept.min(next);
        assert!(first <= next && first + capacity >= next);
        match start {
            Start::Oldest => assert!(first <= oldest),
            Start::Next => assert_eq!((first, rx.take_missed()), (next, 0)),
            Start::Position(wanted) => {
                assert!(first == wanted.min(next) || (first > wanted && first <= oldest));
                assert_eq!(rx.take_missed(), first.saturating_sub(wanted));
            }
        }
        match dies_at {
            // It dies after the last step.
            Some(_) => self.is_alive[n] = false,
            None => self.receivers[n] = Some(rx),
        }
    }

    fn receive(&mut self, seat: u8, most: u8, batch: bool) {
        let (place, next) = (self.place, self.next());
        let Some(rx) = &mut self.receivers[usize::from(seat)] else { return };
        let first = rx.position();
        let expected: Vec<u64> = (first..next)
            .take(most.into())
            // What was sent before the first event has no contents.
            .map(|n| if n < place { 0 } else { self.sent[(n - place) as usize] })
            .collect();
        let mut got = Vec::new();
        if batch {
            rx.take_while(most.into(), |slot| {
                got.push(read(slot));
                true
            });
            if rx.acknowledge_passed() {
                rx.publish_credit();
            }
        } else {
            for _ in 0..most {
                assert_eq!(rx.is_ready(), Ok(rx.has_message()));
                if !rx.has_message() {
                    // As a receiver that finds nothing.
                    rx.publish_credit();
                    break;
                }
                got.push(read(rx.slot()));
                if rx.acknowledge() {
                    rx.publish_credit();
                }
            }
        }
        assert_eq!(got, expected);
        assert_eq!(self.ring.head_of(seat), first + got.len() as u64);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Send(messages) => {
                for _ in 0..messages {
                    let number = 1 + self.next();
                    let sent = World::send(&mut self.tx, &self.is_alive, number);
                    assert_eq!(sent, !self.is_held_up());
                    if sent {
                        self.sent.push(number);
                    }
                }
            }
            Event::SenderDies(step) => {
                let number = 1 + self.next();
                let done = crash_at(step, || {
                    let sent = World::send(&mut self.tx, &self.is_alive, number);
                    let _ = Producer::new(self.ring).unwrap();
                    sent
                });
                self.tx = Producer::new(self.ring).expect("no corruption");
                let sent = self.tx.position() - self.next();
                assert!(sent <= 1 && done.is_none_or(|done| u64::from(done) == sent));
                self.sent.extend((sent == 1).then_some(number));
            }
            Event::Join(seat, start) => self.join(seat, start, None),
            Event::JoinDies(seat, start, step) => self.join(seat, start, Some(step)),
            Event::Receive(seat, most, batch) => self.receive(seat, most, batch),
            Event::Dies(seat, step) => {
                let n = usize::from(seat);
                if let Some(mut rx) = self.receivers[n].take() {
                    let before = rx.position();
                    crash_at(step, || {
                        if rx.has_message() {
                            read(rx.slot());
                            rx.acknowledge();
                            rx.publish_credit();
                        }
                    });
                    self.is_alive[n] = false;
                    assert!(self.ring.head_of(seat) - before <= 1);
                }
            }
            Event::Leave(seat) => {
                let n = usize::from(seat);
                if let Some(mut rx) = self.receivers[n].take() {
                    rx.publish_credit();
                    self.ring.leave(seat);
                    self.is_alive[n] = false;
                }
            }
        }
    }
}

#[test]
fn a_broadcast_ring_is_a_queue_for_each_receiver() {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if set { ProptestConfig::default().cases } else { 1000 };
    let config = ProptestConfig { cases, source_file: Some(file!()), ..Default::default() };
    // Positions do not wrap in a broadcast channel.
    let input = (0..6u32, 0..3usize, vec(any_event(), 1..150));
    let tried =
        proptest::test_runner::TestRunner::new(config).run(&input, |(log, place, events)| {
            let capacity = 1usize << log;
            let mut world = World::new(capacity, places(capacity)[place]);
            events.into_iter().for_each(|event| world.handle(event));
            Ok(())
        });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

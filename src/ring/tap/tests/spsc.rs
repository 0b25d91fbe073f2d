//! Taps of an SPSC ring, in one thread.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Checked;
use crate::flavor::Flavor;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, write};

/// A ring, its members, and what was sent.
struct Channel {
    tx: Producer,
    rx: Consumer,
    sent: BTreeMap<u64, u64>,
    /// The first position.
    place: u64,
    /// Declared last: the ends refer to it.
    block: HeapRing,
}

impl Channel {
    fn at(capacity: usize, position: u64) -> Channel {
        let block = HeapRing::at(capacity, position);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let (tx, rx) = (Producer::new(ring).unwrap(), Consumer::new(ring));
        Channel { tx, rx, sent: BTreeMap::new(), place: position, block }
    }

    fn has_room(&mut self, exact: bool) -> bool {
        self.tx.has_room() || self.tx.refresh(exact).unwrap()
    }

    fn send(&mut self, exact: bool) {
        if self.has_room(exact) {
            let position = self.tx.position();
            write(self.tx.slot(), !position);
            self.tx.publish();
            self.sent.insert(position, !position);
        }
    }

    /// Writes a message and does not publish it.
    fn drop_loan(&mut self) {
        if self.has_room(true) {
            write(self.tx.slot(), 0xbad);
        }
    }

    fn receive(&mut self) {
        if self.rx.has_message() && self.rx.acknowledge() {
            self.rx.publish_credit();
        }
    }

    fn event(&mut self, event: u8) {
        match event % 8 {
            0..=2 => self.send(event & 8 != 0),
            3 => self.drop_loan(),
            4..=6 => self.receive(),
            // A successor, which finds the end of what was published.
            _ => self.tx = Producer::new(*self.tx.ring()).unwrap(),
        }
    }

    fn tap(&self, oldest: bool) -> Checked {
        // SAFETY: the block is dropped last, and no test keeps a tap longer.
        let ring = unsafe { self.block.ring() };
        let start = match oldest {
            true => ring.tap_from_oldest(Flavor::Spsc),
            false => ring.tap_from_now(Flavor::Spsc),
        };
        Checked::new(ring, Flavor::Spsc, start, self.place)
    }
}

fn any_events(capacity: usize, place: u64, events: &[u8]) {
    let mut channel = Channel::at(capacity, place);
    let mut tap = channel.tap(true);
    let mut events = events.iter();
    while let Some(event) = events.next() {
        match event % 8 {
            6 => {
                // Up to a lap and more passes during the copy.
                let inside: Vec<u8> =
                    events.by_ref().take(usize::from(event >> 3)).copied().collect();
                let found =
                    tap.copy_beside(|| inside.iter().for_each(|event| channel.event(*event)));
                tap.check(found, &channel.sent);
            }
            7 if event & 8 == 0 => {
                tap.check_counts(&channel.sent);
                tap = channel.tap(event & 16 != 0);
            }
            _ => channel.event(*event),
        }
    }
    // What is not acknowledged can always be read.
    let head = channel.rx.position();
    let mut late = channel.tap(true);
    while late.look(&channel.sent) {}
    assert_eq!(late.tap.counts().missed, 0);
    assert!(late.start <= head, "{} is behind {head}", late.start);
    assert_eq!(late.tap.position(), channel.tx.position());
}

proptest! {
    #[test]
    fn any_events_of_a_tapped_ring(
        (log, place) in (0..9u32, prop_oneof![Just(0u64), 0..3000u64]),
        events in vec(any::<u8>(), 1..600),
    ) {
        any_events(1 << log, place, &events);
    }
}

#[test]
fn received_messages_can_be_read() {
    // Slots of 24 bytes: runs of 42.
    for (capacity, sent, readable) in
        [(256, 100, 100), (256, 256, 214), (256, 1000, 232), (32, 10, 10), (32, 32, 0), (1, 1, 0)]
    {
        let mut channel = Channel::at(capacity, 0);
        for _ in 0..sent {
            channel.send(true);
            channel.receive();
        }
        channel.tx.publish_tail();
        let mut tap = channel.tap(true);
        while tap.look(&channel.sent) {}
        let counts = tap.tap.counts();
        let figures = (counts.seen, counts.missed, tap.tap.position());
        assert_eq!(figures, (readable, 0, sent), "{sent} in {capacity}");
    }
}

#[test]
fn an_overtaken_tap_continues_and_counts() {
    let mut channel = Channel::at(256, 0);
    let mut tap = channel.tap(false);
    for round in 1..=20 {
        for _ in 0..500 {
            channel.send(true);
            channel.receive();
        }
        while tap.look(&channel.sent) {}
        let counts = tap.tap.counts();
        assert_eq!(tap.tap.position(), 500 * round);
        assert!(counts.seen >= 140 * round && counts.missed >= 280 * round, "{counts:?}");
    }
}

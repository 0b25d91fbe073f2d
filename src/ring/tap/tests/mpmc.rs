//! Taps of an MPMC ring, in one thread.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Checked, Counts};
use crate::flavor::Flavor;
use crate::ring::mpmc::{Claim, Consumer, Held, Next, Producer, Room};
use crate::ring::testing::{HeapRing, write};
use crate::ring::{Corrupt, Ring};

const MEMBERS: u8 = 2;

/// A ring, its members, what they have in flight, and what was sent.
struct Channel {
    senders: Vec<Producer>,
    receivers: Vec<Consumer>,
    claims: Vec<(usize, Claim)>,
    held: Vec<(usize, Held)>,
    sent: BTreeMap<u64, u64>,
    /// The first position.
    place: u64,
    ring: Ring,
    /// Declared last: the ends refer to it.
    _block: HeapRing,
}

fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

impl Channel {
    fn at(capacity: usize, position: u64) -> Channel {
        let block = HeapRing::of_many_at(capacity, position);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let senders = (0..MEMBERS).map(|seat| Producer::new(ring, seat)).collect();
        let receivers = (0..MEMBERS).map(|seat| Consumer::new(ring, MEMBERS + seat)).collect();
        let (claims, held, sent) = (Vec::new(), Vec::new(), BTreeMap::new());
        Channel { senders, receivers, claims, held, sent, place: position, ring, _block: block }
    }

    fn claim(&mut self, by: usize) {
        if let Room::Claimed(claim) = self.senders[by].claim(alive).unwrap() {
            write(self.senders[by].slot(&claim), 0xbad);
            self.claims.push((by, claim));
        }
    }

    fn publish(&mut self, which: usize) {
        if !self.claims.is_empty() {
            let (by, claim) = self.claims.remove(which % self.claims.len());
            let position = claim.position();
            write(self.senders[by].slot(&claim), !position);
            assert!(self.senders[by].publish(claim));
            assert_eq!(self.sent.insert(position, !position), None);
        }
    }

    fn abandon(&mut self, which: usize) {
        if !self.claims.is_empty() {
            let (by, claim) = self.claims.remove(which % self.claims.len());
            assert!(self.senders[by].abandon(claim));
        }
    }

    fn take(&mut self, by: usize) {
        if let Next::Message(held) = self.receivers[by].take(alive).unwrap() {
            self.held.push((by, held));
        } else if let Some(held) = self.receivers[by].take_over(31, alive).unwrap() {
            self.held.push((by, held));
        }
    }

    fn let_go(&mut self, which: usize, acknowledge: bool) {
        if !self.held.is_empty() {
            let (by, held) = self.held.remove(which % self.held.len());
            match acknowledge {
                true => assert!(self.receivers[by].acknowledge(&held)),
                false => assert!(self.receivers[by].release(&held)),
            }
        }
    }

    fn event(&mut self, event: u8) {
        let (by, which) = (usize::from(event >> 4) % 2, usize::from(event >> 4));
        match event % 16 {
            0..=2 => self.claim(by),
            3..=5 => self.publish(which),
            6 => self.abandon(which),
            7..=9 => self.take(by),
            _ => self.let_go(which, event % 16 != 12),
        }
    }

    fn tap(&self, oldest: bool) -> Checked {
        let start = match oldest {
            true => self.ring.tap_from_oldest(Flavor::Mpmc),
            false => self.ring.tap_from_now(Flavor::Mpmc),
        };
        Checked::new(self.ring, Flavor::Mpmc, start, self.place)
    }
}

fn any_events(capacity: usize, place: u64, events: &[u8]) {
    let mut channel = Channel::at(capacity, place);
    let mut tap = channel.tap(false);
    let mut events = events.iter();
    while let Some(event) = events.next() {
        match event % 16 {
            13..=14 => {
                // Up to a lap and more passes during the copy.
                let inside: Vec<u8> =
                    events.by_ref().take(usize::from(event >> 3)).copied().collect();
                let found =
                    tap.copy_beside(|| inside.iter().for_each(|event| channel.event(*event)));
                tap.check(found, &channel.sent);
            }
            15 => {
                tap.check_counts(&channel.sent);
                tap = channel.tap(event & 16 == 0);
            }
            _ => channel.event(*event),
        }
    }
    // Once everything is sent, every message is seen that is not overwritten.
    while !channel.claims.is_empty() {
        channel.publish(0);
    }
    let mut late = channel.tap(true);
    while late.look(&channel.sent) {}
    let last = channel.sent.keys().next_back().copied();
    assert!(last.is_none_or(|last| late.tap.position() > last), "it stopped before {last:?}");
    assert_eq!(late.tap.counts().missed, 0);
    let newest = channel.sent.range(late.start..).count() as u64;
    assert_eq!(late.tap.counts().seen, newest);
}

proptest! {
    #[test]
    fn any_events_of_a_tapped_ring(
        (log, place) in (0..6u32, prop_oneof![Just(0u64), 0..3000u64]),
        events in vec(any::<u8>(), 1..800),
    ) {
        any_events(1 << log, place, &events);
    }
}

fn pass(channel: &mut Channel) {
    channel.claim(0);
    channel.publish(0);
    channel.take(0);
    channel.let_go(0, true);
}

#[test]
fn received_messages_can_be_read() {
    for (capacity, sent, readable) in
        [(256, 100, 100), (256, 256, 256), (256, 1000, 256), (1, 5, 1)]
    {
        let mut channel = Channel::at(capacity, 0);
        (0..sent).for_each(|_| pass(&mut channel));
        let mut tap = channel.tap(true);
        while tap.look(&channel.sent) {}
        let counts = tap.tap.counts();
        assert_eq!((counts.seen, counts.missed, tap.tap.position()), (readable, 0, sent));
    }
}

/// A SKIP is passed over only when a message is behind it.
#[test]
fn an_abandoned_position_is_waited_for_and_passed() {
    let mut channel = Channel::at(8, 0);
    let mut tap = channel.tap(false);
    channel.claim(0);
    channel.abandon(0);
    assert!(!tap.look(&channel.sent) && tap.tap.position() == 0);
    // Claimed again.
    channel.claim(1);
    channel.publish(0);
    assert!(tap.look(&channel.sent) && tap.tap.position() == 1);
    [0, 1, 0].into_iter().for_each(|by| channel.claim(by));
    channel.abandon(0);
    assert!(!tap.look(&channel.sent) && tap.tap.position() == 1, "the next one is being written");
    channel.publish(1);
    assert!(!tap.look(&channel.sent), "the one between is being written");
    channel.abandon(0);
    assert!(tap.look(&channel.sent));
    assert_eq!((tap.tap.position(), tap.tap.counts().unsent), (4, 2));
}

/// A message that is held for several laps is found at its own position, and at no other one.
#[test]
fn a_held_message_is_found_at_its_position() {
    let mut channel = Channel::at(4, 0);
    channel.claim(0);
    channel.publish(0);
    channel.take(0);
    let mut early = channel.tap(true);
    for _ in 0..8 {
        channel.claim(1);
        channel.publish(0);
        channel.take(1);
        channel.let_go(1, true);
    }
    assert!(early.look(&channel.sent) && early.tap.position() == 1, "it is still there");
    let mut tap = Checked::new(channel.ring, Flavor::Mpmc, 4, 0);
    // Nothing was sent at 4; 5 and 6 are overwritten.
    assert!(tap.look(&channel.sent) && tap.next == 8);
    assert_eq!(tap.tap.counts(), Counts { seen: 1, missed: 2, unsent: 1 });
    channel.let_go(0, true);
    // A sender comes to position 8 and skips it; the slot is free in the next lap.
    let mut tap = Checked::new(channel.ring, Flavor::Mpmc, 8, 0);
    channel.sent.remove(&8);
    while tap.look(&channel.sent) {}
    let counts = tap.tap.counts();
    assert_eq!((counts.unsent, counts.missed), (1, 0), "{counts:?}");
}

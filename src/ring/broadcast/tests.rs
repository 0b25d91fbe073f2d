//! The broadcast ring in one thread, over a block of the heap. What other threads see is tested by
//! `models`; sequences of any events, by `properties`.

use super::Start;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, SEATS, read, write};
use crate::ring::{Corrupt, Ring};
use crate::sync::Ordering::Relaxed;
use crate::sync::crash_point::crash_at;

/// Capacities to try.
const CAPACITIES: [usize; 5] = [1, 2, 4, 8, 16];

/// A ring and its sender.
struct Channel {
    tx: Producer,
    ring: Ring,
    /// Declared last: the others refer to it.
    _block: HeapRing,
}

impl Channel {
    fn new(capacity: usize) -> Channel {
        let block = HeapRing::of_broadcast(capacity);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        Channel { tx: Producer::new(ring).expect("no corruption"), ring, _block: block }
    }

    /// Sends its position if there is room.
    fn send(&mut self) -> Result<bool, Corrupt> {
        let room = self.tx.has_room() || self.tx.refresh(true)?;
        if room {
            write(self.tx.slot(), self.tx.position());
            self.tx.publish();
        }
        Ok(room)
    }

    fn send_many(&mut self, messages: u64) {
        (0..messages).for_each(|n| assert_eq!(self.send(), Ok(true), "{n}"));
    }

    fn join(&self, seat: u8, start: Start) -> Consumer {
        self.ring.join(seat, u64::from(seat) + 1, start, || {}).expect("no corruption")
    }
}

/// Receives a message if there is one.
fn receive(rx: &mut Consumer) -> Result<Option<u64>, Corrupt> {
    if !rx.is_ready()? {
        return Ok(None);
    }
    let number = read(rx.slot());
    if rx.acknowledge() {
        rx.publish_credit();
    }
    Ok(Some(number))
}

#[test]
fn every_receiver_gets_every_message() {
    for capacity in CAPACITIES {
        let mut channel = Channel::new(capacity);
        let mut all = [1, 2, 3].map(|seat| channel.join(seat, Start::Oldest));
        for number in 0..4 * capacity as u64 {
            assert_eq!(channel.send(), Ok(true));
            for rx in &mut all {
                assert_eq!(receive(rx), Ok(Some(number)));
                assert_eq!(receive(rx), Ok(None));
            }
        }
    }
}

#[test]
fn the_slowest_receiver_is_waited_for() {
    for capacity in CAPACITIES {
        let mut channel = Channel::new(capacity);
        let [mut fast, mut slow] = [1, 2].map(|seat| channel.join(seat, Start::Oldest));
        channel.send_many(capacity as u64);
        while receive(&mut fast) != Ok(None) {}
        assert_eq!((channel.send(), channel.tx.room()), (Ok(false), 0));
        assert_eq!(channel.tx.blocker().map(|one| (one.seat, one.position)), Some((2, 0)));
        assert_eq!(
            (channel.ring.depth(), channel.tx.unacknowledged()),
            (capacity as u64, capacity as u64)
        );
        assert_eq!(receive(&mut slow), Ok(Some(0)));
        assert_eq!((channel.send(), channel.send()), (Ok(true), Ok(false)));
        channel.ring.leave(2);
        assert_eq!(channel.send(), Ok(capacity > 1));
    }
}

#[test]
fn a_sender_without_receivers_goes_on() {
    for capacity in CAPACITIES {
        let mut channel = Channel::new(capacity);
        channel.send_many(5 * capacity as u64);
        assert!(channel.tx.is_drained() && channel.tx.blocker().is_none());
        assert_eq!(channel.ring.depth(), 0);
    }
}

#[test]
fn a_dead_receiver_is_forgotten_but_no_successor() {
    let mut channel = Channel::new(2);
    let _dead = channel.join(1, Start::Oldest);
    channel.send_many(2);
    let dead = channel.tx.blocker().expect("a dead one");
    let mut successor = channel.ring.join(1, 77, Start::Oldest, || {}).expect("a seat");
    channel.ring.forget_dead(dead);
    assert_eq!(channel.send(), Ok(false), "the successor is waited for");
    assert_eq!(receive(&mut successor), Ok(Some(0)));
    assert_eq!(channel.send(), Ok(true));
    channel.ring.forget_dead(channel.tx.blocker().expect("the successor, dead as well"));
    assert_eq!(channel.send(), Ok(true));
}

/// A receiver that is joining may show too low a head. What the sender may write already stays granted:
/// another receiver must not begin there.
#[test]
fn a_grant_does_not_go_back() {
    let mut channel = Channel::new(8);
    channel.send_many(8);
    let granted = || channel.ring.header().credit.0.load(Relaxed);
    assert_eq!((channel.tx.refresh(true), granted()), (Ok(true), 12));
    let _joining = channel.join(1, Start::Next);
    channel.ring.progress()[1].head.0.store(1, Relaxed);
    assert_eq!((channel.tx.refresh(true), granted()), (Ok(true), 12));
    assert_eq!(channel.join(2, Start::Oldest).position(), 4);
}

/// At least half of the ring is still there.
#[test]
fn a_late_receiver_starts_where_it_wants() {
    for capacity in CAPACITIES {
        for sent in 0..4 * capacity as u64 {
            let mut channel = Channel::new(capacity);
            channel.send_many(sent);
            let oldest = channel.join(1, Start::Oldest).position();
            let kept = capacity as u64 - (capacity as u64 / 2).max(1);
            assert!(sent - oldest >= kept.min(sent) && sent - oldest <= capacity as u64);
            assert_eq!(channel.join(1, Start::Next).position(), sent);
            for wanted in 0..=sent + 2 {
                let mut rx = channel.join(1, Start::Position(wanted));
                assert_eq!(rx.position(), wanted.clamp(oldest, sent));
                assert_eq!(channel.ring.head_of(1), rx.position());
                assert_eq!(rx.has_missed(), wanted < oldest);
                assert_eq!(rx.take_missed(), oldest.saturating_sub(wanted));
                assert_eq!(rx.take_missed(), 0);
                let next = (rx.position() < sent).then_some(rx.position());
                assert_eq!(receive(&mut rx), Ok(next));
            }
        }
    }
}

/// A receiver that continues for another one never shows a head before its first position: if it dies
/// while it joins, the next one would receive messages again.
#[test]
fn a_successor_that_dies_while_it_joins_moves_no_head_back() {
    for step in 0.. {
        let mut channel = Channel::new(8);
        let mut first = channel.join(1, Start::Oldest);
        channel.send_many(6);
        (0..5).for_each(|_| assert!(receive(&mut first).is_ok()));
        let ring = channel.ring;
        let done = crash_at(step, || {
            ring.join(1, 99, Start::Position(ring.head_of(1)), || {}).expect("a seat").position()
        });
        assert_eq!(ring.head_of(1), 5, "step {step}");
        if done.is_some() {
            assert_eq!(done, Some(5));
            break;
        }
        // Whether it is named or not, another receiver is not held up by it once it is forgotten.
        channel.ring.receivers(true).for_each(|receiver| ring.forget_dead(receiver));
        channel.send_many(20);
    }
}

/// A sender that dies at any step of a look leaves a grant with which receivers join.
#[test]
fn a_successor_of_a_sender_goes_on_after_any_step() {
    for capacity in CAPACITIES {
        for step in 0.. {
            let mut channel = Channel::new(capacity);
            channel.send_many(3 * capacity as u64);
            let mut rx = channel.join(1, Start::Next);
            let from = channel.tx.position();
            let (ring, mut tx) = (channel.ring, channel.tx);
            let done = crash_at(step, || {
                if tx.has_room() || tx.refresh(true).expect("no corruption") {
                    write(tx.slot(), tx.position());
                    tx.publish();
                }
            });
            channel.tx = Producer::new(ring).expect("no corruption");
            let sent = channel.tx.position() - from;
            assert!(sent == 1 || sent == 0 && done.is_none());
            let late = channel.join(2, Start::Oldest).position();
            assert!(late + capacity as u64 >= channel.tx.position() && late <= from + sent);
            channel.ring.leave(2);
            channel.send_many(capacity as u64 - sent);
            assert_eq!(channel.send(), Ok(false));
            (from..from + capacity as u64).for_each(|n| assert_eq!(receive(&mut rx), Ok(Some(n))));
            if done.is_some() {
                break;
            }
        }
    }
}

/// An observer's tail may be older than a head: that receiver is not the slowest.
#[test]
fn a_receiver_ahead_of_an_observers_tail_hides_no_slower_one() {
    let mut channel = Channel::new(8);
    let _slow = channel.join(1, Start::Oldest);
    let _fast = channel.join(2, Start::Oldest);
    channel.send_many(4);
    channel.ring.progress()[2].head.0.store(6, Relaxed);
    assert_eq!((channel.ring.slowest_head(), channel.ring.depth()), (Some(0), 4));
}

#[test]
fn a_seat_that_does_not_exist_is_refused() {
    let channel = Channel::new(2);
    for seat in [SEATS as u8, 100, u8::MAX] {
        channel.ring.join(seat, 1, Start::Oldest, || {}).unwrap_err();
        channel.ring.leave(seat);
        assert_eq!(channel.ring.head_of(seat), 0);
    }
}

/// Values where arithmetic could go wrong, around a position.
fn around(position: u64, capacity: u64) -> Vec<u64> {
    let near = [0, 1, capacity - 1, capacity, capacity + 1, 2 * capacity, 1 << 40, 1 << 63];
    let far = [0, 1, u64::MAX, u64::MAX - capacity, u64::MAX / 2, u64::MAX / 2 + 1];
    let near = near.iter().flat_map(|&n| [position.wrapping_add(n), position.wrapping_sub(n)]);
    near.chain(far).collect()
}

#[test]
fn an_acknowledgement_of_the_unsent_is_corruption() {
    for capacity in CAPACITIES {
        for ahead in [1, 1 << 40, u64::MAX / 2] {
            let mut channel = Channel::new(capacity);
            let _rx = [1, 2].map(|seat| channel.join(seat, Start::Oldest));
            channel.send_many(capacity as u64);
            let record = &channel.ring.progress()[2];
            record.head.0.store(capacity as u64 + ahead, Relaxed);
            channel.tx.refresh(true).unwrap_err();
            // Credit proves nothing, and adds no room.
            record.head.0.store(0, Relaxed);
            record.shown.credit.store(capacity as u64 + ahead, Relaxed);
            assert_eq!(channel.tx.refresh(false), Ok(false));
        }
    }
}

/// A receiver does not join where no honest sender can have written.
#[test]
fn a_grant_beyond_the_ring_is_corruption() {
    for capacity in CAPACITIES {
        let mut channel = Channel::new(capacity);
        channel.send_many(3 * capacity as u64);
        let (granted, run) = (&channel.ring.header().credit.0, channel.ring.run());
        let far = channel.tx.position() + capacity as u64 + run;
        for start in [Start::Oldest, Start::Next, Start::Position(0), Start::Position(u64::MAX)] {
            for wrong in [far + 1, 1 << 40, u64::MAX / 2, u64::MAX] {
                granted.store(wrong, Relaxed);
                channel.ring.join(1, 5, start, || {}).unwrap_err();
                assert_eq!(channel.ring.receivers(true).count(), 0, "nobody waits for it");
            }
        }
        // The sender itself does not depend on it.
        channel.send_many(2 * capacity as u64);
    }
}

/// Whatever the words of the sender and of a receiver are: nothing panics, and nothing is written or
/// read outside of the ring.
#[test]
fn any_words_are_corruption_or_no_progress() {
    for capacity in [1, 2, 8] {
        let position = 3 * capacity as u64;
        let values = around(position, capacity as u64);
        for &granted in &values {
            for &head in &values {
                for (credit, holder, tail) in
                    [(head, 2, position), (u64::MAX, u64::MAX, head), (0, 0, granted)]
                {
                    let mut channel = Channel::new(capacity);
                    channel.send_many(position);
                    let mut rx = channel.join(1, Start::Oldest);
                    let (record, header) = (&channel.ring.progress()[1], channel.ring.header());
                    header.credit.0.store(granted, Relaxed);
                    header.tail.0.store(tail, Relaxed);
                    record.head.0.store(head, Relaxed);
                    record.shown.credit.store(credit, Relaxed);
                    record.shown.holder.store(holder, Relaxed);
                    let (ring, tx) = (channel.ring, &mut channel.tx);
                    let cap = capacity as u64;
                    assert!(ring.depth() <= cap && tx.unacknowledged() <= cap && tx.room() <= cap);
                    let _ = (tx.slowest_awaited(), tx.blocker(), tx.is_drained());
                    let _ = (ring.head_of(1), ring.oldest(), rx.has_more_than(1));
                    for exact in [false, true, false] {
                        if tx.refresh(exact) == Ok(true) {
                            write(tx.slot(), 1);
                            tx.publish();
                        }
                    }
                    if rx.is_ready() == Ok(true) {
                        read(rx.slot());
                        rx.acknowledge();
                    }
                    for start in [Start::Oldest, Start::Next, Start::Position(head)] {
                        if let Ok(mut late) = ring.join(2, 9, start, || {}) {
                            late.take_missed();
                            if late.is_ready() == Ok(true) {
                                read(late.slot());
                                late.acknowledge();
                            }
                            late.publish_credit();
                        }
                    }
                    if let Ok(mut successor) = Producer::new(ring) {
                        let _ = successor.refresh(true);
                        assert!(successor.room() <= cap);
                    }
                }
            }
        }
    }
}

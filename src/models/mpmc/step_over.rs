//! Stepping over a slot that is held for longer than a lap, next to everything else that may happen
//! to that slot: is the message neither lost nor doubled, and no slot lost to the ring?
//!
//! No thread waits. A ring of two slots: one message is held from the start, the other slot is
//! free, a lap further than the held one.

use std::sync::Arc;

use crate::liveness::Seat;
use crate::models::harness::{Fixture, Job, all_of, check, check_deaths, together};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Held, Next, Producer, Room};
use crate::ring::testing::{read, write};
use crate::role::Side;
use crate::sync::crash_point::crash_at;

/// The seats of the receiver that holds the message, of another receiver, and of two senders.
const HOLDER: u8 = 0;
const OTHER: u8 = 1;
const SENDER: u8 = 2;
const SECOND: u8 = 3;

const ALL: u8 = u8::MAX;

fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// The liveness check of a member that asks the kernel.
fn verdict(fixture: &Fixture) -> impl Fn(u8) -> Result<bool, Corrupt> {
    |seat| Ok(!fixture.kernel.is_taken(seat))
}

/// Sends its position, if there is room.
fn send(producer: &Producer) -> Option<u64> {
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { return None };
    let position = claim.position();
    write(producer.slot(&claim), position);
    assert!(producer.publish(claim), "evicted");
    Some(position)
}

fn take(consumer: &Consumer) -> Option<Held> {
    let Next::Message(held) = consumer.take(alive).unwrap() else { return None };
    assert_eq!(read(consumer.slot(&held)), held.position());
    Some(held)
}

/// Reads the message once more, which nobody may have overwritten, and acknowledges it.
fn acknowledge(consumer: &Consumer, held: &Held) -> u64 {
    assert_eq!(read(consumer.slot(held)), held.position(), "overwritten in its slot");
    assert!(consumer.acknowledge(held), "evicted");
    held.position()
}

fn receive(consumer: &Consumer) -> Option<u64> {
    take(consumer).map(|held| acknowledge(consumer, &held))
}

/// A ring with the first message in the hands of the holder, and the second one acknowledged.
fn one_held() -> (Arc<Fixture>, Consumer, Held) {
    let fixture = Fixture::new(2);
    for (number, side) in [
        (HOLDER, Side::Receivers),
        (OTHER, Side::Receivers),
        (SENDER, Side::Senders),
        (SECOND, Side::Senders),
    ] {
        fixture.kernel.take_seat(Seat { number, side });
    }
    let producer = Producer::new(fixture.ring(), SENDER);
    let consumer = Consumer::new(fixture.ring(), HOLDER);
    assert_eq!([send(&producer), send(&producer)], [Some(0), Some(1)]);
    let held = take(&consumer).expect("a message");
    assert_eq!((held.position(), receive(&consumer)), (0, Some(1)));
    (fixture, consumer, held)
}

/// At the end: what was sent and not yet received comes once, in order, and both slots are usable.
fn finish(fixture: &Fixture, sent: &[u64], received: &[u64]) {
    let consumer = Consumer::new(fixture.ring(), OTHER);
    let rest: Vec<u64> = std::iter::from_fn(|| receive(&consumer)).collect();
    assert!(rest.is_sorted(), "out of order: {rest:?}");
    let mut all = [received, &rest].concat();
    let mut sent = sent.to_vec();
    all.sort_unstable();
    sent.sort_unstable();
    assert_eq!(all, sent, "received, sent");
    assert_eq!(fixture.ring().count_messages(), 0);
    let producer = Producer::new(fixture.ring(), SECOND);
    assert!((0..2).all(|_| send(&producer).is_some()), "a slot is lost");
}

/// The holder acknowledges, while so many senders send.
fn acknowledged(senders: &[u8]) {
    let (fixture, consumer, held) = one_held();
    let mut jobs: Vec<Job<Option<u64>>> = Vec::new();
    for &seat in senders {
        let producer = Producer::new(fixture.ring(), seat);
        let beside = fixture.clone();
        jobs.push(Box::new(move || {
            let _scene = beside;
            send(&producer)
        }));
    }
    let beside = fixture.clone();
    jobs.push(Box::new(move || {
        let _scene = beside;
        acknowledge(&consumer, &held);
        None
    }));
    let sent: Vec<u64> = all_of(jobs).into_iter().flatten().collect();
    assert!(!sent.is_empty(), "there was room all the time");
    finish(&fixture, &sent, &[]);
}

/// The holder returns the message, while a sender sends; then another receiver gets it.
fn returned() {
    let (fixture, consumer, held) = one_held();
    let before = fixture.ring().orphaned();
    let (beside, producer) = (fixture.clone(), Producer::new(fixture.ring(), SENDER));
    let returns = move || {
        let _scene = beside;
        assert!(consumer.release(&held), "evicted");
    };
    let (sent, ()) = together(move || send(&producer), returns);
    assert_ne!(fixture.ring().orphaned(), before, "no receiver would search for it");
    let heir = Consumer::new(fixture.ring(), OTHER);
    let found = heir.take_over(ALL, alive).unwrap().expect("the message that was returned");
    assert_eq!((found.deliveries(), acknowledge(&heir, &found)), (2, 0));
    finish(&fixture, &[sent.expect("room")], &[]);
}

/// The holder died. Another receiver takes the message over, while a sender sends, which may ask
/// the kernel, too.
fn taken_over(asks: bool) {
    let (fixture, ..) = one_held();
    fixture.kernel.member_died(HOLDER);
    let (beside, producer) = (fixture.clone(), Producer::new(fixture.ring(), SENDER));
    let sends = move || {
        let room = match asks {
            true => producer.claim(verdict(&beside)).unwrap(),
            false => producer.claim(alive).unwrap(),
        };
        let Room::Claimed(claim) = room else { panic!("no room") };
        let position = claim.position();
        write(producer.slot(&claim), position);
        assert!(producer.publish(claim), "evicted");
        position
    };
    let (heir, beside) = (Consumer::new(fixture.ring(), OTHER), fixture.clone());
    let inherits = move || {
        let found = heir.take_over(ALL, verdict(&beside)).unwrap();
        let found = found.expect("the message of the dead receiver");
        assert_eq!((found.deliveries(), acknowledge(&heir, &found)), (2, 0));
    };
    let (sent, ()) = together(sends, inherits);
    finish(&fixture, &[sent], &[]);
}

/// The holder died, and another member takes its seat, while a sender sends.
fn seat_taken() {
    let (fixture, ..) = one_held();
    fixture.kernel.member_died(HOLDER);
    let (beside, producer) = (fixture.clone(), Producer::new(fixture.ring(), SENDER));
    let successor = move || {
        beside.kernel.take_seat(Seat { number: HOLDER, side: Side::Receivers });
        let before = beside.ring().orphaned();
        assert!(beside.ring().release_slots_of(HOLDER).orphans, "it still owns the slot");
        assert_ne!(beside.ring().orphaned(), before, "no receiver would search for it");
    };
    let (sent, ()) = together(move || send(&producer), successor);
    // By its owner, not by the kernel: the seat has a living holder.
    let heir = Consumer::new(fixture.ring(), OTHER);
    let found = heir.take_over(ALL, alive).unwrap().expect("the message of the dead receiver");
    assert_eq!((found.deliveries(), acknowledge(&heir, &found)), (2, 0));
    finish(&fixture, &[sent.expect("room")], &[]);
}

/// A sender may be stopped before it notes the origin of the held message, for so long that a later
/// message is held in the slot and was stepped over, too.
fn late_origin() {
    let (fixture, consumer, held) = one_held();
    let (beside, late) = (fixture.clone(), Producer::new(fixture.ring(), SECOND));
    let other = move || {
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        acknowledge(&consumer, &held);
        let producer = Producer::new(beside.ring(), SENDER);
        sent.extend(send(&producer));
        let held = take(&consumer);
        // Now it is stepped over, if there is room.
        sent.extend(send(&producer));
        received.extend(receive(&consumer));
        sent.extend(send(&producer));
        received.extend(held.map(|held| acknowledge(&consumer, &held)));
        (sent, received)
    };
    let (sent, (mut all, received)) = together(move || send(&late), other);
    all.extend(sent);
    finish(&fixture, &all, &received);
}

/// A sender died with a claim. Another one takes its seat, and claims the position again, while a
/// receiver that found the dead one's claim makes it a SKIP.
fn claimed_again() {
    let fixture = Fixture::new(2);
    for (number, side) in [(OTHER, Side::Receivers), (SENDER, Side::Senders)] {
        fixture.kernel.take_seat(Seat { number, side });
    }
    let dying = Producer::new(fixture.ring(), SENDER);
    assert!(matches!(dying.claim(alive), Ok(Room::Claimed(_))));
    fixture.kernel.member_died(SENDER);
    let beside = fixture.clone();
    let successor = move || {
        beside.kernel.take_seat(Seat { number: SENDER, side: Side::Senders });
        beside.ring().release_slots_of(SENDER);
        send(&Producer::new(beside.ring(), SENDER)).expect("room")
    };
    let beside = fixture.clone();
    let receiver = move || {
        let consumer = Consumer::new(beside.ring(), OTHER);
        match consumer.take(verdict(&beside)).unwrap() {
            Next::Message(held) => Some(acknowledge(&consumer, &held)),
            _ => None,
        }
    };
    let (received, sent) = together(receiver, successor);
    finish(&fixture, &[sent], &received.into_iter().collect::<Vec<_>>());
}

/// One sender abandons a claim and sends, while another one sends.
fn abandoned() {
    let fixture = Fixture::new(2);
    let [lends, sends] = [SENDER, SECOND].map(|seat| Producer::new(fixture.ring(), seat));
    let [beside, other] = [(); 2].map(|()| fixture.clone());
    let lender = move || {
        let _scene = beside;
        if let Room::Claimed(claim) = lends.claim(alive).unwrap() {
            write(lends.slot(&claim), u64::MAX);
            assert!(lends.abandon(claim), "evicted");
        }
        send(&lends)
    };
    let sender = move || {
        let _scene = other;
        [send(&sends), send(&sends)]
    };
    let (one, others) = together(lender, sender);
    let mut sent: Vec<u64> = others.into_iter().flatten().collect();
    assert!(sent.is_sorted(), "a sender's messages are out of order: {sent:?}");
    sent.extend(one);
    finish(&fixture, &sent, &[]);
}

/// A sender dies at any step of stepping over and sending, while the holder acknowledges. Another
/// sender continues.
fn stepping_sender_dies(step: u32) -> bool {
    let (fixture, consumer, held) = one_held();
    let beside = fixture.clone();
    let dying = move || {
        let done = crash_at(step, || send(&Producer::new(beside.ring(), SENDER)));
        beside.kernel.member_died(SENDER);
        done
    };
    let beside = fixture.clone();
    let holder = move || {
        let _scene = beside;
        acknowledge(&consumer, &held);
    };
    let (done, ()) = together(dying, holder);
    let survivor = Producer::new(fixture.ring(), SECOND);
    let heir = Consumer::new(fixture.ring(), OTHER);
    let mut received = Vec::new();
    let mut sent: Vec<u64> = done.flatten().into_iter().collect();
    for _ in 0..2 {
        while let Next::Message(held) = heir.take(verdict(&fixture)).unwrap() {
            received.push(acknowledge(&heir, &held));
        }
        if let Room::Claimed(claim) = survivor.claim(verdict(&fixture)).unwrap() {
            sent.push(claim.position());
            write(survivor.slot(&claim), claim.position());
            assert!(survivor.publish(claim));
        }
    }
    // What the dead sender published before it could tell.
    if done.is_none() {
        sent.extend(received.iter().copied().filter(|at| !sent.contains(at)).collect::<Vec<_>>());
        assert!(sent.len() <= 3);
    }
    finish(&fixture, &sent, &received);
    done.is_none()
}

#[test]
fn a_holder_acknowledges_beside_a_stepping_sender() {
    check("stepped over and acknowledged", || acknowledged(&[SENDER]));
    check("stepped over by two and acknowledged", || acknowledged(&[SENDER, SECOND]));
}

#[test]
fn a_message_without_receiver_is_found_beside_a_stepping_sender() {
    check("stepped over and returned", returned);
    for asks in [false, true] {
        let name = format!("stepped over and taken over, the sender asks: {asks}");
        check(&name, move || taken_over(asks));
    }
    check("stepped over, and the seat is taken", seat_taken);
}

#[test]
fn an_origin_is_not_moved_back() {
    check("a late note of an origin", late_origin);
}

#[test]
fn a_position_is_claimed_again() {
    check("claimed again beside an old verdict", claimed_again);
    check("abandoned and claimed again", abandoned);
}

#[test]
fn a_stepping_sender_dies_at_every_step() {
    check_deaths("a stepping sender dies", stepping_sender_dies);
}

//! An MPMC ring and its members.

use std::collections::BTreeMap;

use sysvring_support::commands::{
    Answer, Call, Holds, Inside, No, Progress, Rules, Side, Slot, View, What, World,
};

use super::received;
use crate::ring::mpmc::{Claim, Consumer, Held, Next, Producer, Room};
use crate::ring::slot_state::{Phase, SlotState};
use crate::ring::testing::{HeapRing, read, write};
use crate::ring::{Corrupt, Ring};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::crash_point::crash_at;

/// An MPMC ring under test, with its members.
pub(super) struct Heap {
    members: BTreeMap<u32, Member>,
    seats: Vec<Seat>,
    rules: Rules,
    ring: Ring,
    /// Declared last: the ends refer to it.
    _block: HeapRing,
}

#[derive(Clone, Copy, PartialEq)]
enum Seat {
    Free,
    Taken,
    /// Its holder died.
    Inherited,
}

struct Member {
    seat: u8,
    end: End,
}

/// An end of the ring, and its messages in flight.
enum End {
    Sends(Producer, Vec<Claim>),
    Receives(Consumer, Vec<Held>),
}

impl Heap {
    pub(super) fn new(rules: Rules) -> Heap {
        let block = HeapRing::of_many_at(rules.capacity as usize, rules.place);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let seats = vec![Seat::Free; rules.seats];
        Heap { members: BTreeMap::new(), seats, rules, ring, _block: block }
    }

    /// Returns what the slot of this index holds, with positions counted from the first one.
    fn slot(&self, index: u64) -> Slot {
        let Rules { place, .. } = self.rules;
        let at = self.ring.cursor(index);
        let word = SlotState(self.ring.slot_at(&at).head.word.load(Acquire));
        // A state holds 48 bits of its lap.
        let (first, lap) = (place >> self.ring.shift, word.lap());
        let laps = (lap.wrapping_sub(first) << 16) as i64 >> 16;
        let position = first.wrapping_add(laps as u64) << self.ring.shift | index;
        let position = position.wrapping_sub(place);
        let origin = self.ring.origin(&at).expect("a table").load(Relaxed).wrapping_sub(place);
        let holds = match word.phase().expect("a phase") {
            Phase::Free => Holds::Nothing,
            Phase::Skip => Holds::Skip,
            Phase::Claimed | Phase::Full | Phase::Reading => Holds::Entry(position),
            Phase::Held => Holds::Entry(origin),
        };
        Slot::new(position, holds)
    }

    /// Returns the number of slots that a seat owns.
    fn owned_by(&self, seat: u8) -> usize {
        let words = (0..self.ring.capacity())
            .map(|index| SlotState(self.ring.slot(index).head.word.load(Acquire)));
        let owned = |word: &SlotState| {
            (word.phase() == Some(Phase::Claimed) || word.is_in_flight()) && word.owner() == seat
        };
        words.filter(owned).count()
    }
}

fn is_dead(seats: &[Seat]) -> impl Fn(u8) -> Result<bool, Corrupt> {
    |seat| Ok(seats[usize::from(seat)] != Seat::Taken)
}

/// Takes an available message, or one of a dead member; by the fast path first if requested.
fn take(rx: &Consumer, seats: &[Seat], deliveries: u8, call: Call) -> Result<Held, No> {
    let common = is_common(call);
    if let Some(held) = common.then(|| rx.take_next()).flatten() {
        return Ok(held);
    }
    let no = match rx.take(is_dead(seats)).unwrap() {
        Next::Message(held) => return Ok(held),
        Next::Nothing => No::Nothing,
        Next::Behind { seat } => {
            assert!(seats[usize::from(seat)] == Seat::Taken);
            if call.timed || rx.hides_message() { No::Behind } else { No::Nothing }
        }
        Next::Overtaken => panic!("by nobody"),
    };
    // As the handle loop does: a message that was delivered too often is given up.
    while let Some(held) = rx.take_over(u8::MAX, is_dead(seats)).unwrap() {
        if held.deliveries() <= deliveries {
            return Ok(held);
        }
        assert!(rx.acknowledge(&held), "evicted alive");
    }
    Err(no)
}

/// Whether the call tries the fast path.
fn is_common(call: Call) -> bool {
    call.n & 4 != 0
}

fn claim(tx: &Producer, seats: &[Seat], call: Call) -> Result<Claim, No> {
    let there = tx.has_any(is_dead(seats)).unwrap();
    if let Some(claim) = is_common(call).then(|| tx.claim_next()).flatten() {
        return Ok(claim);
    }
    let no = match tx.claim(is_dead(seats)).unwrap() {
        Room::Claimed(claim) => {
            assert!(there, "a sender would not be woken for it");
            return Ok(claim);
        }
        Room::Full | Room::Orphaned => No::Nothing,
        Room::Behind { seat } => {
            assert!(seats[usize::from(seat)] == Seat::Taken);
            No::Behind
        }
        Room::Held { seat } => {
            assert!(seats[usize::from(seat)] == Seat::Taken);
            if call.timed { No::Behind } else { No::Nothing }
        }
        Room::Overtaken => panic!("by nobody"),
    };
    assert!(!there, "a sender would be woken for nothing");
    Err(no)
}

fn send(tx: &Producer, seats: &[Seat], number: u64, call: Call) -> Result<(), No> {
    let claim = claim(tx, seats, call)?;
    write(tx.slot(&claim), number);
    assert!(tx.publish(claim), "evicted alive");
    Ok(())
}

fn call_sender(
    tx: &Producer,
    claims: &mut Vec<Claim>,
    seats: &[Seat],
    call: Call,
    number: u64,
) -> Answer {
    match call.what {
        What::Send => match send(tx, seats, number, call) {
            Ok(()) => Answer::Done,
            Err(no) => Answer::No(no),
        },
        What::SendBatch => {
            // It has no other form.
            let call = Call { timed: false, ..call };
            let mut sent = 0;
            while sent < call.many() {
                match send(tx, seats, number + sent, call) {
                    Ok(()) => sent += 1,
                    Err(no) => return Answer::Sent(sent, Some(no)),
                }
            }
            Answer::Sent(sent, None)
        }
        What::Loan => match claim(tx, seats, call) {
            Ok(claim) => {
                let position = claim.position();
                claims.push(claim);
                Answer::Lent(Some(position))
            }
            Err(no) => Answer::No(no),
        },
        What::Commit => {
            let claim = claims.remove(call.which(claims.len()));
            write(tx.slot(&claim), number);
            assert!(tx.publish(claim), "evicted alive");
            Answer::Done
        }
        What::Abandon => {
            assert!(tx.abandon(claims.remove(call.which(claims.len()))), "evicted alive");
            Answer::Done
        }
        What::Look => Answer::View(View { len: tx.ring().count_messages(), ..View::default() }),
        what => panic!("{what:?} of a sender"),
    }
}

fn call_receiver(
    rx: &Consumer,
    held: &mut Vec<Held>,
    seats: &[Seat],
    deliveries: u8,
    call: Call,
) -> Answer {
    match call.what {
        What::Receive | What::ReceiveInto | What::ReceiveBoxed | What::Lend => {
            match take(rx, seats, deliveries, call) {
                Ok(message) => {
                    let number = read(rx.slot(&message));
                    let answer = received(number, message.position(), Some(message.deliveries()));
                    match call.what {
                        What::Lend => held.push(message),
                        _ => assert!(rx.acknowledge(&message), "evicted alive"),
                    }
                    answer
                }
                Err(no) => Answer::No(no),
            }
        }
        What::ReceiveBatch => {
            let most = call.many().min(rx.ring().capacity()) as usize;
            if most == 0 {
                return Answer::Messages(Vec::new());
            }
            let mut all = match take(rx, seats, deliveries, call) {
                Ok(first) => vec![first],
                Err(no) => return Answer::No(no),
            };
            while all.len() < most
                && let Next::Message(next) = rx.take(|_| Ok::<bool, Corrupt>(false)).unwrap()
            {
                all.push(next);
            }
            let numbers = all.iter().map(|message| read(rx.slot(message))).collect();
            assert!(all.iter().all(|message| rx.acknowledge(message)), "evicted alive");
            Answer::Messages(numbers)
        }
        What::Acknowledge => {
            let message = held.remove(call.which(held.len()));
            assert!(rx.acknowledge(&message), "evicted alive");
            Answer::Done
        }
        What::Return => {
            assert!(rx.release(&held.remove(call.which(held.len()))), "evicted alive");
            Answer::Done
        }
        What::Look => Answer::View(View { len: rx.ring().count_messages(), ..View::default() }),
        what => panic!("{what:?} of a receiver"),
    }
}

impl World for Heap {
    fn join(&mut self, id: u32, side: Side) -> Answer {
        let Some(seat) = self.seats.iter().position(|seat| *seat != Seat::Taken) else {
            return Answer::No(No::NoSeat);
        };
        let adopted = std::mem::replace(&mut self.seats[seat], Seat::Taken) == Seat::Inherited;
        let seat = seat as u8;
        if adopted {
            self.ring.release_slots_of(seat);
        }
        let end = match side {
            Side::Sender => End::Sends(Producer::new(self.ring, seat), Vec::new()),
            Side::Receiver => End::Receives(Consumer::new(self.ring, seat), Vec::new()),
        };
        self.members.insert(id, Member { seat, end });
        Answer::Done
    }

    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer {
        match &mut self.members.get_mut(&id).expect("a member").end {
            End::Sends(tx, claims) => call_sender(tx, claims, &self.seats, call, number),
            End::Receives(rx, held) => {
                call_receiver(rx, held, &self.seats, self.rules.deliveries, call)
            }
        }
    }

    fn leave(&mut self, id: u32) {
        let member = self.members.remove(&id).expect("a member");
        match member.end {
            End::Sends(tx, claims) => {
                assert!(claims.into_iter().all(|claim| tx.abandon(claim)), "evicted alive");
            }
            End::Receives(rx, held) => {
                assert!(held.iter().all(|message| rx.acknowledge(message)), "evicted alive");
            }
        }
        self.seats[usize::from(member.seat)] = Seat::Free;
    }

    fn die(&mut self, id: u32, during: Option<(u32, Call, u64)>) -> Progress {
        let seat = self.members[&id].seat;
        let sends = matches!(self.members[&id].end, End::Sends(..));
        let count = |heap: &Heap| (heap.owned_by(seat), heap.ring.count_messages());
        let (in_flight, messages) = count(self);
        let done =
            during.and_then(|(step, call, number)| crash_at(step, || self.call(id, call, number)));
        let (in_flight_now, messages_now) = count(self);
        self.members.remove(&id);
        self.seats[usize::from(seat)] = Seat::Inherited;
        let finished = match sends {
            true => messages_now == messages + 1,
            false => messages_now + 1 == messages,
        };
        match (in_flight_now - in_flight, done) {
            (0, Some(Answer::Done | Answer::Message { .. })) => {
                assert!(finished, "done, and nothing to be seen of it");
                Progress::Finished
            }
            (0, None) if finished => Progress::Finished,
            (0, None | Some(Answer::No(_))) => {
                assert_eq!(messages_now, messages);
                Progress::None
            }
            (1, None) => Progress::Begun,
            (more, done) => panic!("{done:?} has {more} more in flight"),
        }
    }

    fn is_mortal(&self) -> bool {
        true
    }

    fn inside(&self) -> Option<Inside> {
        let slots = (0..self.ring.capacity()).map(|index| self.slot(index)).collect();
        let hint = self.ring.header().tail.0.load(Relaxed).wrapping_sub(self.rules.place);
        Some(Inside { slots, hint })
    }
}

//! An MPMC ring and its members.

use std::collections::BTreeMap;

use sysvring_support::commands::{Answer, Call, No, Progress, Rules, Side, View, What, World};

use super::{received, refused};
use crate::ring::mpmc::{Claim, Consumer, Held, Next, Producer, Room};
use crate::ring::slot_state::{Phase, SlotState};
use crate::ring::testing::{HeapRing, read, write};
use crate::ring::{Corrupt, Ring};
use crate::sync::Ordering::Acquire;
use crate::sync::crash_point::crash_at;

/// An MPMC ring under test, with its members.
pub(super) struct Heap {
    members: BTreeMap<u32, Member>,
    seats: Vec<Seat>,
    deliveries: u8,
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
        let (members, deliveries) = (BTreeMap::new(), rules.deliveries);
        Heap { members, seats, deliveries, ring, _block: block }
    }

    /// Returns the number of slots that a seat owns in this phase.
    fn in_phase(&self, phase: Phase, seat: u8) -> usize {
        let words = (0..self.ring.capacity())
            .map(|index| SlotState(self.ring.slot(index).head.word.load(Acquire)));
        words.filter(|word| word.phase() == Some(phase) && word.owner() == seat).count()
    }
}

fn is_dead(seats: &[Seat]) -> impl Fn(u8) -> Result<bool, Corrupt> {
    |seat| Ok(seats[usize::from(seat)] != Seat::Taken)
}

/// Takes an available message, or one of a dead member; by the fast path first if requested.
fn take(rx: &Consumer, seats: &[Seat], deliveries: u8, common: bool) -> Result<Held, bool> {
    if let Some(held) = common.then(|| rx.take_next()).flatten() {
        return Ok(held);
    }
    let behind = match rx.take(is_dead(seats)).unwrap() {
        Next::Message(held) => return Ok(held),
        Next::Nothing => false,
        Next::Behind { seat } => {
            assert!(seats[usize::from(seat)] == Seat::Taken);
            true
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
    Err(behind)
}

fn claim(tx: &Producer, seats: &[Seat], common: bool) -> Result<Claim, bool> {
    if let Some(claim) = common.then(|| tx.claim_next()).flatten() {
        return Ok(claim);
    }
    match tx.claim(is_dead(seats)).unwrap() {
        Room::Claimed(claim) => Ok(claim),
        Room::Full | Room::Orphaned => Err(false),
        Room::Behind { seat } => {
            assert!(seats[usize::from(seat)] == Seat::Taken);
            Err(true)
        }
        Room::Overtaken => panic!("by nobody"),
    }
}

fn send(tx: &Producer, seats: &[Seat], number: u64, common: bool) -> Result<(), bool> {
    let claim = claim(tx, seats, common)?;
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
    let common = call.n & 4 != 0;
    match call.what {
        What::Send => match send(tx, seats, number, common) {
            Ok(()) => Answer::Done,
            Err(behind) => refused(call, behind),
        },
        What::SendBatch => {
            let sent = (0..call.many())
                .take_while(|n| send(tx, seats, number + n, common).is_ok())
                .count();
            let all = sent as u64 == call.many();
            Answer::Sent(sent as u64, (!all).then_some(No::Nothing))
        }
        What::Loan => match claim(tx, seats, common) {
            Ok(claim) => {
                let position = claim.position();
                claims.push(claim);
                Answer::Lent(Some(position))
            }
            Err(behind) => refused(call, behind),
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
    let common = call.n & 4 != 0;
    match call.what {
        What::Receive | What::ReceiveInto | What::ReceiveBoxed | What::Lend => {
            match take(rx, seats, deliveries, common) {
                Ok(message) => {
                    let number = read(rx.slot(&message));
                    let answer = received(number, message.position(), Some(message.deliveries()));
                    match call.what {
                        What::Lend => held.push(message),
                        _ => assert!(rx.acknowledge(&message), "evicted alive"),
                    }
                    answer
                }
                Err(behind) => refused(call, behind),
            }
        }
        What::ReceiveBatch => {
            let most = call.many().min(rx.ring().capacity()) as usize;
            if most == 0 {
                return Answer::Messages(Vec::new());
            }
            let mut all = match take(rx, seats, deliveries, common) {
                Ok(first) => vec![first],
                Err(behind) => return refused(call, behind),
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
            End::Receives(rx, held) => call_receiver(rx, held, &self.seats, self.deliveries, call),
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
        let phase = if sends { Phase::Claimed } else { Phase::Reading };
        let count = |heap: &Heap| (heap.in_phase(phase, seat), heap.ring.count_messages());
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
}

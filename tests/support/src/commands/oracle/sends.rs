//! Sending: when there is space, and which errors a sender may get.

use super::{Entry, Oracle, State};
use crate::commands::{Answer, Call, Flavor, No};

impl Oracle {
    /// Returns whether the slot of the next position is free.
    pub(super) fn room(&self) -> Result<(), No> {
        let before = self.tail.checked_sub(self.rules.capacity);
        match before.and_then(|before| self.entries.get(&before)).map(|entry| entry.state) {
            None | Some(State::Dead) => Ok(()),
            Some(State::Full | State::Orphan(_)) => Err(No::Nothing),
            Some(_) if self.rules.flavor == Flavor::Spsc => Err(No::Nothing),
            Some(State::Claimed(_) | State::Reading(..)) => Err(No::Behind),
        }
    }

    /// Before a call that found a free slot: a search may have given the message there up.
    fn notice_search(&mut self) {
        let before = self.tail.wrapping_sub(self.rules.capacity);
        if self.may_search && self.used_up().contains(&before) {
            self.give_up(before);
        }
    }

    pub(super) fn claim(&mut self, by: u32, number: u64) {
        if let Some(before) = self.tail.checked_sub(self.rules.capacity) {
            self.entries.remove(&before);
        }
        self.entries.insert(self.tail, Entry { number, state: State::Claimed(by) });
        self.tail += 1;
    }

    pub(super) fn put(&mut self, id: u32, number: u64) {
        self.notice_search();
        assert_eq!(self.room(), Ok(()), "sent although it is full");
        self.claim(id, number);
        self.entry(self.tail - 1).state = State::Full;
    }

    pub(super) fn check_send(&mut self, id: u32, call: Call, number: u64, answer: &Answer) {
        match (answer, self.room()) {
            (Answer::Done, _) => self.put(id, number),
            // With free slots, a channel may be usable without a receiver, or not.
            (Answer::No(No::Disconnected), Ok(())) => {
                self.check_refusal(id, call.timed, No::Nothing, No::Disconnected);
            }
            (Answer::No(no), Err(why)) => self.check_refusal(id, call.timed, why, *no),
            (other, room) => panic!("{other:?} with room {room:?}"),
        }
    }

    pub(super) fn check_send_batch(&mut self, id: u32, call: Call, number: u64, answer: &Answer) {
        let Answer::Sent(sent, error) = *answer else { panic!("{answer:?}") };
        assert!(sent <= call.many());
        (0..sent).for_each(|n| self.put(id, number + n));
        assert_eq!(error.is_none(), sent == call.many());
        match (error, self.room()) {
            (None, _) => {}
            (Some(No::Disconnected), _) => {
                self.check_refusal(id, false, No::Nothing, No::Disconnected);
            }
            // No form of this call does a liveness check.
            (Some(no), Err(_)) if self.died => assert_eq!(no, No::Nothing),
            (Some(no), Err(why)) => self.check_refusal(id, false, why, no),
            (error, room) => panic!("{error:?} with room {room:?}"),
        }
    }

    pub(super) fn check_loan(&mut self, id: u32, call: Call, answer: &Answer) {
        let Answer::Lent(position) = *answer else {
            return self.check_send(id, call, 0, answer);
        };
        self.notice_search();
        assert_eq!(self.room(), Ok(()), "lent although it is full");
        let tail = self.tail;
        assert!(position.is_none_or(|at| at == self.rules.place.wrapping_add(tail)));
        if self.rules.flavor == Flavor::Mpmc {
            self.claim(id, 0);
        }
        self.members.get_mut(&id).expect("a member").lent.push(tail);
    }
}

//! Sending: when there is space, and which errors a sender may get.

use super::slots::Full;
use super::{Entry, Oracle, State};
use crate::commands::{Answer, Call, Flavor, No};

impl Oracle {
    /// Returns the position that this sender gets next.
    pub(super) fn room(&self, id: u32) -> Result<u64, Full> {
        if self.rules.flavor == Flavor::Mpmc {
            return self.slots.clone().claim(self.members[&id].next, &self.entries);
        }
        let before = self.tail.checked_sub(self.rules.capacity);
        match before.is_some_and(|before| self.entries.contains_key(&before)) {
            true => Err(Full::Untaken),
            false => Ok(self.tail),
        }
    }

    pub(super) fn claim(&mut self, id: u32, number: u64) -> Result<u64, Full> {
        let position = match self.rules.flavor {
            Flavor::Mpmc => {
                let member = self.members.get_mut(&id).expect("a member");
                let position = self.slots.claim(member.next, &self.entries)?;
                member.next = position + 1;
                let orphaned = |(&of, entry): (&u64, &Entry)| {
                    matches!(entry.state, State::Orphan(_)) && self.slots.is_stepped_over(of)
                };
                self.may_search |= self.rules.peers && self.entries.iter().any(orphaned);
                position
            }
            _ => {
                self.tail += 1;
                self.tail - 1
            }
        };
        // The claims of dead senders whose slots it used.
        self.entries
            .retain(|&of, entry| !matches!(entry.state, State::Dead(_)) || self.slots.has(of));
        self.entries.insert(position, Entry { number, state: State::Claimed(id) });
        Ok(position)
    }

    pub(super) fn put(&mut self, id: u32, number: u64) {
        let position = self.claim(id, number).expect("sent although it is full");
        self.entry(position).state = State::Full;
    }

    pub(super) fn check_send(&mut self, id: u32, call: Call, number: u64, answer: &Answer) {
        match (answer, self.room(id)) {
            (Answer::Done, _) => self.put(id, number),
            // With free slots, a channel may be usable without a receiver, or not.
            (Answer::No(No::Disconnected), Ok(_)) => {
                self.check_refusal(id, No::Nothing, No::Disconnected);
            }
            (Answer::No(no), Err(why)) => self.check_refusal(id, why.no(call.timed), *no),
            (other, room) => panic!("{other:?} with room {room:?}"),
        }
    }

    pub(super) fn check_send_batch(&mut self, id: u32, call: Call, number: u64, answer: &Answer) {
        let Answer::Sent(sent, error) = *answer else { panic!("{answer:?}") };
        assert!(sent <= call.many());
        (0..sent).for_each(|n| self.put(id, number + n));
        assert_eq!(error.is_none(), sent == call.many());
        match (error, self.room(id)) {
            (None, _) => {}
            (Some(No::Disconnected), _) => {
                self.check_refusal(id, No::Nothing, No::Disconnected);
            }
            // No form of this call does a liveness check.
            (Some(no), Err(why)) if self.died => assert_eq!(no, why.no(false)),
            (Some(no), Err(why)) => self.check_refusal(id, why.no(false), no),
            (error, room) => panic!("{error:?} with room {room:?}"),
        }
    }

    pub(super) fn check_loan(&mut self, id: u32, call: Call, answer: &Answer) {
        let Answer::Lent(told) = *answer else {
            return self.check_send(id, call, 0, answer);
        };
        let position = match self.rules.flavor {
            Flavor::Mpmc => self.claim(id, 0),
            _ => self.room(id),
        };
        let position = position.expect("lent although it is full");
        assert!(told.is_none_or(|at| at == self.rules.place.wrapping_add(position)));
        self.members.get_mut(&id).expect("a member").lent.push(position);
    }
}

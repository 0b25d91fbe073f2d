//! Receiving: which message is next, and which receivers get the orphaned messages.

use super::{Entry, Met, Oracle, State};
use crate::commands::{Answer, Call, No, What};

impl Oracle {
    /// Returns the state of the first position that no receiver has or had.
    pub(super) fn next(&self) -> Option<State> {
        let untaken = |state: &State| !matches!(state, State::Reading(..) | State::Orphan(_));
        self.entries.values().map(|entry| entry.state).find(untaken)
    }

    /// Returns the position that a receiver gets next.
    pub(super) fn take(&mut self, id: u32) -> Result<u64, No> {
        let mut behind = false;
        for (&position, entry) in &mut self.entries {
            match entry.state {
                State::Full => {
                    entry.state = State::Reading(id, 1);
                    return Ok(position);
                }
                State::Claimed(_) => {
                    behind = true;
                    break;
                }
                State::Dead | State::Reading(..) | State::Orphan(_) => {}
            }
        }
        if let Some((position, deliveries)) = self.inherit() {
            self.entry(position).state = State::Reading(id, deliveries);
            self.redelivered += 1;
            return Ok(position);
        }
        Err(if behind { No::Behind } else { No::Nothing })
    }

    /// Returns an orphaned message, in the order of the slots. One that reached the maximum number
    /// of deliveries is dropped.
    fn inherit(&mut self) -> Option<(u64, u8)> {
        let index = |at: &u64| self.rules.place.wrapping_add(*at) & (self.rules.capacity - 1);
        let mut positions: Vec<u64> = self.entries.keys().copied().collect();
        positions.sort_by_key(index);
        for position in positions {
            let State::Orphan(deliveries) = self.entries[&position].state else { continue };
            if deliveries < self.rules.deliveries {
                return Some((position, deliveries + 1));
            }
            self.entries.remove(&position);
            match self.rules.deliveries {
                0 => self.dropped += 1,
                _ => self.poisoned += 1,
            }
        }
        None
    }

    pub(super) fn check_receive(&mut self, id: u32, call: Call, answer: &Answer) {
        let place = self.rules.place;
        match (answer, self.take(id)) {
            (Answer::Message { number, position, deliveries }, Ok(at)) => {
                let entry = self.entries[&at];
                assert_eq!(*number, entry.number, "not the message of {at}");
                assert!(position.is_none_or(|p| p == place.wrapping_add(at)), "{position:?}: {at}");
                let State::Reading(_, count) = entry.state else { panic!("{entry:?}") };
                assert!(deliveries.is_none_or(|n| n == count), "{deliveries:?}, not {count}");
                let member = self.members.get_mut(&id).expect("a member");
                member.met = Met::Yes;
                match call.what {
                    What::Lend => member.lent.push(at),
                    _ => _ = self.entries.remove(&at),
                }
            }
            (Answer::No(no), Err(why)) => {
                let others = |entry: &Entry| match entry.state {
                    State::Reading(by, _) => by != id,
                    state => state != State::Dead,
                };
                if !self.entries.values().any(others) {
                    self.check_refusal(id, call.timed, why, *no);
                } else {
                    assert_eq!(*no, if call.timed { why } else { No::Nothing });
                }
            }
            (other, message) => panic!("{other:?}, not {message:?}"),
        }
    }

    pub(super) fn check_receive_batch(&mut self, id: u32, call: Call, answer: &Answer) {
        let most = call.many().min(self.rules.capacity) as usize;
        let Answer::Messages(numbers) = answer else {
            return self.check_receive(id, Call { what: What::Receive, ..call }, answer);
        };
        assert!(numbers.len() <= most && (most == 0) == numbers.is_empty());
        let mut taken = Vec::new();
        for number in numbers {
            let at = self.take(id).expect("a message to take");
            let Entry { number: wanted, state } = self.entries[&at];
            assert_eq!(*number, wanted, "not the message of {at}");
            // Only at the start of a batch may there be orphaned messages.
            assert!(taken.is_empty() || state == State::Reading(id, 1));
            taken.push(at);
        }
        if numbers.len() < most {
            // It does no liveness check, so it may stop at the claim of a dead sender.
            assert_ne!(self.next(), Some(State::Full), "the batch left messages behind");
        }
        if !taken.is_empty() {
            self.members.get_mut(&id).expect("a member").met = Met::Yes;
        }
        for at in taken {
            self.entries.remove(&at);
        }
    }
}

//! Receiving: which message is next, and which receivers get the orphaned messages.

use super::{Entry, Oracle, State};
use crate::commands::{Answer, Call, No, What};

/// A claim of a living sender is in the way of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// Whether a message was sent behind it.
    hides: bool,
}

impl Oracle {
    /// Returns the state of the first position that no receiver has or had.
    pub(super) fn next(&self) -> Option<State> {
        let untaken = |state: &State| !matches!(state, State::Reading(..) | State::Orphan(_));
        self.entries.values().map(|entry| entry.state).find(untaken)
    }

    /// Returns the position that a receiver gets next, according to the number that it got.
    fn take_as(&mut self, id: u32, number: Option<u64>) -> Result<u64, Option<Behind>> {
        let is_it = |(at, count): &(u64, u8)| {
            *count < self.rules.deliveries && number == Some(self.entries[at].number)
        };
        // If members searched unnoticed, it is not known where this search began.
        match self.orphans(id).into_iter().find(is_it) {
            Some((at, _)) if self.may_search => self.take_over(id, Some(at)).ok_or(None),
            _ => self.take(id),
        }
    }

    /// Returns the position that a receiver gets next, or whether a claim is in the way, and
    /// messages behind it.
    pub(super) fn take(&mut self, id: u32) -> Result<u64, Option<Behind>> {
        let claims = |entry: &Entry| matches!(entry.state, State::Full | State::Claimed(_));
        let next =
            self.entries.iter().find(|(_, entry)| claims(entry)).map(|(at, e)| (*at, e.state));
        self.step_over(next.map_or(u64::MAX, |(at, _)| at));
        if let Some((position, State::Full)) = next {
            self.entry(position).state = State::Reading(id, 1);
            return Ok(position);
        }
        let hides = self.entries.values().any(|entry| entry.state == State::Full);
        self.take_over(id, None).ok_or(next.map(|_| Behind { hides }))
    }

    /// A receiver steps over all positions without a message, up to this one.
    fn step_over(&mut self, until: u64) {
        let dead = |(at, entry): (&u64, &Entry)| {
            (*at < until && matches!(entry.state, State::Dead(_))).then_some(*at)
        };
        for position in self.entries.iter().filter_map(dead).collect::<Vec<_>>() {
            self.acknowledge(position);
        }
        self.slots.free_skipped(until);
    }

    fn take_over(&mut self, id: u32, only: Option<u64>) -> Option<u64> {
        let (position, deliveries) = self.inherit(id, only)?;
        self.entry(position).state = State::Reading(id, deliveries);
        self.redelivered += 1;
        Some(position)
    }

    /// Returns the orphaned messages and how often they were delivered, in the order in which this
    /// member searches.
    fn orphans(&self, id: u32) -> Vec<(u64, u8)> {
        let from = self.members.get(&id).map_or(0, |member| member.search_from);
        let slot = |at: u64| self.rules.place.wrapping_add(at);
        let index = |at: u64| slot(at).wrapping_sub(from) & (self.rules.capacity - 1);
        let mut all: Vec<(u64, u8)> = Vec::new();
        for (&at, entry) in &self.entries {
            if let State::Orphan(deliveries) = entry.state {
                all.push((at, deliveries));
            }
        }
        all.sort_by_key(|(at, _)| index(*at));
        all
    }

    /// Returns the first orphaned message, or the one that it was. Those before it that reached the
    /// maximum number of deliveries are dropped.
    fn inherit(&mut self, id: u32, only: Option<u64>) -> Option<(u64, u8)> {
        for (position, deliveries) in self.orphans(id) {
            let is_used_up = deliveries >= self.rules.deliveries;
            if !is_used_up && only.is_some_and(|only| only != position) {
                continue;
            }
            let next = self.rules.place.wrapping_add(position).wrapping_add(1);
            if let Some(member) = self.members.get_mut(&id) {
                member.search_from = next;
            }
            if !is_used_up {
                return Some((position, deliveries + 1));
            }
            self.give_up(position);
        }
        None
    }

    /// Returns the orphaned messages that reached the maximum number of deliveries.
    pub(super) fn used_up(&self) -> Vec<u64> {
        let is_used_up = |&(_, deliveries): &(u64, u8)| deliveries >= self.rules.deliveries;
        self.orphans(0).into_iter().filter(is_used_up).map(|(at, _)| at).collect()
    }

    pub(super) fn give_up(&mut self, position: u64) {
        self.acknowledge(position);
        self.count_given_up();
    }

    pub(super) fn count_given_up(&mut self) {
        match self.rules.deliveries {
            0 => self.dropped += 1,
            _ => self.poisoned += 1,
        }
    }

    pub(super) fn check_receive(&mut self, id: u32, call: Call, answer: &Answer) {
        let place = self.rules.place;
        let number = match answer {
            Answer::Message { number, .. } => Some(*number),
            _ => None,
        };
        match (answer, self.take_as(id, number)) {
            (Answer::Message { number, position, deliveries }, Ok(at)) => {
                let entry = self.entries[&at];
                assert_eq!(*number, entry.number, "not the message of {at}");
                assert!(position.is_none_or(|p| p == place.wrapping_add(at)), "{position:?}: {at}");
                let State::Reading(_, count) = entry.state else { panic!("{entry:?}") };
                assert!(deliveries.is_none_or(|n| n == count), "{deliveries:?}, not {count}");
                let member = self.members.get_mut(&id).expect("a member");
                self.redelivered += u64::from(std::mem::take(&mut member.inherited));
                match call.what {
                    What::Lend => member.lent.push(at),
                    _ => self.acknowledge(at),
                }
            }
            (Answer::No(no), Err(behind)) => {
                let others = |entry: &Entry| match entry.state {
                    State::Reading(by, _) => by != id,
                    State::Dead(_) => false,
                    _ => true,
                };
                let why = match behind {
                    Some(Behind { hides }) if hides || call.timed => No::Behind,
                    _ => No::Nothing,
                };
                if !self.entries.values().any(others) {
                    self.check_refusal(id, why, *no);
                } else {
                    assert_eq!(*no, why);
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
            // Only the first one can be one that a search found.
            let searched = Some(*number).filter(|_| taken.is_empty());
            let at = self.take_as(id, searched).expect("a message to take");
            let Entry { number: wanted, state } = self.entries[&at];
            assert_eq!(*number, wanted, "not the message of {at}");
            // Only at the start of a batch may there be orphaned messages.
            assert!(taken.is_empty() || state == State::Reading(id, 1));
            taken.push(at);
        }
        if numbers.len() < most {
            // It does no liveness check, so it may stop at the claim of a dead sender.
            assert_ne!(self.next(), Some(State::Full), "the batch left messages behind");
            let stops = |entry: &Entry| matches!(entry.state, State::Claimed(_) | State::Dead(_));
            let stop = self.entries.iter().find(|(_, entry)| stops(entry)).map(|(at, _)| *at);
            self.step_over(stop.unwrap_or(u64::MAX));
        }
        if !taken.is_empty() {
            let member = self.members.get_mut(&id).expect("a member");
            self.redelivered += u64::from(std::mem::take(&mut member.inherited));
        }
        for at in taken {
            self.acknowledge(at);
        }
    }
}

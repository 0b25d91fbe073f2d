//! Members that join, leave and die: which seats they get, and what becomes of their messages.

use std::collections::BTreeSet;

use super::{Entry, Member, Oracle, Seat, State};
use crate::commands::{Answer, Call, Flavor, No, Progress, Side, What};

impl Oracle {
    pub(in crate::commands) fn check_join(&mut self, id: u32, side: Side, answer: &Answer) {
        let is_free = |seat: &Seat| !matches!(seat, Seat::Taken(_));
        let seat = match self.rules.flavor {
            Flavor::Spsc => Some(side as usize).filter(|seat| is_free(&self.seats[*seat])),
            _ => self.seats.iter().position(is_free),
        };
        let Some(seat) = seat else {
            return assert_eq!(*answer, Answer::No(No::NoSeat));
        };
        assert_eq!(*answer, Answer::Done, "seat {seat} is free");
        let is_there = |side| self.members.values().any(|member| member.side == side);
        let met = is_there(side.other());
        if side == Side::Sender {
            let is_next = self.lost_senders == 0 && !is_there(Side::Sender);
            self.finished &= !is_next;
            self.lost_senders = self.lost_senders.saturating_sub(1);
        }
        let after_death = matches!(self.seats[seat], Seat::Died(_));
        let spsc = self.rules.flavor == Flavor::Spsc;
        self.may_search |= after_death && !spsc && self.rules.peers;
        let receives = spsc && side == Side::Receiver;
        let first = self.entries.first_key_value().map(|(&at, _)| at);
        if receives && after_death && self.next() == Some(State::Full) {
            self.charged = first;
        }
        let inherited = receives && first.is_some() && self.charged == first;
        let joins = self.joins[1 - side as usize];
        self.joins[side as usize] += 1;
        if let Seat::Died(dead) = std::mem::replace(&mut self.seats[seat], Seat::Taken(id)) {
            self.release_claims_of(dead);
        }
        let (next, lent, told) = (self.slots.hint, Vec::new(), BTreeSet::new());
        let member = Member { side, seat, met, joins, next, lent, told, search_from: 0, inherited };
        self.members.insert(id, member);
    }

    /// Another member took the seat: it released what a dead sender had claimed.
    fn release_claims_of(&mut self, dead: u32) {
        let claimed =
            |(at, entry): (&u64, &Entry)| (entry.state == State::Dead(dead)).then_some(*at);
        for position in self.entries.iter().filter_map(claimed).collect::<Vec<_>>() {
            self.entries.remove(&position);
            self.slots.skip(position);
        }
    }

    pub(in crate::commands) fn finish(&mut self, id: u32) {
        self.finished = true;
        self.leave(id);
    }

    pub(in crate::commands) fn leave(&mut self, id: u32) {
        for position in self.members[&id].lent.clone() {
            match self.members[&id].side {
                Side::Sender => self.abandon(id, position),
                Side::Receiver => self.acknowledge(position),
            }
        }
        let member = self.members.remove(&id).expect("a member");
        self.seats[member.seat] = Seat::Left;
        if self.members.is_empty() && !self.rules.kept {
            *self = Oracle { ids: self.ids, ..Oracle::new(self.rules) };
        }
    }

    pub(in crate::commands) fn die(
        &mut self,
        id: u32,
        during: Option<(Call, u64)>,
        progress: Progress,
    ) {
        match (during.map(|(call, number)| (call.what, number)), progress) {
            (_, Progress::None) => {}
            (Some((What::Send, number)), progress) => {
                let position = self.claim(id, number).expect("sent in a full channel");
                if progress == Progress::Finished {
                    self.entry(position).state = State::Full;
                }
            }
            (Some((What::Receive, _)), progress) => {
                let position = self.take(id).expect("a message to take");
                if progress == Progress::Finished {
                    self.acknowledge(position);
                }
            }
            (during, progress) => panic!("{during:?} cannot end as {progress:?}"),
        }
        for entry in self.entries.values_mut() {
            entry.state = match (entry.state, self.rules.flavor) {
                (State::Claimed(by), _) if by == id => State::Dead(id),
                (State::Reading(by, _), Flavor::Spsc) if by == id => State::Full,
                (State::Reading(by, count), _) if by == id => State::Orphan(count),
                (other, _) => other,
            };
        }
        let member = self.members.remove(&id).expect("a member");
        self.seats[member.seat] = Seat::Died(id);
        self.lost_senders += u64::from(member.side == Side::Sender);
        self.died = true;
    }
}

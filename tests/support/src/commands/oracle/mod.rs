//! A reference model of a channel: a queue of positions, each of which records its owner.

mod lives;
mod receives;
mod sends;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use self::slots::Slots;
pub use self::slots::{Holds, Slot};
use super::{Answer, Call, Flavor, Inside, No, Side, View, What};

/// What kind of channel it is.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub flavor: Flavor,
    /// The number of slots, a power of two.
    pub capacity: u64,
    /// The maximum number of deliveries of a message. With 0, the messages of a dead receiver are
    /// dropped.
    pub deliveries: u8,
    pub seats: usize,
    /// The first position.
    pub place: u64,
    /// Whether the channel outlives its members.
    pub kept: bool,
    /// Whether its members know of each other. Those of a bare ring do not.
    pub peers: bool,
}

/// A position that is in use.
#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Claimed(u32),
    /// Its sender died, so there is no message.
    Dead(u32),
    Full,
    Reading(u32, u8),
    /// Its receiver died, or it has none.
    Orphan(u8),
}

#[derive(Clone, Debug)]
struct Member {
    side: Side,
    seat: usize,
    /// Whether it has seen a member of the other side.
    met: bool,
    /// How often a member of the other side had joined when this one joined.
    joins: u64,
    /// Of a sender in an MPMC channel: where it looks first for a free slot.
    next: u64,
    /// The positions that it has in flight.
    lent: Vec<u64>,
    /// The deaths that it has been notified of.
    told: BTreeSet<u32>,
    /// Where its next search begins.
    search_from: u64,
    /// SPSC: a receiver died while the next message was there, so the first one that this member
    /// gets counts as delivered again.
    inherited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    Never,
    Taken(u32),
    Left,
    Died(u32),
}

/// The expected state of a channel.
#[derive(Debug)]
pub struct Oracle {
    rules: Rules,
    /// The next position of an SPSC channel. Positions are counted from `place`.
    tail: u64,
    /// The slots of an MPMC channel.
    slots: Slots,
    entries: BTreeMap<u64, Entry>,
    members: BTreeMap<u32, Member>,
    seats: Vec<Seat>,
    joins: [u64; 2],
    /// Whether a sender has finished since the stream was opened.
    finished: bool,
    /// The number of senders that died and have no successor.
    lost_senders: u64,
    ids: u32,
    /// After a death, a call that does no liveness check may report an outdated state.
    died: bool,
    /// A message was returned, or may have been while a seat changed hands, or a sender stepped over
    /// the slot of one without receiver: receivers may search before they take the next message.
    may_search: bool,
    /// SPSC: the message that was there when a receiver died.
    charged: Option<u64>,
    redelivered: u64,
    dropped: u64,
    poisoned: u64,
}

/// The maximum number of messages that one member has in flight.
const MAX_LENT: usize = 3;

impl Oracle {
    pub fn new(rules: Rules) -> Oracle {
        Oracle {
            rules,
            tail: 0,
            slots: Slots::new(rules.capacity, rules.place),
            entries: BTreeMap::new(),
            members: BTreeMap::new(),
            seats: vec![Seat::Never; rules.seats],
            joins: [0; 2],
            finished: false,
            lost_senders: 0,
            ids: 0,
            died: false,
            may_search: false,
            charged: None,
            redelivered: 0,
            dropped: 0,
            poisoned: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    /// Returns a member of that side.
    pub(super) fn pick(&self, side: Side, who: u8) -> Option<u32> {
        let of_side = || self.members.iter().filter(|(_, m)| m.side == side).map(|(id, _)| *id);
        of_side().nth(usize::from(who) % of_side().count().max(1))
    }

    pub(super) fn all(&self) -> Vec<u32> {
        self.members.keys().copied().collect()
    }

    pub(super) fn side(&self, id: u32) -> Side {
        self.members[&id].side
    }

    pub(super) fn has_lent(&self, id: u32) -> bool {
        !self.members[&id].lent.is_empty()
    }

    /// Returns whether everything was delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the call in the form that the member can make now.
    pub(super) fn possible(&self, id: u32, mut call: Call) -> Option<Call> {
        let (spsc, lent) = (self.rules.flavor == Flavor::Spsc, self.members[&id].lent.len());
        call.timed |= self.died;
        if spsc && lent != 0 {
            // Its handle is borrowed.
            call.what = match (self.side(id), call.what, call.n % 4) {
                (Side::Sender, What::Abandon, _) | (Side::Sender, _, 0) => What::Abandon,
                (Side::Sender, ..) => What::Commit,
                (Side::Receiver, What::Return, _) | (Side::Receiver, _, 0) => What::Return,
                (Side::Receiver, ..) => What::Acknowledge,
            };
        }
        match call.what {
            What::Commit | What::Abandon | What::Acknowledge => (lent != 0).then_some(call),
            What::Loan | What::Lend => (lent < MAX_LENT).then_some(call),
            What::Return => (lent != 0).then_some(call),
            What::Deaths => (!spsc && self.rules.peers).then_some(call),
            What::Flush => self.rules.peers.then_some(call),
            _ => Some(call),
        }
    }

    /// Returns the call during which a member dies, and the step at which it dies.
    pub(super) fn last_call(&self, id: u32, side: Side, step: u8) -> Option<(u32, Call)> {
        let spsc = self.rules.flavor == Flavor::Spsc;
        // Taking over is a separate call that ends separately.
        let takes_over = self.next() != Some(State::Full)
            && self.entries.values().any(|entry| matches!(entry.state, State::Orphan(_)));
        let what = match side {
            Side::Sender => What::Send,
            Side::Receiver => What::Receive,
        };
        let busy = spsc && self.has_lent(id) || side == Side::Receiver && takes_over;
        (!busy && !step.is_multiple_of(4))
            .then_some((u32::from(step / 4), Call { what, n: step, timed: true }))
    }

    /// Checks an answer, and applies its effects.
    pub(super) fn check(&mut self, id: u32, call: Call, number: u64, answer: &Answer) {
        match call.what {
            What::Send => self.check_send(id, call, number, answer),
            What::SendBatch => self.check_send_batch(id, call, number, answer),
            What::Loan => self.check_loan(id, call, answer),
            What::Commit => {
                let position = self.give(id, call, answer);
                if self.rules.flavor == Flavor::Spsc {
                    self.claim(id, number).expect("it was free before");
                }
                *self.entry(position) = Entry { number, state: State::Full };
            }
            What::Abandon => {
                let position = self.give(id, call, answer);
                self.abandon(id, position);
            }
            What::Acknowledge => {
                let position = self.give(id, call, answer);
                self.acknowledge(position);
            }
            What::Return => {
                let position = self.give(id, call, answer);
                let spsc = self.rules.flavor == Flavor::Spsc;
                self.may_search |= self.rules.peers && !spsc;
                // As after a death: a call that does no liveness check does not find it.
                self.died |= !spsc;
                let entry = self.entry(position);
                entry.state = match entry.state {
                    State::Reading(_, count) if !spsc => State::Orphan(count),
                    _ => State::Full,
                };
            }
            What::Flush => match answer {
                Answer::Done => {
                    self.notice_given_up(0);
                    assert!(self.is_empty(), "flushed, but the channel has messages");
                }
                Answer::No(no) => {
                    assert!(!self.is_empty(), "not flushed, but the channel has no message");
                    self.check_refusal(id, No::Nothing, *no);
                }
                other => panic!("{other:?}"),
            },
            What::Receive | What::ReceiveInto | What::ReceiveBoxed | What::Lend => {
                self.check_receive(id, call, answer);
            }
            What::ReceiveBatch => self.check_receive_batch(id, call, answer),
            What::Look => self.check_look(answer),
            What::Deaths => self.check_deaths(id, answer),
        }
    }

    fn entry(&mut self, position: u64) -> &mut Entry {
        self.entries.get_mut(&position).expect("a position in use")
    }

    /// Returns the number of messages that were sent and not acknowledged.
    fn len(&self) -> u64 {
        let is_message =
            |entry: &&Entry| !matches!(entry.state, State::Claimed(_) | State::Dead(_));
        self.entries.values().filter(is_message).count() as u64
    }

    /// Returns whether the other side joined and is gone, or its stream has ended.
    fn is_gone(&self, id: u32) -> bool {
        let member = &self.members[&id];
        let alone = self.rules.peers && !self.members.values().any(|m| m.side != member.side);
        let came = self.joins[1 - member.side as usize] != member.joins;
        let ended = member.side == Side::Receiver && self.finished && self.lost_senders == 0;
        alone && (member.met || came || ended)
    }

    /// Checks that a refusal is correct, where `why` is what else the call could have reported.
    fn check_refusal(&self, id: u32, why: No, no: No) {
        let is_gone = self.is_gone(id);
        if no == No::Disconnected {
            return assert!(is_gone, "disconnected, but no member is gone");
        }
        assert!(!is_gone, "{no:?}, but all members are gone");
        assert_eq!(no, why);
    }

    /// The message at this position is gone, and its slot is free.
    fn acknowledge(&mut self, position: u64) {
        self.entries.remove(&position);
        if self.rules.flavor == Flavor::Mpmc {
            self.slots.free(position);
        }
    }

    /// A claim ends without a message; its sender looks there first for its next one.
    fn abandon(&mut self, id: u32, position: u64) {
        self.entries.remove(&position);
        if self.rules.flavor == Flavor::Mpmc {
            self.slots.skip(position);
            self.slots.hint = position.min(self.slots.hint);
            let next = &mut self.members.get_mut(&id).expect("a member").next;
            *next = position.min(*next);
        }
    }

    /// Compares the slots with what a world shows of them. After a death in the middle of a call, and
    /// if receivers may have searched, it learns what they did.
    pub(super) fn check_inside(&mut self, inside: &Inside, died: bool) {
        if self.rules.flavor != Flavor::Mpmc {
            return;
        }
        let used_up = if self.may_search { self.used_up() } else { Vec::new() };
        let dead = |of| matches!(self.entries.get(&of), Some(Entry { state: State::Dead(_), .. }));
        let may_go = |of| (died || self.may_search) && dead(of) || used_up.contains(&of);
        self.slots.compare(inside, died, self.may_search, may_go);
        let gone: Vec<u64> =
            self.entries.keys().copied().filter(|&of| !self.slots.has(of)).collect();
        for of in gone {
            self.entries.remove(&of);
            if used_up.contains(&of) {
                self.count_given_up();
            }
        }
    }

    /// Returns the position that a member gives up.
    fn give(&mut self, id: u32, call: Call, answer: &Answer) -> u64 {
        assert_eq!(*answer, Answer::Done);
        let lent = &mut self.members.get_mut(&id).expect("a member").lent;
        lent.remove(call.which(lent.len()))
    }

    /// Before a call that found only `len` messages: a search may have given others up.
    fn notice_given_up(&mut self, len: u64) {
        if self.may_search {
            let missing = self.len().saturating_sub(len) as usize;
            self.used_up().into_iter().take(missing).for_each(|at| self.give_up(at));
        }
    }

    fn check_look(&mut self, answer: &Answer) {
        let Answer::View(View { len, counts, seats }) = answer else { panic!("{answer:?}") };
        self.notice_given_up(*len);
        assert_eq!(*len, self.len());
        let Some(counts) = counts else { return };
        let is_open =
            self.lost_senders != 0 || self.members.values().any(|m| m.side == Side::Sender);
        let stream = u64::from(self.finished) * (1 + u64::from(!is_open));
        let wanted =
            [self.len(), self.redelivered, self.dropped, self.poisoned, stream, self.lost_senders];
        assert_eq!(
            *counts, wanted,
            "depth, redelivered, dropped, discarded as poison, stream, lost senders"
        );
        let wanted = self.seats.iter().map(|seat| match seat {
            Seat::Never => 0,
            Seat::Taken(id) => 1 + self.members[id].side as u64,
            Seat::Left => 3,
            Seat::Died(_) => 4,
        });
        assert_eq!(*seats, wanted.collect::<Vec<_>>(), "the members in the seats");
    }

    fn check_deaths(&mut self, id: u32, answer: &Answer) {
        let member = self.members.get_mut(&id).expect("a member");
        let mut wanted = Vec::new();
        for (seat, state) in self.seats.iter().enumerate() {
            if let Seat::Died(dead) = state
                && member.told.insert(*dead)
            {
                wanted.push(seat as u64);
            }
        }
        assert_eq!(*answer, Answer::Deaths(wanted));
    }
}

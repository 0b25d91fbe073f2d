//! The end of the stream: what a sender's joining, leaving and death change besides its seat.
//!
//! # Why a stream ends once, and never by surprise
//!
//! Two semaphores of the set tell whether more messages may come. `finished` is 1 once a sender has
//! finished since the stream was opened, and no death undoes it. `died` is the number of senders
//! that died unfinished and have no successor yet. The stream has *ended* while there is no sender,
//! `died` is 0 and `finished` is not. That is asked of one snapshot of the whole set.
//!
//! ```text
//! arm       died + 1, died - 1 UNDO    in every join of a sender: adds 1 only if it dies
//! join      one of these; they exclude each other, and one of them always holds:
//!   heir      died - 1                                  it succeeds a sender that died
//!   beside    died == 0, senders > 0                    other senders are there
//!   next      died == 0, senders == 0, finished - 1     the stream has ended: it opens the next
//!   first     died == 0, senders == 0, finished == 0    the first one, or all left unfinished
//! leave     died + 1 UNDO, died - 1    disarms: a sender that leaves did not die
//! finish    the same, and finished == 0, finished + 1, or finished - 1, finished + 1
//! ```
//!
//! Each line is part of the one `semop` that takes the seat or gives it back (`membership.rs`), and
//! the kernel executes a `semop` completely or not at all. So a process that is killed has not
//! joined, or has died unfinished; has died unfinished, or has finished: nothing lies between. The
//! kernel applies the undo of a death in one step as well, so no snapshot shows a sender neither
//! alive nor counted in `died`.
//!
//! **Invariant.** The number of senders plus `died` is the number of senders that joined without
//! being an heir, less those that left or finished. So it never exceeds the number of seats, unless
//! senders resigned, whose seats others took before their processes ended (`resignation.rs`): while
//! somebody died, every sender that joins is an heir, and takes the place of one. Members have no
//! names: any sender that joins is an heir, whichever one died.
//!
//! From that snapshot on, no message can follow but one of the next stream, which a sender has to
//! open by joining. What a sender did before it left or died, its `semop` or its undo has released,
//! and the snapshot acquires it: a receiver that took the snapshot first, and then finds the ring
//! drained, has missed nothing.
//!
//! A [courier](Standing::Courier) is a sender that the stream does not depend on: it joins and leaves
//! without any of this, and is not counted.
//!
//! A sender that gives its seat up before it did any work, because opening failed, puts everything
//! back as it was ([`Entry`]): the death is counted again, and the stream that had ended has ended.
//!
//! `died` cannot reach the maximum of a semaphore by members. If it is set there from outside, a
//! sender that leaves subtracts first, and the kernel ends deaths at the maximum.

use super::{DIED, FINISHED, SENDERS};
use crate::role::Side;
use crate::sysv::sem::Op;

/// How a sender enters the stream. At any moment, the conditions of exactly one of them hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A sender died unfinished: this is its successor.
    Heir,
    /// Other senders are there.
    Beside,
    /// The stream ended: this sender opens the next one.
    Next,
    /// No sender is there, and none has finished.
    First,
    /// A receiver joins, which changes nothing.
    Receiver,
    /// A courier joins, which changes nothing either.
    Courier,
}

/// In which way a process joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As a member that this side is made of.
    Member(Side),
    /// As a sender on which the stream does not depend: it has a seat, but is not counted, and its
    /// death is no one's debt. It brings a message, and leaves.
    Courier,
}

impl Standing {
    pub(super) fn side(self) -> Side {
        match self {
            Standing::Member(side) => side,
            Standing::Courier => Side::Senders,
        }
    }
}

/// How a member gives its seat back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It leaves. A sender that leaves does not end the stream.
    Leave,
    /// A sender has sent everything that it is going to send.
    Finish,
    /// A courier leaves the stream as it is.
    Courier,
}

impl Departure {
    /// Returns in which way the member of this side has joined.
    pub(super) fn standing(self, side: Side) -> Standing {
        match self {
            Departure::Leave | Departure::Finish => Standing::Member(side),
            Departure::Courier => Standing::Courier,
        }
    }
}

/// What a departure changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Leave,
    Finish,
    /// A sender that did nothing leaves the end of the stream that it opened again, unless another
    /// one has joined meanwhile.
    Restore,
    /// A sender that did nothing leaves the death that it was to make good.
    Owe,
    /// A receiver leaves, which changes nothing.
    Receiver,
    /// A courier leaves, which changes nothing either.
    Courier,
}

impl Entry {
    /// Returns the ways in which a member of this side may enter, to be tried one after another.
    pub(super) fn of(standing: Standing) -> &'static [Entry] {
        match standing {
            Standing::Member(Side::Senders) => {
                &[Entry::First, Entry::Beside, Entry::Next, Entry::Heir]
            }
            Standing::Member(Side::Receivers) => &[Entry::Receiver],
            Standing::Courier => &[Entry::Courier],
        }
    }

    /// Returns the conditions and changes of this entry, before the senders are counted.
    pub(super) fn ops(self) -> Vec<Op> {
        let nobody_died = Op::zero(DIED).nowait();
        let nobody_is_there = Op::zero(SENDERS).nowait();
        let mut ops = match self {
            Entry::Receiver | Entry::Courier => return Vec::new(),
            Entry::Heir => vec![Op::add(DIED, -1).nowait()],
            Entry::Beside => {
                vec![nobody_died, Op::add(SENDERS, -1).nowait(), Op::add(SENDERS, 1)]
            }
            Entry::Next => {
                vec![nobody_died, nobody_is_there, Op::add(FINISHED, -1).nowait()]
            }
            Entry::First => {
                vec![nobody_died, nobody_is_there, Op::zero(FINISHED).nowait()]
            }
        };
        ops.extend([Op::add(DIED, 1), Op::add(DIED, -1).undo()]);
        ops
    }

    /// Returns in which way the member of this side has joined.
    pub(super) fn standing(self, side: Side) -> Standing {
        match self {
            Entry::Courier => Standing::Courier,
            _ => Standing::Member(side),
        }
    }

    /// Returns the exit that undoes this entry.
    pub(super) fn reverse(self) -> Exit {
        match self {
            Entry::Heir => Exit::Owe,
            Entry::Beside | Entry::First => Exit::Leave,
            Entry::Next => Exit::Restore,
            Entry::Receiver => Exit::Receiver,
            Entry::Courier => Exit::Courier,
        }
    }
}

impl Exit {
    pub(super) fn of(side: Side, departure: Departure) -> Exit {
        match (side, departure) {
            (Side::Receivers, _) => Exit::Receiver,
            (Side::Senders, Departure::Courier) => Exit::Courier,
            (Side::Senders, Departure::Leave) => Exit::Leave,
            (Side::Senders, Departure::Finish) => Exit::Finish,
        }
    }

    /// Returns the changes of this exit: variants of which the first that is possible is right. No
    /// sender opens the next stream while this one is there, so `finished` only grows meanwhile.
    pub(super) fn variants(self) -> Vec<Vec<Op>> {
        let disarm = [Op::add(DIED, 1).undo(), Op::add(DIED, -1)];
        // If `died` is at the maximum.
        let disarm_down = [Op::add(DIED, -1).nowait(), Op::add(DIED, 1).undo()];
        let finish_first = [Op::zero(FINISHED).nowait(), Op::add(FINISHED, 1)];
        let finish_again = [Op::add(FINISHED, -1).nowait(), Op::add(FINISHED, 1)];
        match self {
            Exit::Receiver | Exit::Courier => vec![Vec::new()],
            Exit::Owe => vec![vec![Op::add(DIED, 1).undo()]],
            Exit::Leave => vec![disarm.to_vec(), disarm_down.to_vec()],
            Exit::Finish => vec![
                [disarm, finish_first].concat(),
                [disarm, finish_again].concat(),
                [disarm_down, finish_first].concat(),
                [disarm_down, finish_again].concat(),
            ],
            Exit::Restore => {
                // This one is not counted any more.
                let is_last = [Op::zero(SENDERS).nowait()];
                let ended = Exit::Finish.variants().into_iter();
                let ended = ended.map(|ops| [&is_last[..], &ops].concat());
                ended.chain(Exit::Leave.variants()).collect()
            }
        }
    }
}

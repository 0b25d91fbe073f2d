//! The semaphore set: who is a member, who died, and the gate where sleepers sleep.
//!
//! # Why no two own a seat, and why none is owned by the dead
//!
//! Every semaphore starts at the zero the kernel gives it, and zero means free, so there is nothing
//! to initialise that a death could interrupt. To join is one `semop`, all of it or nothing: the
//! lifecycle semaphore is free, there are users, the seat is free; then one user more, the seat taken,
//! and the death posts armed. All of it is marked `SEM_UNDO`: when the process ends, whatever ended it
//! and after its last thread can no longer write, the kernel takes its token from the seat, takes it
//! from the users and posts to the other side's sleepers, in one step. So a zero on a seat is the
//! verdict of death, and nothing else is ever used as one.
//!
//! A post for the moment of death is armed by `{W,+1},{W,-1,UNDO}`: nothing now, one up at the end.
//! To leave turns it into an ordinary post, in the same `semop` that gives the seat back.
//!
//! The wake semaphores' tokens are hints (`wait.rs`). Deaths that nobody sleeps through leave tokens
//! behind, and at 32767 arming would fail, so joining trims them, never to zero: one may belong to a
//! peer that announced itself and is not yet asleep.

use std::time::Duration;

use crate::error::Fault;
use crate::sysv::sem::{Op, Set};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};
use crate::wait::{Gate, Side};

/// Held by whoever creates, rebuilds or removes.
pub(crate) const LIFECYCLE: u16 = 0;
/// How many members there are.
pub(crate) const USERS: u16 = 1;
/// Where receivers and senders sleep.
const WAKE_RECEIVERS: u16 = 2;
const WAKE_SENDERS: u16 = 3;
/// The channel's nonce, 15 bits each.
const NONCE: [u16; 2] = [4, 5];
/// The seats' tokens; 6 and 7 are spare.
pub(crate) const FIRST_SEAT: u16 = 8;

/// Seats of a one-to-one channel: the sender's and the receiver's.
pub(crate) const SPSC_SEATS: usize = 2;

/// The nonce has as many bits as two semaphores can hold.
pub(crate) const NONCE_MAX: u32 = (1 << 30) - 1;

/// Wake tokens that trimming leaves.
const TOKENS_LEFT: i32 = 64;

/// Trimming helps at once or, where somebody set another semaphore to its limit, never.
const TRIMS: usize = 8;

/// The set of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members {
    pub(crate) set: Set,
}

/// What came of trying to join.
#[derive(Debug, PartialEq)]
pub(crate) enum Joined {
    Seated,
    /// There were no members, whoever comes next rebuilds; or what was in the way is gone. Look again.
    NotNow,
    /// Somebody alive sits there.
    Taken {
        pid: u32,
    },
    /// Somebody held the lifecycle semaphore until the deadline.
    Busy {
        pid: u32,
    },
}

/// The seat of a side of a one-to-one channel.
pub(crate) fn seat_of(side: Side) -> u16 {
    match side {
        Side::Senders => 0,
        Side::Receivers => 1,
    }
}

/// Semaphores in the set of a channel with so many seats.
pub(crate) fn semaphores(seats: usize) -> i32 {
    i32::from(FIRST_SEAT) + seats as i32
}

fn wake(side: Side) -> u16 {
    match side {
        Side::Receivers => WAKE_RECEIVERS,
        Side::Senders => WAKE_SENDERS,
    }
}

/// Takes the seat and arms its holder's death post for the other side.
fn sit(side: Side) -> [Op; 5] {
    let (seat, post) = (FIRST_SEAT + seat_of(side), wake(side.other()));
    [
        Op::add(USERS, 1).undo(),
        Op::zero(seat).nowait(),
        Op::add(seat, 1).undo(),
        Op::add(post, 1),
        Op::add(post, -1).undo(),
    ]
}

impl Members {
    pub(crate) fn new(set: Set) -> Members {
        Members { set }
    }

    /// Takes the lifecycle semaphore if nobody has it and there are no users.
    pub(crate) fn try_exclusive(&self) -> sysv::Result<bool> {
        let ops =
            [Op::zero(LIFECYCLE).nowait(), Op::zero(USERS).nowait(), Op::add(LIFECYCLE, 1).undo()];
        match self.set.op(&ops) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Takes the lifecycle semaphore whoever uses the channel.
    pub(crate) fn lock(&self, deadline: Option<Deadline>) -> sysv::Result<()> {
        self.set.op_until(&[Op::zero(LIFECYCLE), Op::add(LIFECYCLE, 1).undo()], deadline)
    }

    /// Waits until nobody has the lifecycle semaphore.
    pub(crate) fn settled(&self, deadline: Option<Deadline>) -> sysv::Result<()> {
        self.set.op_until(&[Op::zero(LIFECYCLE)], deadline)
    }

    /// Gives the lifecycle semaphore back.
    pub(crate) fn unlock(&self) -> sysv::Result<()> {
        self.set.op(&[Op::add(LIFECYCLE, -1).undo().nowait()])
    }

    /// Gives the lifecycle semaphore back and joins, in one step.
    pub(crate) fn unlock_and_join(&self, side: Side) -> sysv::Result<()> {
        let mut ops = vec![Op::add(LIFECYCLE, -1).undo().nowait()];
        ops.extend(sit(side));
        self.trimming(|| self.set.op(&ops))
    }

    /// Joins a channel that has members.
    pub(crate) fn join(&self, side: Side, deadline: Option<Deadline>) -> sysv::Result<Joined> {
        let mut ops =
            vec![Op::zero(LIFECYCLE), Op::add(USERS, -1).nowait(), Op::add(USERS, 1).nowait()];
        ops.extend(sit(side));
        match self.trimming(|| self.set.op_until(&ops, deadline)) {
            Ok(()) => return Ok(Joined::Seated),
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
        // It could not be at that moment; what is in the way now?
        let seat = FIRST_SEAT + seat_of(side);
        if self.set.value(seat)? != 0 {
            return Ok(Joined::Taken { pid: self.set.pid(seat).unwrap_or(0) as u32 });
        }
        // Somebody may have taken it only since.
        let waited = deadline.is_some_and(|d| d.passed());
        if waited && self.set.value(LIFECYCLE)? != 0 {
            return Ok(Joined::Busy { pid: self.set.pid(LIFECYCLE).unwrap_or(0) as u32 });
        }
        Ok(Joined::NotNow)
    }

    /// Gives the seat back and wakes the other side, in one step.
    pub(crate) fn leave(&self, side: Side) -> sysv::Result<()> {
        let ops = [
            Op::add(FIRST_SEAT + seat_of(side), -1).undo().nowait(),
            Op::add(USERS, -1).undo().nowait(),
            Op::add(wake(side.other()), 1).undo(),
        ];
        self.trimming(|| self.set.op(&ops))
    }

    /// Whether somebody alive has this seat.
    pub(crate) fn is_seated(&self, side: Side) -> sysv::Result<bool> {
        Ok(self.set.value(FIRST_SEAT + seat_of(side))? != 0)
    }

    /// Who sits there, or sat there last. 0 when nobody ever did.
    pub(crate) fn pid(&self, side: Side) -> sysv::Result<u32> {
        Ok(self.set.pid(FIRST_SEAT + seat_of(side))? as u32)
    }

    /// Whether the kernel still counts this process as the holder of its seat.
    pub(crate) fn is_own(&self, side: Side) -> sysv::Result<bool> {
        Ok(self.is_seated(side)? && self.pid(side)? == process::pid())
    }

    /// Who has the lifecycle semaphore, or had it last.
    pub(crate) fn builder(&self) -> sysv::Result<u32> {
        Ok(self.set.pid(LIFECYCLE)? as u32)
    }

    pub(crate) fn nonce(&self) -> sysv::Result<u32> {
        let low = self.set.value(NONCE[0])? as u32;
        let high = self.set.value(NONCE[1])? as u32;
        Ok(low | high << 15)
    }

    /// Only while the lifecycle semaphore is held; these semaphores are never undone.
    pub(crate) fn set_nonce(&self, nonce: u32) -> sysv::Result<()> {
        self.set.set_value(NONCE[0], (nonce & 0x7fff) as i32)?;
        self.set.set_value(NONCE[1], (nonce >> 15 & 0x7fff) as i32)
    }

    /// Makes room where tokens piled up.
    fn trim(&self) -> sysv::Result<()> {
        for sem in [WAKE_RECEIVERS, WAKE_SENDERS] {
            let spare = self.set.value(sem)? - TOKENS_LEFT;
            if spare > 0 {
                match self.set.op(&[Op::add(sem, -(spare as i16)).nowait()]) {
                    // Somebody else took some: fewer than we saw, and that is all we want.
                    Ok(()) | Err(Errno::EAGAIN) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }

    /// Tries, and trims where tokens are in the way.
    fn trimming(&self, one: impl Fn() -> sysv::Result<()>) -> sysv::Result<()> {
        for _ in 0..TRIMS {
            match one() {
                Err(Errno::ERANGE) => self.trim()?,
                other => return other,
            }
        }
        Err(Errno::ERANGE)
    }
}

/// A nonce for a new channel: 30 bits, never 0.
pub(crate) fn fresh_nonce() -> u32 {
    (process::random_u64() as u32 & NONCE_MAX).max(1)
}

/// What an errno of a call on a set that we are a member of means.
pub(crate) fn fault(call: &'static str) -> impl Fn(Errno) -> Fault {
    move |errno| match errno {
        Errno::EIDRM | Errno::EINVAL => Fault::Removed,
        Errno(errno) => Fault::System { call, errno },
    }
}

impl Gate for Members {
    fn sleep(&self, side: Side, at_most: Duration) -> Result<bool, Fault> {
        // One operation at a time on the way of messages: several would put the whole set behind
        // one lock in the kernel.
        match self.set.op_timeout(&[Op::add(wake(side), -1)], Some(at_most)) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(errno) => Err(fault("semtimedop")(errno)),
        }
    }

    fn post(&self, side: Side) -> Result<(), Fault> {
        match self.set.op(&[Op::add(wake(side), 1)]) {
            // Tens of thousands of tokens lie there already.
            Ok(()) | Err(Errno::ERANGE) => Ok(()),
            Err(errno) => Err(fault("semop")(errno)),
        }
    }

    fn barrier(&self) -> bool {
        process::membarrier()
    }
}

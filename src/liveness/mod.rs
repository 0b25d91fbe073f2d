//! The semaphore set: membership, liveness checks, and the semaphores that waiters block on.
//!
//! # Why no two processes own a seat, and why no dead process owns one
//!
//! Every semaphore starts at zero when the kernel creates it, and zero means free, so no
//! initialisation is needed that a death could interrupt. A process joins with one atomic `semop`.
//! It requires that the lifecycle semaphore is free, that there are users and that the seat is
//! free; it then increments the number of users, takes the seat and arms the death posts. All of
//! this is marked `SEM_UNDO`: when the process ends, for any reason and after its last thread can
//! no longer write, the kernel in one step takes the process' token from the seat, decrements the
//! number of users and posts to the blocked waiters of both sides. Therefore a zero on a seat
//! proves that its holder has ended, and no liveness check uses any other evidence.
//!
//! A post for the moment of death is armed by `{W,+1},{W,-1,UNDO}`: it changes nothing now, and
//! adds one when the process ends. Leaving turns it into an ordinary post, in the same `semop` that
//! gives the seat back.
//!
//! The token of a seat tells the side of its holder, so that the tokens alone tell which side has
//! members. There are two for each, which alternate from holder to holder, so that a holder is told
//! from the next one while that has not signed the members' table yet (`resignation.rs`).
//!
//! What else the death of a sender changes is in `stream.rs`: the end of the stream.
//!
//! The tokens of the wake semaphores are hints (`wait/mod.rs`). Deaths during which no waiter is
//! blocked leave tokens behind, and at 32767 tokens arming would fail. Therefore joining trims
//! them, but never to zero: one token may be for a waiter that is about to block.

mod interrupt;
mod membership;
mod resignation;
mod stream;
mod values;

pub(crate) use self::membership::{Joined, Seated};
pub(crate) use self::resignation::Resigned;
#[cfg(test)]
pub(crate) use self::resignation::Semaphores;
pub(crate) use self::stream::{Departure, Standing};
pub(crate) use self::values::SemaphoreValues;
use crate::error::Fault;
use crate::flavor::{Flavor, SEATS_MAX, SPSC_SEATS};
use crate::role::Side;
use crate::sysv::sem::{Op, Set};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process, sem_undo_probe};
use core::time::Duration;

/// The semaphore held by the process that creates, rebuilds or removes the channel.
pub(crate) const LIFECYCLE: u16 = 0;
/// The number of members.
pub(crate) const USERS: u16 = 1;
/// The wake tokens: parked receivers and senders block on these.
const WAKE_RECEIVERS: u16 = 2;
const WAKE_SENDERS: u16 = 3;
/// The channel's nonce, 15 bits each.
const NONCE: [u16; 2] = [4, 5];
/// The numbers of senders and of receivers.
pub(crate) const SENDERS: u16 = 6;
const RECEIVERS: u16 = 7;
/// Whether a sender has finished since the stream was opened, and the number of senders that died
/// unfinished and have no successor: `stream.rs`.
pub(crate) const FINISHED: u16 = 8;
pub(crate) const DIED: u16 = 9;
/// Values that change when blocked calls of receivers or senders are interrupted: `interrupt.rs`.
const INTERRUPT_RECEIVERS: u16 = 10;
const INTERRUPT_SENDERS: u16 = 11;
/// The token of the first seat.
const FIRST_SEAT: u16 = 12;

/// The largest nonce that two semaphores can hold.
pub(crate) const NONCE_MAX: u32 = (1 << 30) - 1;

/// Number of wake tokens that trimming leaves.
const TOKENS_LEFT: i32 = 64;

/// The value at which the wake-ups of all receivers begin to count again.
const WAKE_ALL_MAX: i16 = 32_000;

/// Maximum number of attempts with trimming. Trimming succeeds at once or, if another semaphore was
/// set to its maximum from outside, never.
const TRIMS: usize = 8;

/// A seat in the members' table, and the side of its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) number: u8,
    pub(crate) side: Side,
}

impl Seat {
    /// Returns the seat of a side of an SPSC channel, or of the sender of a broadcast channel.
    pub(crate) fn of(side: Side) -> Seat {
        let number = match side {
            Side::Senders => 0,
            Side::Receivers => 1,
        };
        Seat { number, side }
    }
}

/// The semaphore set of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelSemaphores {
    pub(crate) set: Set,
}

/// Returns the number of semaphores in the set of a channel with `seats` seats.
pub(crate) fn semaphores(seats: usize) -> i32 {
    i32::from(FIRST_SEAT) + seats as i32
}

/// Returns whether a set of ours can have `count` semaphores.
pub(crate) fn can_be_ours(count: u32) -> bool {
    (semaphores(SPSC_SEATS)..=semaphores(SEATS_MAX)).contains(&(count as i32))
}

/// Returns the incarnation of the next holder of a seat.
pub(crate) fn next_incarnation(last: u32) -> u32 {
    last.wrapping_add(1) & (u32::MAX >> 1)
}

/// Returns the token that the holder with this incarnation adds to its seat. A probe of the undo
/// adds one to that for a moment.
pub(crate) fn token_of(standing: Standing, incarnation: u32) -> i16 {
    let first = match standing {
        Standing::Member(Side::Senders) => 1,
        Standing::Member(Side::Receivers) => 5,
        Standing::Courier => 9,
    };
    first + if incarnation & 1 == 1 { 0 } else { 2 }
}

/// Returns the side that the holder of a seat with this token counts for.
fn side_of(token: u16) -> Option<Side> {
    match token {
        1..=4 => Some(Side::Senders),
        5..=8 => Some(Side::Receivers),
        _ => None,
    }
}

pub(crate) fn seat_sem(seat: u8) -> u16 {
    FIRST_SEAT + u16::from(seat)
}

fn wake_sem(side: Side) -> u16 {
    match side {
        Side::Receivers => WAKE_RECEIVERS,
        Side::Senders => WAKE_SENDERS,
    }
}

fn count_sem(side: Side) -> u16 {
    match side {
        Side::Receivers => RECEIVERS,
        Side::Senders => SENDERS,
    }
}

fn interrupt_sem(side: Side) -> u16 {
    match side {
        Side::Receivers => INTERRUPT_RECEIVERS,
        Side::Senders => INTERRUPT_SENDERS,
    }
}

impl ChannelSemaphores {
    pub(crate) fn new(set: Set) -> ChannelSemaphores {
        ChannelSemaphores { set }
    }

    /// Takes the lifecycle semaphore if no process has it and there are no users.
    pub(crate) fn try_exclusive(&self) -> sysv::Result<bool> {
        let ops =
            [Op::zero(LIFECYCLE).nowait(), Op::zero(USERS).nowait(), Op::add(LIFECYCLE, 1).undo()];
        match self.set.op(&ops) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Returns whether [`try_exclusive`](Self::try_exclusive) would succeed, and changes nothing.
    pub(crate) fn is_unused(&self) -> sysv::Result<bool> {
        Ok(self.set.value(LIFECYCLE)? == 0 && self.set.value(USERS)? == 0)
    }

    /// Takes the lifecycle semaphore even if the channel has users.
    pub(crate) fn lock(&self, deadline: Option<Deadline>) -> sysv::Result<()> {
        self.set.op_until(&[Op::zero(LIFECYCLE), Op::add(LIFECYCLE, 1).undo()], deadline)
    }

    /// Takes the lifecycle semaphore even if the channel has users, unless another process has it.
    pub(crate) fn try_lock(&self) -> sysv::Result<bool> {
        match self.set.op(&[Op::zero(LIFECYCLE).nowait(), Op::add(LIFECYCLE, 1).undo()]) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until no process has the lifecycle semaphore.
    pub(crate) fn settled(&self, deadline: Option<Deadline>) -> sysv::Result<()> {
        self.set.op_until(&[Op::zero(LIFECYCLE)], deadline)
    }

    /// Releases the lifecycle semaphore. A failure that does not mean that the set was removed has
    /// no lasting reason, and would keep all other processes out as long as this one lives; so the
    /// operation is tried once more.
    pub(crate) fn unlock(&self) -> sysv::Result<()> {
        let back = || self.set.op(&[Op::add(LIFECYCLE, -1).undo().nowait()]);
        match back() {
            Err(errno) if errno != Errno::EIDRM && errno != Errno::EINVAL => back(),
            other => other,
        }
    }

    /// Returns whether the kernel would report our death. The seat is ours, so no other process
    /// changes its token.
    pub(crate) fn is_mortal(&self, seat: Seat) -> bool {
        sem_undo_probe::works(self.set, seat_sem(seat.number))
    }

    /// Returns whether this side of a channel with `seats` seats has a living member.
    pub(crate) fn is_there(&self, flavor: Flavor, seats: usize, side: Side) -> sysv::Result<bool> {
        match resignation::is_alone(flavor, side) {
            true => Ok(self.set.value(count_sem(side))? != 0),
            // The count may be too high.
            false => Ok(self.semaphore_values(seats)?.is_there(side)),
        }
    }

    /// Returns whether a living process has this seat.
    pub(crate) fn is_taken(&self, seat: u8) -> sysv::Result<bool> {
        Ok(self.set.value(seat_sem(seat))? != 0)
    }

    /// Returns the pid of the seat's holder or last holder, as [`shown_pid`](Self::shown_pid) does.
    pub(crate) fn pid(&self, seat: u8) -> sysv::Result<u32> {
        Ok(self.set.pid(seat_sem(seat))? as u32)
    }

    /// Returns the pid of the seat's holder or last holder for a person or a program to act on: the
    /// number that it has in the PID namespace of this process, which only the kernel knows. It is 0
    /// if the process is not visible from here, if the seat never had a holder, and if the set was
    /// removed. The pid in the member's record is in the member's own namespace, and may be that of
    /// another process here.
    pub(crate) fn shown_pid(&self, seat: u8) -> u32 {
        self.pid(seat).unwrap_or(0)
    }

    /// Returns whether the kernel still counts this process as the holder of its seat.
    pub(crate) fn is_own(&self, seat: Seat) -> sysv::Result<bool> {
        Ok(self.is_taken(seat.number)? && self.pid(seat.number)? == process::pid())
    }

    /// Returns the tokens of all seats at one instant; a token is not 0 if a living process has the
    /// seat.
    fn tokens(&self, seats: usize) -> sysv::Result<Vec<u16>> {
        let mut values = self.set.values()?;
        let tokens = values.split_off(usize::from(FIRST_SEAT).min(values.len()));
        // A set with another number of seats is another channel's.
        if tokens.len() == seats { Ok(tokens) } else { Err(Errno::EIDRM) }
    }

    /// Blocks until a wake token of this side is available, for at most `at_most`, and consumes it;
    /// an interrupt after `seen` ends it.
    ///
    /// Without `seen`, the `semop` consists of a single operation, because this is on the path of
    /// messages: several operations make the kernel lock the whole set.
    pub(crate) fn sleep(
        &self,
        side: Side,
        seen: Option<u16>,
        at_most: Duration,
    ) -> sysv::Result<()> {
        self.op_unless_interrupted(side, seen, &[Op::add(wake_sem(side), -1)], at_most)
    }

    /// Posts a wake token.
    pub(crate) fn post(&self, side: Side) -> sysv::Result<()> {
        match self.set.op(&[Op::add(wake_sem(side), 1)]) {
            // Tens of thousands of tokens are already available.
            Err(Errno::ERANGE) => Ok(()),
            other => other,
        }
    }

    /// Wakes every receiver of a broadcast channel that is parked, or that has read the interrupt
    /// semaphore and is about to park.
    ///
    /// The value stays below the maximum by far: at the maximum, the end of a process, which adds 1,
    /// would change nothing.
    pub(crate) fn wake_receivers(&self) -> sysv::Result<()> {
        const SPARE: i16 = i16::MAX - WAKE_ALL_MAX;
        let sem = INTERRUPT_RECEIVERS;
        match self.set.op(&[Op::add(sem, SPARE).nowait(), Op::add(sem, 1 - SPARE).nowait()]) {
            // It begins again. If it is lower by now, another process has changed it.
            Err(Errno::ERANGE) => match self.set.op(&[Op::add(sem, -WAKE_ALL_MAX).nowait()]) {
                Err(Errno::EAGAIN) => Ok(()),
                other => other,
            },
            other => other,
        }
    }

    /// Returns the value of the interrupt semaphore that a receiver of a broadcast channel watches
    /// while it is parked. It is below the maximum: the end of a process changes it.
    pub(crate) fn value_to_watch(&self) -> sysv::Result<u16> {
        let value = self.interrupts(Side::Receivers)?;
        if value <= WAKE_ALL_MAX as u16 {
            return Ok(value);
        }
        self.wake_receivers()?;
        self.interrupts(Side::Receivers)
    }

    /// Consumes `tokens` wake tokens if that many are still available.
    pub(crate) fn drain(&self, side: Side, tokens: u16) -> sysv::Result<()> {
        let tokens = i16::try_from(tokens).unwrap_or(i16::MAX);
        match self.set.op(&[Op::add(wake_sem(side), -tokens).nowait()]) {
            // Another process consumed some of them: about as many are gone as were to be removed.
            Err(Errno::EAGAIN) => Ok(()),
            other => other,
        }
    }

    /// Waits until the other side than `own` has a member, for at most `at_most`. It waits for the
    /// state itself and consumes nothing, so that every process that waits for it continues. An
    /// interrupt of the own side after `seen` ends it.
    pub(crate) fn await_peer(
        &self,
        own: Side,
        seen: Option<u16>,
        at_most: Duration,
    ) -> sysv::Result<()> {
        let peers = count_sem(own.other());
        self.op_unless_interrupted(own, seen, &[Op::add(peers, -1), Op::add(peers, 1)], at_most)
    }

    /// Blocks for `time`. It waits until the channel has no members, which never happens while the
    /// caller is a member; only the removal of the set, and an interrupt of this side after `seen`,
    /// end the wait early.
    pub(crate) fn nap(&self, side: Side, seen: Option<u16>, time: Duration) -> sysv::Result<()> {
        match self.op_unless_interrupted(side, seen, &[Op::zero(USERS)], time) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            other => other,
        }
    }

    /// Returns the pid of the process that has or last had the lifecycle semaphore, as
    /// [`shown_pid`](Self::shown_pid) does.
    pub(crate) fn builder(&self) -> u32 {
        self.set.pid(LIFECYCLE).map_or(0, |pid| pid as u32)
    }

    /// Returns the nonce.
    pub(crate) fn nonce(&self) -> sysv::Result<u32> {
        let low = self.set.value(NONCE[0])? as u32;
        let high = self.set.value(NONCE[1])? as u32;
        Ok(low | high << 15)
    }

    /// Binds the set to a segment that it has not served yet: stores the nonce, and opens the
    /// stream. Must be called only while the lifecycle semaphore is held and there are no users, so
    /// that no process has an operation on these semaphores to be undone.
    pub(crate) fn begin(&self, nonce: u32) -> sysv::Result<()> {
        // First: a set whose nonce is that of a segment is bound to it completely.
        for sem in [FINISHED, DIED] {
            self.set.set_value(sem, 0)?;
        }
        self.set.set_value(NONCE[0], (nonce & 0x7fff) as i32)?;
        self.set.set_value(NONCE[1], (nonce >> 15 & 0x7fff) as i32)
    }

    /// Removes surplus wake tokens.
    fn trim(&self) -> sysv::Result<()> {
        // Its value means nothing; only a change does.
        let value = self.set.value(INTERRUPT_RECEIVERS)?;
        if value > i32::from(WAKE_ALL_MAX) {
            match self.set.op(&[Op::add(INTERRUPT_RECEIVERS, -(value as i16)).nowait()]) {
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        for sem in [WAKE_RECEIVERS, WAKE_SENDERS] {
            let spare = self.set.value(sem)? - TOKENS_LEFT;
            if spare > 0 {
                match self.set.op(&[Op::add(sem, -(spare as i16)).nowait()]) {
                    // Another process consumed some, so there are fewer than we read, as intended.
                    Ok(()) | Err(Errno::EAGAIN) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }

    /// Performs an operation, trimming the wake tokens if they prevent it.
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

/// Returns a nonce for a new channel: 30 bits, never 0.
pub(crate) fn fresh_nonce() -> u32 {
    (process::random_u64() as u32 & NONCE_MAX).max(1)
}

/// Returns the fault for an errno of a call on the set of a channel that we are a member of.
pub(crate) fn fault(call: &'static str) -> impl Fn(Errno) -> Fault {
    move |errno| match errno {
        // EFAULT: the identifier was reused for a larger set.
        Errno::EIDRM | Errno::EINVAL | Errno::EFAULT => Fault::Removed,
        // It was granted when the channel was opened.
        Errno::EACCES => Fault::PermissionLost,
        Errno(errno) => Fault::System { call, errno },
    }
}

//! The semaphore set: who is a member, who died, and the semaphores that waiters sleep on.
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
//! The wake semaphores' tokens are hints (`wait/mod.rs`). Deaths that nobody sleeps through leave tokens
//! behind, and at 32767 arming would fail, so joining trims them, never to zero: one may be for a
//! waiter that is not yet asleep.

use crate::error::Fault;
use crate::flavor::{Flavor, SEATS_MAX, SPSC_SEATS};
use crate::role::Side;
use crate::sysv::sem::{Op, Set};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process, sem_undo_probe};
use core::time::Duration;

/// Held by whoever creates, rebuilds or removes.
pub(crate) const LIFECYCLE: u16 = 0;
/// How many members there are.
pub(crate) const USERS: u16 = 1;
/// Wake tokens: receivers and senders sleep here.
const WAKE_RECEIVERS: u16 = 2;
const WAKE_SENDERS: u16 = 3;
/// The channel's nonce, 15 bits each.
const NONCE: [u16; 2] = [4, 5];
/// How many senders and receivers there are.
const SENDERS: u16 = 6;
const RECEIVERS: u16 = 7;
/// The seats' tokens.
const FIRST_SEAT: u16 = 8;

/// The nonce has as many bits as two semaphores can hold.
pub(crate) const NONCE_MAX: u32 = (1 << 30) - 1;

/// Wake tokens that trimming leaves.
const TOKENS_LEFT: i32 = 64;

/// Trimming helps at once or, where somebody set another semaphore to its limit, never.
const TRIMS: usize = 8;

/// A place in the members' table, and what its holder does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) number: u8,
    pub(crate) side: Side,
}

impl Seat {
    /// The seat of a side of a one-to-one channel.
    pub(crate) fn of(side: Side) -> Seat {
        let number = match side {
            Side::Senders => 0,
            Side::Receivers => 1,
        };
        Seat { number, side }
    }
}

/// The set of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelSemaphores {
    pub(crate) set: Set,
}

/// Semaphores of the largest channel.
const SEMAPHORES_MAX: usize = FIRST_SEAT as usize + SEATS_MAX;

/// All semaphores of a channel, at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Lives([u16; SEMAPHORES_MAX]);

impl Lives {
    /// Of a channel without members.
    #[cfg(test)]
    pub(crate) fn new() -> Lives {
        Lives([0; SEMAPHORES_MAX])
    }

    /// With another member.
    #[cfg(test)]
    pub(crate) fn seat(&mut self, seat: Seat) {
        self.0[usize::from(token(seat.number))] = 1;
        self.0[usize::from(count(seat.side))] += 1;
    }

    /// With so many wake tokens.
    #[cfg(test)]
    pub(crate) fn set_tokens(&mut self, side: Side, tokens: u16) {
        self.0[usize::from(wake(side))] = tokens;
    }

    /// Whether somebody alive has this seat.
    pub(crate) fn is_taken(&self, seat: u8) -> bool {
        self.0.get(usize::from(token(seat))).is_some_and(|&value| value != 0)
    }

    /// Whether somebody alive is on this side.
    pub(crate) fn is_there(&self, side: Side) -> bool {
        self.0[usize::from(count(side))] != 0
    }

    /// Wake tokens of this side.
    pub(crate) fn tokens(&self, side: Side) -> u16 {
        self.0[usize::from(wake(side))]
    }
}

/// What came of trying to join.
#[derive(Debug, PartialEq)]
pub(crate) enum Joined {
    Seated(Seat),
    /// There were no members, whoever comes next rebuilds; or what was in the way is gone. Look again.
    NotNow,
    /// Somebody alive sits there.
    Taken {
        pid: u32,
    },
    /// Everywhere sits somebody alive.
    Full,
    /// Somebody held the lifecycle semaphore until the deadline.
    Busy {
        pid: u32,
    },
}

/// Semaphores in the set of a channel with so many seats.
pub(crate) fn semaphores(seats: usize) -> i32 {
    i32::from(FIRST_SEAT) + seats as i32
}

/// Whether a set of ours can have so many semaphores.
pub(crate) fn can_be_ours(count: u32) -> bool {
    (semaphores(SPSC_SEATS)..=semaphores(SEATS_MAX)).contains(&(count as i32))
}

fn token(seat: u8) -> u16 {
    FIRST_SEAT + u16::from(seat)
}

fn wake(side: Side) -> u16 {
    match side {
        Side::Receivers => WAKE_RECEIVERS,
        Side::Senders => WAKE_SENDERS,
    }
}

fn count(side: Side) -> u16 {
    match side {
        Side::Receivers => RECEIVERS,
        Side::Senders => SENDERS,
    }
}

/// The sides that must hear of the end of a member. Of many, its own side too: somebody has to take
/// over what it had in hand.
fn semaphores_to_notify(flavor: Flavor, side: Side) -> impl Iterator<Item = u16> {
    let own = (flavor == Flavor::Mpmc).then_some(wake(side));
    [wake(side.other())].into_iter().chain(own)
}

/// Takes the seat and arms its holder's death posts.
fn sit(flavor: Flavor, seat: Seat) -> Vec<Op> {
    let token = token(seat.number);
    let mut ops = vec![
        Op::add(USERS, 1).undo(),
        Op::add(count(seat.side), 1).undo(),
        Op::zero(token).nowait(),
        Op::add(token, 1).undo(),
    ];
    for post in semaphores_to_notify(flavor, seat.side) {
        ops.extend([Op::add(post, 1), Op::add(post, -1).undo()]);
    }
    ops
}

impl ChannelSemaphores {
    pub(crate) fn new(set: Set) -> ChannelSemaphores {
        ChannelSemaphores { set }
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

    /// Gives the lifecycle semaphore back. A failure that does not mean that the set is gone has no
    /// reason that lasts, and as long as this process lives everybody would be kept out: once more.
    pub(crate) fn unlock(&self) -> sysv::Result<()> {
        let back = || self.set.op(&[Op::add(LIFECYCLE, -1).undo().nowait()]);
        match back() {
            Err(errno) if errno != Errno::EIDRM && errno != Errno::EINVAL => back(),
            other => other,
        }
    }

    /// Gives the lifecycle semaphore back and takes the first seat, in one step.
    pub(crate) fn unlock_and_join(&self, flavor: Flavor, side: Side) -> sysv::Result<Seat> {
        let seat = match flavor {
            Flavor::Spsc => Seat::of(side),
            Flavor::Mpmc => Seat { number: 0, side },
        };
        let mut ops = vec![Op::add(LIFECYCLE, -1).undo().nowait()];
        ops.extend(sit(flavor, seat));
        self.trimming(|| self.set.op(&ops)).map(|()| seat)
    }

    /// Joins a channel that has members and `seats` seats.
    pub(crate) fn join(
        &self,
        flavor: Flavor,
        seats: usize,
        side: Side,
        deadline: Option<Deadline>,
    ) -> sysv::Result<Joined> {
        let seat = match flavor {
            Flavor::Spsc => Seat::of(side),
            Flavor::Mpmc => match self.tokens(seats)?.iter().position(|&token| token == 0) {
                Some(free) => Seat { number: free as u8, side },
                None => return Ok(Joined::Full),
            },
        };
        let mut ops =
            vec![Op::zero(LIFECYCLE), Op::add(USERS, -1).nowait(), Op::add(USERS, 1).nowait()];
        ops.extend(sit(flavor, seat));
        match self.trimming(|| self.set.op_until(&ops, deadline)) {
            Ok(()) => return Ok(Joined::Seated(seat)),
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
        // It could not be at that moment; what is in the way now?
        if flavor == Flavor::Spsc && self.is_taken(seat.number)? {
            return Ok(Joined::Taken { pid: self.pid(seat.number).unwrap_or(0) });
        }
        // Somebody may have taken it only since.
        let waited = deadline.is_some_and(|d| d.passed());
        if waited && self.set.value(LIFECYCLE)? != 0 {
            return Ok(Joined::Busy { pid: self.builder().unwrap_or(0) });
        }
        Ok(Joined::NotNow)
    }

    /// Whether the kernel would tell of our death. The seat is ours: nobody else moves its token.
    pub(crate) fn is_mortal(&self, seat: Seat) -> bool {
        sem_undo_probe::works(self.set, token(seat.number))
    }

    /// Gives the seat back and wakes whom it concerns, in one step.
    pub(crate) fn leave(&self, flavor: Flavor, seat: Seat) -> sysv::Result<()> {
        let mut ops = vec![
            Op::add(token(seat.number), -1).undo().nowait(),
            Op::add(count(seat.side), -1).undo().nowait(),
            Op::add(USERS, -1).undo().nowait(),
        ];
        ops.extend(semaphores_to_notify(flavor, seat.side).map(|post| Op::add(post, 1).undo()));
        self.trimming(|| self.set.op(&ops))
    }

    /// Whether somebody alive is on this side.
    pub(crate) fn is_there(&self, side: Side) -> sysv::Result<bool> {
        Ok(self.set.value(count(side))? != 0)
    }

    /// Whether somebody alive has this seat.
    pub(crate) fn is_taken(&self, seat: u8) -> sysv::Result<bool> {
        Ok(self.set.value(token(seat))? != 0)
    }

    /// Who sits there, or sat there last. 0 when nobody ever did.
    pub(crate) fn pid(&self, seat: u8) -> sysv::Result<u32> {
        Ok(self.set.pid(token(seat))? as u32)
    }

    /// Whether the kernel still counts this process as the holder of its seat.
    pub(crate) fn is_own(&self, seat: Seat) -> sysv::Result<bool> {
        Ok(self.is_taken(seat.number)? && self.pid(seat.number)? == process::pid())
    }

    /// All seats at one instant; not 0 where somebody alive sits.
    fn tokens(&self, seats: usize) -> sysv::Result<Vec<u16>> {
        let mut values = self.set.values()?;
        let tokens = values.split_off(usize::from(FIRST_SEAT).min(values.len()));
        // A set that lost seats is another one.
        if tokens.len() == seats { Ok(tokens) } else { Err(Errno::EIDRM) }
    }

    /// All semaphores of a channel with so many seats; `EFAULT` where the set has more.
    pub(crate) fn lives(&self, seats: usize) -> sysv::Result<Lives> {
        let mut lives = Lives([0; SEMAPHORES_MAX]);
        let count = (semaphores(seats) as usize).min(SEMAPHORES_MAX);
        self.set.values_into(&mut lives.0[..count])?;
        Ok(lives)
    }

    /// Sleeps until there is a wake token of this side, for at most so long, and eats it.
    ///
    /// One operation at a time on the way of messages: several would put the whole set behind one lock
    /// in the kernel.
    pub(crate) fn sleep(&self, side: Side, at_most: Duration) -> sysv::Result<()> {
        self.set.op_timeout(&[Op::add(wake(side), -1)], Some(at_most))
    }

    /// Posts a wake token.
    pub(crate) fn post(&self, side: Side) -> sysv::Result<()> {
        match self.set.op(&[Op::add(wake(side), 1)]) {
            // Tens of thousands of tokens are there already.
            Err(Errno::ERANGE) => Ok(()),
            other => other,
        }
    }

    /// Takes so many wake tokens, if they are still there.
    pub(crate) fn drain(&self, side: Side, tokens: u16) -> sysv::Result<()> {
        let tokens = i16::try_from(tokens).unwrap_or(i16::MAX);
        match self.set.op(&[Op::add(wake(side), -tokens).nowait()]) {
            // Somebody took some: as many are gone as were to go, or almost.
            Err(Errno::EAGAIN) => Ok(()),
            other => other,
        }
    }

    /// Waits until somebody is on that side, for at most so long: for the state itself, so that
    /// everybody who waits for it goes on.
    pub(crate) fn await_side(&self, side: Side, at_most: Duration) -> sysv::Result<()> {
        let ops = [Op::add(count(side), -1), Op::add(count(side), 1)];
        self.set.op_timeout(&ops, Some(at_most))
    }

    /// Sleeps for a while: a member waits for a channel without members. What ends it early is the end of
    /// the set.
    pub(crate) fn nap(&self, time: Duration) -> sysv::Result<()> {
        match self.set.op_timeout(&[Op::zero(USERS)], Some(time)) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            other => other,
        }
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
        // The last: its identifier is a larger set's by now.
        Errno::EIDRM | Errno::EINVAL | Errno::EFAULT => Fault::Removed,
        Errno(errno) => Fault::System { call, errno },
    }
}

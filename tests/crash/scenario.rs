//! One case: a channel in some state, an operation, and the process on the other side.

use std::sync::atomic::Ordering::Acquire;
use sysvring::{Address, Error, Lifetime, Options, Redelivery, Wait};

use sysvring_support::raw_ipc::{
    self, FIRST_SEAT, SENDERS, Segment, USERS, WAKE_RECEIVERS, WAKE_SENDERS, at,
};

use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::ledger::Report;
use crate::steps::messages::{CAPACITY, State};
use crate::steps::report::{Shared, Span};

/// The number of seats of every MPMC channel here.
pub const MEMBERS: usize = 6;
/// A seat that no process gets while fewer than four have joined. What a dead member left there is
/// found by any member that encounters it.
pub const FAR: usize = 3;
/// The seat of the next process that joins, which cleans up what the dead member left there.
pub const NEAR: usize = 0;

/// Which process there is besides the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Nobody,
    /// A process on the other side that does nothing.
    Idle,
    /// A process that sleeps in `recv` or `send`.
    Asleep,
    /// A process that does nothing until the victim sleeps, and then wakes it.
    Late,
    /// MPMC: a process of the victim's own side that joined when the victim had its slots and
    /// messages in flight, and that sleeps.
    SameSide,
    /// A process on the other side that waits in a set, with its doorbell armed.
    Armed,
    /// MPMC: the same on the victim's own side.
    ArmedBeside,
}

impl Other {
    pub fn sleeps(self) -> bool {
        matches!(self, Other::Asleep | Other::SameSide) || self.is_armed()
    }

    pub fn is_armed(self) -> bool {
        matches!(self, Other::Armed | Other::ArmedBeside)
    }

    /// Returns whether it is on the victim's side.
    pub fn is_beside(self) -> bool {
        matches!(self, Other::SameSide | Other::ArmedBeside)
    }
}

/// What exists when the victim starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// A channel in the state of the case.
    Channel,
    /// The same, but its set was removed.
    WithoutSet,
    /// A set, and a segment without magic, because its creator died.
    HalfMade,
    /// A channel whose last sender was killed, with nothing in flight.
    Died,
    /// A channel whose stream has ended.
    Ended,
    /// Many objects that dead processes left.
    Leftovers,
    /// A private channel, which the peer makes.
    Private,
    /// MPMC: a channel in which a member of this side died in this seat with a slot or messages in
    /// flight.
    Dead(Side, usize),
}

/// A case, as the victim, the peer and the survivors see it.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub flavor: Flavor,
    pub key: i32,
    pub shared: Shared,
    pub state: State,
    pub other: Other,
    pub before: Before,
    pub lifetime: Lifetime,
    /// What becomes of messages that are not acknowledged.
    pub redelivery: Redelivery,
    /// The victim's side.
    pub side: Side,
    pub segment: i32,
    /// Whether a process has message queues.
    pub has_queues: bool,
}

impl Scenario {
    /// Returns the options that all sides open the channel with. Spinning is off, because the
    /// number of spins would depend on the time, and the victim is slowed down.
    pub fn options(&self) -> Options {
        match self.shared.id.get().parse() {
            Ok(id) => self.sized(Options::id(id)),
            Err(_) => self.sized(Options::key(self.key).lifetime(self.lifetime)),
        }
    }

    /// Returns the options of a new private channel.
    pub fn private(&self) -> Options {
        self.sized(Options::private())
    }

    fn sized(&self, options: Options) -> Options {
        let options = options.capacity(CAPACITY as usize).wait(Wait::Park);
        let options = match self.redelivery {
            Redelivery::DeadLetter { after } => options.dead_letters(self.letters(), after),
            redelivery => options.redelivery(redelivery),
        };
        match self.flavor {
            Flavor::Spsc => options,
            Flavor::Mpmc => options.max_members(MEMBERS),
        }
    }

    /// Returns the name of the dead-letter channel.
    pub fn letters(&self) -> String {
        format!("crash-letters-{:x}", self.key)
    }

    pub fn tx(&self, how: How) -> Result<Tx, Error> {
        Tx::reach(self.flavor, how, self.options())
    }

    pub fn rx(&self, how: How) -> Result<Rx, Error> {
        Rx::reach(self.flavor, how, self.options())
    }

    /// Returns the report of the victim.
    #[inline(always)]
    pub fn of_victim(&self) -> &Report {
        match self.flavor {
            Flavor::Spsc => &self.shared.ledger.stream,
            Flavor::Mpmc => &self.shared.ledger.victim,
        }
    }

    /// Returns the report of the peer, or of the process that follows the victim.
    #[inline(always)]
    pub fn of_peer(&self) -> &Report {
        match self.flavor {
            Flavor::Spsc => &self.shared.ledger.stream,
            Flavor::Mpmc => &self.shared.ledger.peer,
        }
    }

    /// A successor took the victim's seat. In an SPSC channel, its position must be consistent with
    /// the victim's report. From then on, the position is known.
    pub fn continue_at(&self, reported: Span, position: Option<u64>) {
        let Some(position) = position else { return };
        let n = position.wrapping_sub(self.state.base);
        let (min, max) = reported.get();
        if !(min..=max).contains(&n) {
            self.shared.ledger.wrong.set(1);
        }
        reported.set(n);
    }

    pub fn address(&self) -> Address {
        Address::Key(self.key)
    }

    /// Returns whether a member of this side sleeps.
    pub fn is_asleep(&self, side: Side) -> bool {
        match self.other.is_armed() {
            true => self.is_armed(side),
            false => raw_ipc::set_of(self.key).is_some_and(|set| is_asleep(set, side)),
        }
    }

    /// Returns whether the doorbell of a member of this side is armed and not rung. The victim's does
    /// not count if another one is waited for.
    pub fn is_armed(&self, side: Side) -> bool {
        self.has_word(side, ARMED)
    }

    /// Returns whether it is armed and rung. A process that joins rings without a reason, and may be
    /// killed after it set that bit: then the next one rings again.
    pub fn is_rung(&self, side: Side) -> bool {
        self.has_word(side, ARMED | RUNG)
    }

    fn has_word(&self, side: Side, bits: u64) -> bool {
        let Some(segment) = raw_ipc::segment_of(self.key) else { return false };
        let Ok(memory) = Segment::attach(segment) else { return false };
        let seats = if self.flavor == Flavor::Spsc { 2 } else { MEMBERS };
        let receiver = if side == Side::Receiver { RECEIVER } else { 0 };
        let set = raw_ipc::set_of(self.key).expect("a set");
        let victim = self.shared.victim_pid.get() as i32;
        (0..seats).any(|seat| {
            let word = memory.u64(at::MEMBERS + seat * at::MEMBER + at::ARMED).load(Acquire);
            word & (ARMED | RUNG | RECEIVER) == bits | receiver
                && (self.other.is_armed() == (raw_ipc::pid(set, FIRST_SEAT + seat) != victim))
        })
    }
}

/// The bits of the word of an armed member.
const ARMED: u64 = 1;
const RUNG: u64 = 2;
const RECEIVER: u64 = 4;

/// Returns whether a member of this side sleeps in the channel of a set.
pub fn is_asleep(set: i32, side: Side) -> bool {
    let waiting = |semaphore| raw_ipc::waiting(set, semaphore) > 0;
    // It waits for a wake-up, for a member of the other side, or for the next poll of a flush.
    waiting(side.wake())
        || waiting(side.other().count())
        || raw_ipc::waiting_for_zero(set, USERS) > 0
}

/// The semaphores of a side in the set of a channel.
impl Side {
    /// Returns the index of the semaphore that counts its members.
    pub fn count(self) -> usize {
        SENDERS + self as usize
    }

    /// Returns the index of the semaphore that it parks on.
    pub fn wake(self) -> usize {
        [WAKE_SENDERS, WAKE_RECEIVERS][self as usize]
    }

    /// Returns the index of the semaphore of its seat in an SPSC channel.
    pub fn seat(self) -> usize {
        FIRST_SEAT + self as usize
    }
}

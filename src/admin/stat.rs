//! What a snapshot of a channel's state holds. How it is read is in `stat/read.rs`, its text form in
//! `stat/text.rs`.

pub(crate) mod rates;
mod read;
mod text;

use std::time::SystemTime;

pub(crate) use self::read::describe_as;
use super::missing_set::MissingSet;
use crate::address::ChannelId;
use crate::error::DeadLetterFailure;
use crate::flavor::Flavor;
use crate::liveness::SemaphoreValues;
use crate::role::Side;
use crate::segment::{Lifetime, Redelivery};
use crate::structure::Structure;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::SegmentStat;

/// A snapshot of a channel's state.
///
/// Each number is read once, one after the other, while the members go on: numbers that belong
/// together differ by what happened in between. [`since`](Stat::since) compares two snapshots.
///
/// With the feature `serde`, it can be serialised: its fields keep their names, and times are seconds
/// since 1970. `docs/operations.md` describes the rest.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stat {
    /// When the snapshot was taken.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::sysv::seconds::serialize"))]
    pub taken: SystemTime,
    /// The identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub id: ChannelId,
    /// The name; empty for raw keys, files and private channels. Like every field except `segment`
    /// and `set`, which the kernel reports, it can be forged by any process that may write to the
    /// segment.
    pub name: String,
    /// The System V key, 0 for private channels.
    pub key: i32,
    /// The kind of channel.
    pub flavor: Flavor,
    /// The lifetime of the channel.
    pub lifetime: Lifetime,
    /// Whether the kernel removes this kept channel, with its messages, as soon as no process has it
    /// attached: `kernel.shm_rmid_forced` is 1. No kept channel is created then, but the setting can
    /// be changed later.
    pub lost_without_members: bool,
    /// The time at which it was created.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::sysv::seconds::serialize"))]
    pub created: SystemTime,
    /// Whether it is a broadcast channel whose sender waits for no receiver.
    pub overwriting: bool,
    /// Number of slots in the ring.
    pub capacity: usize,
    /// Size of the longest message in bytes.
    pub slot_size: usize,
    /// Distance from one slot to the next in bytes.
    pub stride: usize,
    /// Whether messages have variable length.
    pub variable: bool,
    /// Size in bytes of a message, or of the part before its trailing slice.
    pub message_size: usize,
    /// Size in bytes of one element of a message's trailing slice; 0 for messages of one size.
    pub message_element: usize,
    /// Alignment of a message in bytes.
    pub message_align: usize,
    /// The structure of the message type; `None` if the type of the channel's creator does not describe
    /// itself.
    pub structure: Option<Structure>,
    /// The schema number that users chose for the message type; 0 for none.
    pub schema: u64,
    /// Number of messages sent and not yet acknowledged; see
    /// [`depth_is_exact`](Stat::depth_is_exact). In a broadcast channel, those that the slowest receiver
    /// has not acknowledged, also one that died until the sender needs room; 0 without receivers.
    pub depth: u64,
    /// Whether `depth` was counted, which is always the case for channels of the calling user and
    /// for all SPSC and broadcast channels. In an MPMC channel of another user at most 4096 slots are inspected;
    /// where that is not enough, `depth` is the difference of `tail` and `head`.
    pub depth_is_exact: bool,
    /// Number of messages that could be sent now, if none were acknowledged meanwhile: 0 if a
    /// `try_send` would return [`Full`](crate::SendError::Full). It is less than the free slots
    /// where some of them lie behind a message that no receiver took: the order forbids to use
    /// those. As exact as [`depth`](Stat::depth).
    pub room: u64,
    /// MPMC: number of messages that were delivered and not acknowledged: those that receivers hold,
    /// dead ones included, and `orphaned`. `None` if that is not known, as for each member.
    pub in_flight: Option<u64>,
    /// MPMC: number of messages in flight that no receiver holds any more, because it died or gave
    /// them up: they wait for another receiver.
    pub orphaned: u64,
    /// The next position to receive; for broadcast channels that of the slowest receiver. For MPMC
    /// channels this is a hint that lags by at most 16 positions per receiver.
    pub head: u64,
    /// The next position to send. For MPMC channels this is a hint that lags by at most 16
    /// positions per sender.
    pub tail: u64,
    /// What happens to a message that was not acknowledged.
    pub redelivery: Redelivery,
    /// Number of redeliveries since the channel was created.
    pub redelivered: u64,
    /// Number of messages that were [dropped](Redelivery::Never) with their receiver.
    pub dropped: u64,
    /// Number of messages that receivers rejected.
    pub rejected: u64,
    /// The name of the [dead-letter channel](crate::Options::dead_letters).
    pub dead_letter_channel: Option<String>,
    /// Number of messages that were moved to the dead-letter channel.
    pub dead_letters: u64,
    /// Number of times that a message could not be moved there.
    pub dead_letter_failures: u64,
    /// The reason of the last such failure.
    pub last_dead_letter_failure: Option<DeadLetterFailure>,
    /// Number of messages that were discarded as poison after the
    /// [maximum number](Redelivery::Discard) of deliveries.
    pub poisoned: u64,
    /// The position of the last message discarded as poison.
    pub last_poisoned: Option<u64>,
    /// Number of times that a waiting member missed its wake-up and found by its own periodic check
    /// that the awaited event had happened. It stays 0 unless a process was stopped while it was
    /// about to wake another one.
    pub overslept: u64,
    /// The kernel's information about the segment.
    pub segment: SegmentStat,
    /// The kernel's information about the set; `None` if the set was removed or is not the
    /// channel's.
    pub set: Option<SetStat>,
    /// Why there is no `set`; `None` if there is one.
    pub missing_set: Option<MissingSet>,
    /// Whether the stream of messages has ended.
    pub stream: StreamState,
    /// Number of senders that died without having finished and have no successor yet: each sender
    /// that joins succeeds one of them. While it is not 0, the stream does not end.
    pub lost_senders: u32,
    /// Number of members that have joined since the channel was created; it wraps around at 2^32.
    pub joins: u32,
    /// Number of `members` that died: nobody has taken their seats since. 0 if there is no set to
    /// tell.
    pub deaths: u32,
    /// The current members, and the last members of free seats.
    pub members: Vec<Member>,
    /// When the snapshot was taken, in nanoseconds of the monotonic clock.
    #[cfg_attr(feature = "serde", serde(skip))]
    taken_at: u64,
    /// The first position that no sender has claimed, and a position before which so many are
    /// acknowledged: as exact as `depth`.
    #[cfg_attr(feature = "serde", serde(skip))]
    sent_to: u64,
    #[cfg_attr(feature = "serde", serde(skip))]
    received_to: u64,
}

impl Stat {
    /// Returns whether a member is known to have died.
    fn is_dead(&self, member: &Member) -> bool {
        self.set.is_some() && !member.alive && !member.left
    }
}

/// The state of a channel's stream of messages, as the kernel records it. It is open, too, if the
/// set was removed or may not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum StreamState {
    /// No sender has finished since the stream was opened.
    Open,
    /// A sender has [finished](crate::mpmc::Sender::finish), but another one is still there, or died
    /// without a successor.
    Finished,
    /// No message follows until a sender joins, which opens the next stream. Receivers get
    /// [`RecvError::Disconnected`](crate::RecvError::Disconnected) once the ring is drained.
    Ended,
}

impl StreamState {
    fn of(values: &SemaphoreValues) -> StreamState {
        match (values.is_ended(), values.is_finished()) {
            (true, _) => StreamState::Ended,
            (false, true) => StreamState::Finished,
            (false, false) => StreamState::Open,
        }
    }
}

/// An entry of the members' table.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Member {
    /// The number of the seat.
    pub seat: usize,
    /// Whether the member sends or receives.
    pub role: Role,
    /// The pid of its process, in the PID namespace of the calling process (0: not visible there, or
    /// the set was removed, and with it the kernel's knowledge of it).
    pub pid: u32,
    /// The label that the member chose.
    pub label: String,
    /// Whether the member is alive now, according to the kernel and not to the header.
    pub alive: bool,
    /// Whether it left of its own accord. A member that is neither alive nor left died.
    pub left: bool,
    /// The time at which it joined.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::sysv::seconds::serialize"))]
    pub joined: SystemTime,
    /// Its next position, or the position where it stopped. For MPMC channels, the position after
    /// the message that it last sent or acknowledged.
    pub position: u64,
    /// Number of messages that it sent or acknowledged since it joined; in a broadcast channel, those that
    /// a receiver missed or passed over ([`latest`](crate::broadcast::Receiver::latest)) count, and so do
    /// their bytes, if all have the same size. It is up to date at any
    /// time, also after the member died, except for the message that it was at. In an MPMC channel,
    /// messages that several threads of a member finish at the same instant may count as one.
    pub messages: u64,
    /// Number of payload bytes since it joined, as exact as `messages`.
    pub bytes: u64,
    /// MPMC: number of messages that a receiver has received and not acknowledged; for a sender,
    /// number of slots that it has reserved and not sent. `None` if that is not known: in SPSC
    /// and broadcast channels, where no slot says whether its message is being read, and where
    /// [`depth_is_exact`](Stat::depth_is_exact) is false.
    pub in_flight: Option<u64>,
    /// Broadcast: number of messages that were sent and that this living receiver has not acknowledged,
    /// at most the capacity: in an overwriting channel, it has missed those before. `None` for other
    /// members.
    pub lag: Option<u64>,
    /// Broadcast: number of messages that this receiver missed since it joined, because they were
    /// overwritten before it received them. It counts them when it receives. `None` for other members.
    pub missed: Option<u64>,
    /// The lowest position among those in flight.
    ///
    /// Since when it has been there is not recorded, which would cost every message another store
    /// and a look at the clock. Two snapshots tell: if both have the same position here, the member
    /// has held it at least for the time between [`taken`](Stat::taken) of the two. Messages are
    /// redelivered at the position that they had.
    pub oldest_in_flight: Option<u64>,
    /// Number of its threads that are blocked in a call that waits for a message or for room, or are
    /// about to block; 0 if it is not alive. Of the receivers of a broadcast channel that have received
    /// every message, each has 1 if one of them may be blocked.
    pub waiting: u32,
    /// Whether it waits for its doorbell: it is in a wait set, has a
    /// [`Readiness`](crate::Readiness), or is awaited by a task, found nothing when it last looked,
    /// and has not been rung since.
    pub armed: bool,
    /// MPMC: number of messages that it received although they had been delivered before, because
    /// their receivers died or returned them.
    pub recovered: u64,
    /// Number of times that it parked.
    pub parks: u64,
    /// Number of times that it woke the other side.
    pub wakes: u64,
}

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Role {
    /// The member sends.
    Sender,
    /// The member receives.
    Receiver,
}

impl Role {
    pub(crate) fn of(side: Side) -> Role {
        match side {
            Side::Senders => Role::Sender,
            Side::Receivers => Role::Receiver,
        }
    }
}

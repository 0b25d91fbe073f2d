//! A snapshot of a channel's state: how it is read from the segment, and its text form.

use core::fmt;
use std::time::SystemTime;

use crate::address::ChannelId;
use crate::admin::locate::set_of;
use crate::error::{DeadLetterFailure, Error};
use crate::flavor::Flavor;
use crate::layout;
use crate::liveness::{ChannelSemaphores, SemaphoreValues};
use crate::ring::Ring;
use crate::ring::mpmc::Survey;
use crate::role::Side;
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, Lifetime, Redelivery, State};
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sysv::sem::{Set, SetStat};
use crate::sysv::shm::{Mapping, SegmentStat};

/// A snapshot of a channel's state.
///
/// Each number is read once, one after the other, while the members go on: numbers that belong
/// together differ by what happened in between.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stat {
    /// When the snapshot was taken.
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
    /// The time at which it was created.
    pub created: SystemTime,
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
    /// The schema number that users chose for the message type; 0 for none.
    pub schema: u64,
    /// Number of messages sent and not yet acknowledged; see
    /// [`depth_is_exact`](Stat::depth_is_exact).
    pub depth: u64,
    /// Whether `depth` was counted, which is always the case for channels of the calling user and
    /// for all SPSC channels. In an MPMC channel of another user at most 4096 slots are inspected;
    /// where that is not enough, `depth` is the difference of `tail` and `head`.
    pub depth_is_exact: bool,
    /// Number of messages that could be sent now, if none were acknowledged meanwhile: 0 if a
    /// `try_send` would return [`Full`](crate::SendError::Full). It is less than the free slots
    /// where some of them lie behind a message that no receiver took: the order forbids to use
    /// those. As exact as [`depth`](Stat::depth).
    pub room: u64,
    /// MPMC: number of messages in flight that no receiver holds any more, because it died or gave
    /// them up: they wait for another receiver.
    pub orphaned: u64,
    /// The next position to receive. For MPMC channels this is a hint that lags by at most 16
    /// positions per receiver.
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
    /// Whether the stream of messages has ended.
    pub stream: StreamState,
    /// Number of senders that died without having finished and have no successor yet: each sender
    /// that joins succeeds one of them. While it is not 0, the stream does not end.
    pub lost_senders: u32,
    /// The current members, and the last members of free seats.
    pub members: Vec<Member>,
}

/// The state of a channel's stream of messages, as the kernel records it. It is open, too, if the
/// set was removed or may not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamState::Open => "open",
            StreamState::Finished => "finished by a sender",
            StreamState::Ended => "ended",
        })
    }
}

/// An entry of the members' table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// The number of the seat.
    pub seat: usize,
    /// Whether the member sends or receives.
    pub role: Role,
    /// The pid of its process, in the PID namespace of the calling process.
    pub pid: u32,
    /// The label that the member chose.
    pub label: String,
    /// Whether the member is alive now, according to the kernel and not to the header.
    pub alive: bool,
    /// Whether it left of its own accord. A member that is neither alive nor left died.
    pub left: bool,
    /// The time at which it joined.
    pub joined: SystemTime,
    /// Its next position, or the position where it stopped. For MPMC channels, the position after
    /// the message that it last sent or acknowledged.
    pub position: u64,
    /// Number of messages that it sent or acknowledged since it joined. It is up to date at any
    /// time, also after the member died, except for the message that it was at. In an MPMC channel,
    /// messages that several threads of a member finish at the same instant may count as one.
    pub messages: u64,
    /// Number of payload bytes since it joined, as exact as `messages`.
    pub bytes: u64,
    /// MPMC: number of messages that a receiver has received and not acknowledged; for a sender,
    /// number of slots that it has reserved and not sent. `None` if that is not known: in SPSC
    /// channels, where no slot says whether its message is being read, and where
    /// [`depth_is_exact`](Stat::depth_is_exact) is false.
    pub in_flight: Option<u64>,
    /// The lowest position among those.
    ///
    /// Since when it has been there is not recorded, which would cost every message another store
    /// and a look at the clock. Two snapshots tell: if both have the same position here, the member
    /// has held it at least for the time between [`taken`](Stat::taken) of the two. Messages are
    /// redelivered at the position that they had.
    pub oldest_in_flight: Option<u64>,
    /// Number of times that it parked.
    pub parks: u64,
    /// Number of times that it woke the other side.
    pub wakes: u64,
}

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        })
    }
}

/// Maximum number of slots that are inspected in a channel of another user, whatever capacity its
/// header claims.
const LOOKED_AT: u64 = 4096;

/// Describes the channel in a mapping; `segment` was reported by the kernel while it was attached.
pub(crate) fn describe(
    mapping: &Mapping,
    segment: SegmentStat,
    channel: &str,
) -> Result<Stat, Error> {
    match segment::examine(mapping, &segment, channel)? {
        State::Ready(facts) => Ok(describe_as(mapping, segment, facts)),
        State::Incomplete => Err(Error::NotFound { channel: channel.into() }),
    }
}

/// Describes the channel in a mapping whose header was read and validated before.
pub(crate) fn describe_as(mapping: &Mapping, segment: SegmentStat, facts: ChannelInfo) -> Stat {
    let set = set_of(&facts, &segment);
    let header = segment::header(mapping);
    let geometry = facts.geometry;
    // SAFETY: the geometry was checked against this segment; the ring is dropped before the
    // mapping.
    let ring = unsafe { Ring::new(mapping.base(), &geometry) };
    let poisoned = header.repairs.poisoned.load(Relaxed);
    let at_most = if Owner::from(&segment).is_own() { u64::MAX } else { LOOKED_AT };
    let taken = SystemTime::now();
    let values = set.as_ref().and_then(|set| {
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        members.semaphore_values(geometry.seats).ok()
    });
    let survey = match facts.flavor {
        Flavor::Spsc => None,
        Flavor::Mpmc => {
            let is_dead = |seat| values.as_ref().is_some_and(|values| !values.is_taken(seat));
            ring.survey(at_most, is_dead)
        }
    };
    let depth = match (&survey, facts.flavor) {
        (Some(survey), _) => survey.messages,
        (None, Flavor::Spsc) => ring.depth(),
        (None, Flavor::Mpmc) => ring.depth_hint(),
    };
    let by_depth = ring.capacity().saturating_sub(depth);
    let members = members(mapping, &ring, &facts, set.is_some(), survey.as_ref());
    Stat {
        taken,
        id: ChannelId { segment: segment.id, nonce: facts.nonce },
        key: segment.key,
        flavor: facts.flavor,
        lifetime: facts.lifetime,
        created: facts.created,
        capacity: geometry.capacity,
        slot_size: geometry.slot_size,
        stride: geometry.stride,
        variable: geometry.shape.variable,
        message_size: geometry.shape.size,
        message_element: geometry.shape.element,
        message_align: geometry.shape.align,
        schema: facts.schema,
        depth,
        depth_is_exact: facts.flavor == Flavor::Spsc || survey.is_some(),
        room: survey.as_ref().map_or(by_depth, |survey| survey.room),
        orphaned: survey.as_ref().map_or(0, |survey| survey.orphaned.slots),
        head: header.head.0.load(crate::sync::Ordering::Relaxed),
        tail: match facts.flavor {
            Flavor::Spsc => ring.tail(),
            Flavor::Mpmc => header.tail.0.load(crate::sync::Ordering::Relaxed),
        },
        redelivery: facts.redelivery,
        redelivered: header.repairs.redelivered.load(Relaxed),
        dropped: header.repairs.dropped.load(Relaxed),
        rejected: header.repairs.rejected.load(Relaxed),
        dead_letter_channel: (!facts.dead_letters.is_empty()).then_some(facts.dead_letters),
        dead_letters: header.repairs.dead_letters.load(Relaxed),
        dead_letter_failures: header.repairs.dead_letter_failures.load(Relaxed),
        last_dead_letter_failure: DeadLetterFailure::from_number(
            header.repairs.last_failure.load(Relaxed),
        ),
        poisoned,
        last_poisoned: (poisoned != 0).then(|| header.repairs.last_poisoned.load(Relaxed)),
        overslept: [&header.senders, &header.receivers]
            .iter()
            .fold(0, |sum, side| side.overslept.load(Relaxed).wrapping_add(sum)),
        stream: values.as_ref().map_or(StreamState::Open, StreamState::of),
        lost_senders: values.as_ref().map_or(0, |values| values.died().into()),
        members,
        name: facts.name,
        segment,
        set,
    }
}

fn members(
    mapping: &Mapping,
    ring: &Ring,
    facts: &ChannelInfo,
    has_set: bool,
    survey: Option<&Survey>,
) -> Vec<Member> {
    let set = ChannelSemaphores::new(Set::from_id(facts.set));
    let mut found = Vec::new();
    for seat in 0..facts.geometry.seats {
        let line = segment::member(mapping, seat);
        let number = seat as u8;
        let state = line.state.load(Acquire);
        let role = match Side::from_role_number(line.role.load(Relaxed)) {
            Some(Side::Senders) => Role::Sender,
            Some(Side::Receivers) => Role::Receiver,
            None => continue,
        };
        let alive = has_set && set.is_taken(number).unwrap_or(false);
        let (position, messages) = match (facts.flavor, role) {
            (Flavor::Spsc, Role::Sender) => since(line, ring.tail()),
            (Flavor::Spsc, Role::Receiver) => since(line, ring.header().head.0.load(Acquire)),
            (Flavor::Mpmc, _) => {
                (line.last.load(Relaxed).wrapping_add(1), line.messages.load(Relaxed))
            }
        };
        let bytes = match facts.geometry.shape.variable {
            true => line.bytes.load(Relaxed),
            false => messages.wrapping_mul(facts.geometry.shape.size as u64),
        };
        let owned = survey.map(|survey| survey.of_seat(seat));
        let known = if has_set { set.pid(number).unwrap_or(0) } else { 0 };
        found.push(Member {
            seat,
            role,
            pid: if known != 0 { known } else { line.pid.load(Relaxed) },
            label: crate::layout::load_text(&line.label, line.label_len.load(Relaxed)),
            alive,
            left: !alive && state == segment::STATE_LEFT,
            joined: SystemTime::UNIX_EPOCH
                + std::time::Duration::from_nanos(line.joined.load(Relaxed)),
            position,
            messages,
            bytes,
            in_flight: owned.map(|owned| owned.slots),
            oldest_in_flight: owned.and_then(|owned| owned.oldest),
            parks: line.parks.load(Relaxed),
            wakes: line.wakes.load(Relaxed),
        });
    }
    found
}

/// Returns a position, and the number of messages from the member's first one up to it.
fn since(line: &layout::Member, position: u64) -> (u64, u64) {
    (position, position.wrapping_sub(line.first.load(Relaxed)))
}

/// A text from the segment, into which another user may have written terminal control sequences.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            f.write_str(part.trim_end_matches(char::is_control))?;
            if part.ends_with(char::is_control) {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        let name = Printable(name);
        writeln!(
            f,
            "channel   {name}  key {:#010x}  id {}  {:?}",
            self.key, self.id, self.lifetime
        )?;
        writeln!(
            f,
            "ring      {}{} of {} slots filled, room for {}, {} bytes a slot{}, next to receive \
             {}, next to send {}",
            if self.depth_is_exact { "" } else { "about " },
            self.depth,
            self.capacity,
            self.room,
            self.slot_size,
            if self.variable { " at most" } else { "" },
            self.head,
            self.tail,
        )?;
        write!(f, "stream    {}", self.stream)?;
        match self.lost_senders {
            0 => writeln!(f)?,
            1 => writeln!(f, ", 1 sender died without a successor")?,
            lost => writeln!(f, ", {lost} senders died without a successor")?,
        }
        writeln!(
            f,
            "delivery  redelivery {}: {} delivered again, {} rejected, {} dropped, {} discarded as \
             poison",
            self.redelivery, self.redelivered, self.rejected, self.dropped, self.poisoned,
        )?;
        if let Some(letters) = &self.dead_letter_channel {
            write!(f, "letters   {} moved to {}", self.dead_letters, Printable(letters))?;
            match self.last_dead_letter_failure {
                Some(failure) => {
                    writeln!(f, ", {} failures, last: {failure}", self.dead_letter_failures)?;
                }
                None => writeln!(f)?,
            }
        }
        if self.orphaned != 0 {
            writeln!(f, "orphaned  {} messages wait for another receiver", self.orphaned)?;
        }
        let s = &self.segment;
        writeln!(
            f,
            "segment   {} bytes, mode {:03o}, owner {}:{}, creator {}:{}, {} attached, created by \
             {}, last used by {}{}{}",
            s.size,
            s.mode,
            s.uid,
            s.gid,
            s.cuid,
            s.cgid,
            s.attached,
            s.creator_pid,
            s.last_pid,
            if s.marked_for_removal { ", removed with its last detach" } else { "" },
            if s.locked { ", locked in memory" } else { "" },
        )?;
        match &self.set {
            None => writeln!(f, "set       removed")?,
            Some(set) => writeln!(f, "set       id {}, {} semaphores", set.id, set.semaphores)?,
        }
        for m in &self.members {
            let state = match (m.alive, m.left) {
                (true, _) => "live",
                (false, true) => "left",
                (false, false) => "died",
            };
            write!(
                f,
                "{:<9} {} pid {} {}  {} messages, {} bytes, at {}, parked {}, woke {}",
                m.role.to_string(),
                state,
                m.pid,
                Printable(&m.label),
                m.messages,
                m.bytes,
                m.position,
                m.parks,
                m.wakes,
            )?;
            if let (Some(slots @ 1..), Some(oldest)) = (m.in_flight, m.oldest_in_flight) {
                let what = match m.role {
                    Role::Sender => "reserved",
                    Role::Receiver => "in flight",
                };
                write!(f, ", {slots} {what} from {oldest} on")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

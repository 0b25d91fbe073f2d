//! Looking at channels without joining them: `list`, `stat` and the read-only [`Observer`].

use core::fmt;
use std::time::SystemTime;

use crate::address::{Address, ChannelId};
use crate::error::Error;
use crate::members::{self, Members};
use crate::ring::Ring;
use crate::segment::{self, Facts, Lifetime, State, is_marked};
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sysv::Errno;
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Get, Mapping, SegmentStat};
use crate::wait::Side;

/// Everything there is to know of a channel, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stat {
    /// What other processes need to attach by identifier.
    pub id: ChannelId,
    /// The name, empty for raw keys, files and private channels.
    pub name: String,
    /// The System V key, 0 for private channels.
    pub key: i32,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// When it was created.
    pub created: SystemTime,
    /// Slots in the ring.
    pub capacity: usize,
    /// Longest message, bytes.
    pub slot_size: usize,
    /// From one slot to the next, bytes.
    pub stride: usize,
    /// Whether messages differ in length.
    pub variable: bool,
    /// Size of a message, or of what precedes its trailing slice; bytes.
    pub message_size: usize,
    /// Alignment of a message, bytes.
    pub message_align: usize,
    /// The users' own number for the message type, 0 for none.
    pub schema: u64,
    /// Messages sent and not yet acknowledged.
    pub depth: u64,
    /// The next position to receive.
    pub head: u64,
    /// The next position to send.
    pub tail: u64,
    /// The kernel's facts about the segment.
    pub segment: SegmentStat,
    /// The kernel's facts about the set; `None` when it is gone, or another one.
    pub set: Option<SetStat>,
    /// Who is attached, and who was last.
    pub members: Vec<Member>,
}

/// One line of the members' table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// The seat's number.
    pub seat: usize,
    /// What it does there.
    pub role: Role,
    /// The process, in the PID namespace of whoever asks.
    pub pid: u32,
    /// The label it gave itself.
    pub label: String,
    /// Whether it is there now; by the kernel's word, not by the header's.
    pub alive: bool,
    /// Whether it left by its own will. Neither alive nor left: it died.
    pub left: bool,
    /// When it joined.
    pub joined: SystemTime,
    /// Its next position, or where it stopped.
    pub position: u64,
    /// Messages since it joined.
    pub messages: u64,
    /// Payload bytes since it joined; of messages of variable length it may lag by a ring full.
    pub bytes: u64,
    /// How often it slept; may lag likewise.
    pub parks: u64,
    /// How often it woke the other side.
    pub wakes: u64,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Sends.
    Sender,
    /// Receives.
    Receiver,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        })
    }
}

/// The kernel's objects behind an address, made sure to be ours.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) segment: Option<SegmentStat>,
    pub(crate) set: Option<SetStat>,
}

/// Finds the segment and the set of an address.
pub(crate) fn find(address: &Address) -> Result<Found, Error> {
    let channel = address.to_string();
    let error = |call, errno: Errno| match errno {
        Errno::ENOENT | Errno::EIDRM | Errno::EINVAL => {
            Error::NotFound { channel: channel.clone() }
        }
        Errno::EACCES => Error::PermissionDenied { channel: channel.clone(), call },
        errno => Error::System { call, channel: channel.clone(), source: errno.into() },
    };
    let (segment, set) = match (address.key()?, address) {
        (Some(key), _) => {
            let segment = match shm::get(key, 0, Get::Existing) {
                Ok(id) => Some(id),
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(error("shmget", errno)),
            };
            let set = match Set::get(key, 0, sem::How::Existing) {
                Ok(set) => Some(set),
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(error("semget", errno)),
            };
            (segment, set)
        }
        (None, Address::Id(id)) => (Some(id.segment), None),
        (None, _) => (None, None),
    };
    let segment = match segment {
        None => None,
        Some(id) => Some(shm::stat(id).map_err(|e| error("shmctl(IPC_STAT)", e))?),
    };
    let mut set = match set {
        None => None,
        Some(set) => Some(set.stat().map_err(|e| error("semctl(IPC_STAT)", e))?),
    };
    if let Some(stat) = &set
        && !crate::reap::is_ours(stat)
    {
        let what = "its semaphore set is not one of ours".into();
        return Err(Error::NotOurs { channel, what });
    }
    if let Some(stat) = &segment {
        let mapping = Mapping::attach(stat.id, Access::ReadOnly).map_err(|e| error("shmat", e))?;
        match segment::examine(&mapping, stat, &channel) {
            Ok(State::Ready(facts)) => {
                check_identity(address, &facts, &channel)?;
                if address.key()?.is_none() {
                    set = set_of(&facts, stat);
                }
            }
            // Ours in some way that keeps it from being used, not from being removed.
            Ok(State::HalfMade)
            | Err(Error::LayoutVersion { .. } | Error::Truncated { .. } | Error::Fault(_)) => {}
            Err(other) => return Err(other),
        }
    }
    if segment.is_none() && set.is_none() {
        return Err(Error::NotFound { channel });
    }
    Ok(Found { segment, set })
}

/// Whether this is the channel that was asked for.
pub(crate) fn check_identity(address: &Address, facts: &Facts, channel: &str) -> Result<(), Error> {
    match address {
        Address::Id(id) if id.nonce != facts.nonce => {
            Err(Error::NotFound { channel: channel.into() })
        }
        _ => match address.name() {
            Some(name) if name != facts.name => {
                Err(Error::NameCollision { wanted: name.into(), found: facts.name.clone() })
            }
            _ => Ok(()),
        },
    }
}

/// The set a header names, if it is still that set: ours, of the same owner, with the same nonce.
pub(crate) fn set_of(facts: &Facts, segment: &SegmentStat) -> Option<SetStat> {
    let set = Set::from_id(facts.set);
    let stat = set.stat().ok()?;
    let same = crate::reap::is_ours(&stat)
        && (stat.uid, stat.cuid) == (segment.uid, segment.cuid)
        && Members::new(set).nonce().ok()? == facts.nonce;
    same.then_some(stat)
}

/// Describes the channel in a mapping.
pub(crate) fn describe(
    mapping: &Mapping,
    segment: SegmentStat,
    channel: &str,
) -> Result<Stat, Error> {
    let facts = match segment::examine(mapping, &segment, channel)? {
        State::Ready(facts) => facts,
        State::HalfMade => return Err(Error::NotFound { channel: channel.into() }),
    };
    let set = set_of(&facts, &segment);
    let header = segment::header(mapping);
    let geometry = facts.geometry;
    // SAFETY: `examine` checked the geometry against this segment; the ring is gone before the mapping.
    let ring = unsafe { Ring::new(mapping.base(), &geometry) };
    Ok(Stat {
        id: ChannelId { segment: segment.id, nonce: facts.nonce },
        key: segment.key,
        lifetime: facts.lifetime,
        created: facts.created,
        capacity: geometry.capacity,
        slot_size: geometry.slot_size,
        stride: geometry.stride,
        variable: geometry.shape.variable,
        message_size: geometry.shape.size,
        message_align: geometry.shape.align,
        schema: facts.schema,
        depth: ring.depth(),
        head: header.head.0.load(crate::sync::Ordering::Relaxed),
        tail: header.tail.0.load(crate::sync::Ordering::Relaxed),
        members: members(mapping, &facts, set.is_some()),
        name: facts.name,
        segment,
        set,
    })
}

fn members(mapping: &Mapping, facts: &Facts, has_set: bool) -> Vec<Member> {
    let set = Members::new(Set::from_id(facts.set));
    let header = segment::header(mapping);
    let mut found = Vec::new();
    for seat in 0..facts.geometry.seats {
        let line = segment::member(mapping, seat);
        let state = line.state.load(Acquire);
        let (role, side) = match line.role.load(Relaxed) {
            1 => (Role::Sender, Side::Senders),
            2 => (Role::Receiver, Side::Receivers),
            _ => continue,
        };
        let alive = has_set && set.is_seated(side).unwrap_or(false);
        // The header is exact where a member's own line lags.
        let position = match role {
            Role::Sender => header.tail.0.load(Acquire),
            Role::Receiver => header.head.0.load(Acquire),
        };
        let messages = position.wrapping_sub(line.first.load(Relaxed));
        let bytes = match facts.geometry.shape.variable {
            true => line.bytes.load(Relaxed),
            false => messages.wrapping_mul(facts.geometry.shape.size as u64),
        };
        let known = if has_set { set.pid(side).unwrap_or(0) } else { 0 };
        found.push(Member {
            seat,
            role,
            pid: if known != 0 { known } else { line.pid.load(Relaxed) },
            label: crate::layout::load_text(&line.label, line.label_len.load(Relaxed)),
            alive,
            left: !alive && state == 2,
            joined: SystemTime::UNIX_EPOCH
                + std::time::Duration::from_nanos(line.joined.load(Relaxed)),
            position,
            messages,
            bytes,
            parks: line.parks.load(Relaxed),
            wakes: line.wakes.load(Relaxed),
        });
    }
    found
}

/// The channels of this IPC namespace that this user may read.
///
/// # Errors
/// [`Error::System`] when the kernel's table cannot be read, or there is no room to attach a channel.
pub fn list() -> Result<Vec<Stat>, Error> {
    let error = |call| {
        move |errno: Errno| Error::System { call, channel: "any".into(), source: errno.into() }
    };
    let segments = shm::list().map_err(error("shmctl(SHM_STAT)"))?;
    let look = |stat: SegmentStat| match Mapping::attach(stat.id, Access::ReadOnly) {
        Ok(mapping) => Ok(describe(&mapping, stat, "").ok()),
        // Not for us to read, or gone.
        Err(Errno::EACCES | Errno::EIDRM | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(error("shmat")(errno)),
    };
    let ours = segments.into_iter().filter(|stat| is_marked(stat.raw_mode));
    ours.filter_map(|stat| look(stat).transpose()).collect()
}

/// Everything about one channel, without joining it: one [`Observer`], one look.
///
/// # Errors
/// As [`Observer::open`] and [`Observer::stat`].
pub fn stat(address: impl Into<Address>) -> Result<Stat, Error> {
    Observer::open(address)?.stat()
}

/// A channel attached read-only: it takes no seat, wakes nobody and cannot disturb anybody, not even
/// by mistake. Read permission is enough.
#[derive(Debug)]
pub struct Observer {
    id: i32,
    channel: String,
    mapping: Mapping,
}

impl Observer {
    /// Attaches.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOurs`], [`Error::PermissionDenied`], [`Error::NameCollision`],
    /// and what is wrong with the header: [`Error::LayoutVersion`], [`Error::Truncated`], a
    /// [`Fault::Corrupt`](crate::Fault::Corrupt).
    pub fn open(address: impl Into<Address>) -> Result<Observer, Error> {
        let address = address.into();
        let channel = address.to_string();
        let Some(segment) = find(&address)?.segment else {
            return Err(Error::NotFound { channel });
        };
        let mapping =
            Mapping::attach(segment.id, Access::ReadOnly).map_err(|errno| match errno {
                Errno::EACCES => {
                    Error::PermissionDenied { channel: channel.clone(), call: "shmat" }
                }
                _ => Error::NotFound { channel: channel.clone() },
            })?;
        describe(&mapping, segment, &channel)?;
        Ok(Observer { id: segment.id, channel, mapping })
    }

    /// One look.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`](crate::Fault::Removed) when the channel was removed
    /// for good, else what is wrong with the header.
    pub fn stat(&self) -> Result<Stat, Error> {
        let segment = shm::stat(self.id).map_err(members::fault("shmctl(IPC_STAT)"))?;
        describe(&self.mapping, segment, &self.channel)
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        writeln!(
            f,
            "channel   {name}  key {:#010x}  id {}  {:?}",
            self.key, self.id, self.lifetime
        )?;
        writeln!(
            f,
            "ring      {} of {} slots filled, {} bytes a slot{}, next to receive {}, next to send {}",
            self.depth,
            self.capacity,
            self.slot_size,
            if self.variable { " at most" } else { "" },
            self.head,
            self.tail,
        )?;
        let s = &self.segment;
        writeln!(
            f,
            "segment   {} bytes, mode {:03o}, owner {}:{}, creator {}:{}, {} attached, created by {}, \
             last used by {}{}{}",
            s.size,
            s.mode,
            s.uid,
            s.gid,
            s.cuid,
            s.cgid,
            s.attached,
            s.creator_pid,
            s.last_pid,
            if s.marked_for_removal { ", goes with its last user" } else { "" },
            if s.locked { ", locked in memory" } else { "" },
        )?;
        match &self.set {
            None => writeln!(f, "set       gone")?,
            Some(set) => writeln!(f, "set       id {}, {} semaphores", set.id, set.semaphores)?,
        }
        for m in &self.members {
            let state = match (m.alive, m.left) {
                (true, _) => "here",
                (false, true) => "left",
                (false, false) => "died",
            };
            writeln!(
                f,
                "{:<9} {} pid {} {}  {} messages, {} bytes, at {}, slept {}, woke {}",
                m.role.to_string(),
                state,
                m.pid,
                m.label,
                m.messages,
                m.bytes,
                m.position,
                m.parks,
                m.wakes,
            )?;
        }
        Ok(())
    }
}

//! Finding the segment and the semaphore set of a channel, and checking that they belong to it.
//!
//! A segment is a channel's by its magic number, and a set by the segment under its key, which names
//! it and has the same nonce, whatever their modes are. The mark in the mode (`segment::MARK`) tells
//! this of what has neither: an unfinished segment, a set without a segment, and the set of a private
//! channel. Without a key, a process that may write to a segment could make it name any set.

use super::missing_set::MissingSet;
use crate::address::Address;
use crate::error::Error;
use crate::layout::Header;
use crate::liveness::{self, ChannelSemaphores, NONCE_MAX};
use crate::os_error::{Call, Object};
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, State, is_marked};
use crate::sysv::Errno;
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Mapping, SegmentLookup, SegmentStat};

/// The segment and the set found at an address, checked to be ours.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) segment: Option<FoundSegment>,
    pub(crate) set: Option<SetStat>,
}

/// An attached segment. As long as this value exists, its identifier cannot be reused for another
/// segment.
#[derive(Debug)]
pub(crate) struct FoundSegment {
    pub(crate) mapping: Mapping,
    pub(crate) stat: SegmentStat,
    /// The validated header; or the reason why it cannot be used, which does not prevent the
    /// segment from being removed.
    pub(crate) facts: Result<ChannelInfo, Error>,
}

/// Finds the segment and the set of an address.
pub(crate) fn find(address: &Address) -> Result<Found, Error> {
    let channel = address.to_string();
    let key = address.key()?;
    let segment = match (key, address) {
        (Some(key), _) => match shm::get(key, 0, SegmentLookup::Existing) {
            Ok(id) => Some(id),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(failed(Call::new("shmget", &channel), errno)),
        },
        (None, Address::Id(id)) => Some(id.segment),
        (None, _) => None,
    };
    let mut set = match key.map(Set::lookup) {
        None | Some(Err(Errno::ENOENT)) => None,
        Some(Ok(set)) => Some(find_set(set, address, &channel)?),
        Some(Err(errno)) => return Err(failed(Call::new("semget", &channel), errno)),
    };
    let segment = match segment {
        None => None,
        Some(id) => Some(find_segment(id, address, &channel)?),
    };
    if key.is_none()
        && let Some(FoundSegment { stat, facts: Ok(facts), .. }) = &segment
    {
        set = set_of(facts, stat);
    }
    if segment.is_none() && set.is_none() {
        return Err(Error::NotFound { channel });
    }
    Ok(Found { segment, set })
}

fn find_set(set: Set, address: &Address, channel: &str) -> Result<SetStat, Error> {
    let stat = set.stat().map_err(|errno| {
        let owner = || Owner::of_set(set.id());
        foreign(errno, address, "set", owner, channel).unwrap_or_else(|| {
            let call = Call::new("semctl(IPC_STAT)", channel);
            failed(call.on(Object::Set(set.id())), errno)
        })
    })?;
    check_owner(address, "set", Owner::from(&stat), channel)?;
    match is_of_channel(&stat) {
        true => Ok(stat),
        false => Err(foreign_set(&stat, channel)),
    }
}

fn find_segment(id: i32, address: &Address, channel: &str) -> Result<FoundSegment, Error> {
    let (mapping, stat) = Mapping::attach_known(id, Access::ReadOnly).map_err(|refused| {
        let owner = || Owner::of_segment(id);
        foreign(refused.errno, address, "segment", owner, channel).unwrap_or_else(|| {
            failed(Call::new(refused.call, channel).on(Object::Segment(id)), refused.errno)
        })
    })?;
    // Since the lookup the segment lost its key, or its identifier was reused before it was
    // attached.
    if address.key()?.is_some_and(|key| key != stat.key) {
        return Err(Error::NotFound { channel: channel.into() });
    }
    check_owner(address, "segment", Owner::from(&stat), channel)?;
    let facts = match segment::examine(&mapping, &stat, channel) {
        Ok(State::Ready(facts)) => {
            check_identity(address, &facts, channel)?;
            Ok(*facts)
        }
        Ok(State::Incomplete) => Err(Error::NotFound { channel: channel.into() }),
        Err(
            error @ (Error::LayoutVersion { .. }
            | Error::Truncated { .. }
            | Error::Corrupt { .. }
            | Error::Limit { .. }),
        ) => Err(error),
        Err(other) => return Err(other),
    };
    Ok(FoundSegment { mapping, stat, facts })
}

/// Returns the error for a failed call on an object that was found before.
pub(super) fn failed(call: Call<'_>, errno: Errno) -> Error {
    match errno {
        Errno::ENOENT | Errno::EIDRM | Errno::EINVAL => call.not_found(),
        // Address space or memory is exhausted, as a rule; another program's segment can be that
        // large.
        errno => call.look(errno),
    }
}

/// Checks that an object under the key of a name belongs to the user of the name.
///
/// # Errors
/// [`Error::ForeignOwner`] if it does not.
pub(crate) fn check_owner(
    address: &Address,
    object: &'static str,
    owner: Owner,
    channel: &str,
) -> Result<(), Error> {
    match address {
        Address::Name { uid, .. } if !owner.is(*uid) => Err(Error::ForeignOwner {
            channel: channel.into(),
            object,
            owner: owner.besides(*uid),
            expected: *uid,
        }),
        _ => Ok(()),
    }
}

/// Returns the error for an object under the key of a name that cannot even be inspected, if the
/// reason is that it belongs to another user.
pub(crate) fn foreign(
    errno: Errno,
    address: &Address,
    object: &'static str,
    owner: impl FnOnce() -> Option<Owner>,
    channel: &str,
) -> Option<Error> {
    let is_named = matches!(address, Address::Name { .. });
    match errno {
        Errno::EACCES | Errno::EPERM | Errno::ENOMEM if is_named => {
            check_owner(address, object, owner()?, channel).err()
        }
        _ => None,
    }
}

/// Checks that this is the channel that was asked for.
pub(crate) fn check_identity(
    address: &Address,
    facts: &ChannelInfo,
    channel: &str,
) -> Result<(), Error> {
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

/// Returns the set that a header names, if it is still that set.
pub(crate) fn set_of(facts: &ChannelInfo, segment: &SegmentStat) -> Option<SetStat> {
    examine_set(facts, segment).ok()
}

/// Returns the set that a header names, or the reason why it cannot be told or used.
pub(super) fn examine_set(
    facts: &ChannelInfo,
    segment: &SegmentStat,
) -> Result<SetStat, MissingSet> {
    let set = Set::from_id(facts.set);
    let read = set.stat().map_err(|errno| ("semctl(IPC_STAT)", errno)).and_then(|stat| {
        let nonce = ChannelSemaphores::new(set).nonce();
        nonce.map(|nonce| (stat, nonce)).map_err(|errno| ("semctl(GETVAL)", errno))
    });
    match read {
        Ok((stat, nonce)) if belong_together(segment, facts, &stat, nonce) => Ok(stat),
        Ok((stat, nonce)) if nonce == facts.nonce && is_as_named(segment, facts, &stat) => {
            Err(MissingSet::OtherOwner { id: stat.id, uid: stat.uid })
        }
        Ok(_) | Err((_, Errno::EIDRM | Errno::EINVAL)) => Err(MissingSet::Removed),
        Err((call, Errno::EACCES)) => {
            // The kernel's table tells what its mode hides.
            let table = sem::list().unwrap_or_default();
            let stat = table.iter().find(|stat| stat.id == facts.set);
            Err(match stat {
                Some(stat) if !is_as_named(segment, facts, stat) => MissingSet::Removed,
                Some(stat) if !Owner::from(segment).is_same(stat.into()) => {
                    MissingSet::OtherOwner { id: stat.id, uid: stat.uid }
                }
                _ => MissingSet::Unreadable { call, errno: Errno::EACCES.0 },
            })
        }
        Err((call, errno)) => Err(MissingSet::Unreadable { call, errno: errno.0 }),
    }
}

/// Returns whether a segment with these facts and a set with this nonce are one channel: the header
/// names the set, and the set is as large as the channel needs, has the same owner, has the same
/// nonce, and has the same key or the mark.
pub(crate) fn belong_together(
    segment: &SegmentStat,
    facts: &ChannelInfo,
    set: &SetStat,
    nonce: u32,
) -> bool {
    is_as_named(segment, facts, set)
        && Owner::from(segment).is_same(set.into())
        && nonce == facts.nonce
}

/// Returns whether a set is like the one that the header names, apart from its owner and its nonce.
fn is_as_named(segment: &SegmentStat, facts: &ChannelInfo, set: &SetStat) -> bool {
    let has_key = set.key != 0 && set.key == segment.key;
    facts.set == set.id
        && (has_key || is_marked(set.raw_mode))
        && set.semaphores as i32 == liveness::semaphores(facts.geometry.seats)
}

/// Finds the segment of an address; fails if it does not exist.
pub(super) fn find_channel(address: &Address) -> Result<FoundSegment, Error> {
    let not_found = || Error::NotFound { channel: address.to_string() };
    find(address)?.segment.ok_or_else(not_found)
}

/// Returns whether a set is a channel's: of a size that this crate creates, and marked or named by
/// the segment under its key.
pub(crate) fn is_of_channel(set: &SetStat) -> bool {
    liveness::can_be_ours(set.semaphores) && (is_marked(set.raw_mode) || is_named(set))
}

/// Returns the error for a set under the key of a channel that is not known to be a channel's.
pub(crate) fn foreign_set(set: &SetStat, channel: &str) -> Error {
    let what = format!(
        "semaphore set {id} has no mark of sysvring: another program made it, or its mode was \
         changed; if it is yours, `ipcrm -s {id}` removes it",
        id = set.id
    );
    Error::ForeignObject { channel: channel.into(), what }
}

/// Returns whether the segment under the key of a set names that set. A segment of another program
/// is hardly ever attached for that: its set would have a nonce where ours have one.
fn is_named(set: &SetStat) -> bool {
    if set.key == 0 || !has_nonce(set) {
        return false;
    }
    let attached = shm::get(set.key, 0, SegmentLookup::Existing)
        .ok()
        .and_then(|id| Mapping::attach_known(id, Access::ReadOnly).ok());
    attached.is_some_and(|(mapping, stat)| {
        stat.key == set.key
            && matches!(segment::examine(&mapping, &stat, ""), Ok(State::Ready(facts))
                if set_of(&facts, &stat).is_some_and(|named| named.id == set.id))
    })
}

/// Returns whether a set is bound to a segment, if it is ours.
fn has_nonce(set: &SetStat) -> bool {
    let members = ChannelSemaphores::new(Set::from_id(set.id));
    members.nonce().is_ok_and(|nonce| (1..=NONCE_MAX).contains(&nonce))
}

/// Returns whether it is worth a look whether a segment is a channel: it has the mark, or under its
/// key is a set that may be a channel's. Attaching shows to its owner, so the segments of other
/// programs are left alone.
pub(super) fn may_be_channel(segment: &SegmentStat) -> bool {
    is_marked(segment.raw_mode)
        || segment.key != 0
            && segment.size >= size_of::<Header>() as u64
            && Set::lookup(segment.key)
                .and_then(|set| set.stat())
                .is_ok_and(|set| liveness::can_be_ours(set.semaphores) && has_nonce(&set))
}

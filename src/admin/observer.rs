//! Looking at channels without joining them: `list`, `stat` and the read-only [`Observer`].

use std::time::SystemTime;

use crate::address::Address;
use crate::admin::stat::{Stat, describe, describe_as};
use crate::error::{Error, Fault};
use crate::liveness::{self, Members};
use crate::os_error::Call;
use crate::segment::owner::Owner;
use crate::segment::{self, Facts, State, is_marked};
use crate::sysv::Errno;
use crate::sysv::sem::{Set, SetStat};
use crate::sysv::shm::{self, Access, Get, Mapping, SegmentStat};

/// The kernel's objects behind an address, made sure to be ours.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) segment: Option<FoundSegment>,
    pub(crate) set: Option<SetStat>,
}

/// A segment, attached: as long as this is there, its identifier is of no other one.
#[derive(Debug)]
pub(crate) struct FoundSegment {
    pub(crate) mapping: Mapping,
    pub(crate) stat: SegmentStat,
    /// What its header says; or how that cannot be used, which does not keep the segment from being
    /// removed.
    pub(crate) facts: Result<Facts, Error>,
}

/// Finds the segment and the set of an address.
pub(crate) fn find(address: &Address) -> Result<Found, Error> {
    let channel = address.to_string();
    let key = address.key()?;
    let segment = match (key, address) {
        (Some(key), _) => match shm::get(key, 0, Get::Existing) {
            Ok(id) => Some(id),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(failed("shmget", errno, &channel)),
        },
        (None, Address::Id(id)) => Some(id.segment),
        (None, _) => None,
    };
    let mut set = match key.map(Set::lookup) {
        None | Some(Err(Errno::ENOENT)) => None,
        Some(Ok(set)) => Some(find_set(set, address, &channel)?),
        Some(Err(errno)) => return Err(failed("semget", errno, &channel)),
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
        foreign(errno, address, "set", owner, channel)
            .unwrap_or_else(|| failed("semctl(IPC_STAT)", errno, channel))
    })?;
    check_owner(address, "set", Owner::from(&stat), channel)?;
    if !crate::admin::reap::is_ours(&stat) {
        let what = "its semaphore set is not one of ours".into();
        return Err(Error::NotOurs { channel: channel.into(), what });
    }
    Ok(stat)
}

fn find_segment(id: i32, address: &Address, channel: &str) -> Result<FoundSegment, Error> {
    let (mapping, stat) = Mapping::attach_known(id, Access::ReadOnly).map_err(|refused| {
        let owner = || Owner::of_segment(id);
        foreign(refused.errno, address, "segment", owner, channel)
            .unwrap_or_else(|| failed(refused.call, refused.errno, channel))
    })?;
    // It lost the key since it was found by that, or the identifier came round before it was attached.
    if address.key()?.is_some_and(|key| key != stat.key) {
        return Err(Error::NotFound { channel: channel.into() });
    }
    check_owner(address, "segment", Owner::from(&stat), channel)?;
    let facts = match segment::examine(&mapping, &stat, channel) {
        Ok(State::Ready(facts)) => {
            check_identity(address, &facts, channel)?;
            Ok(facts)
        }
        Ok(State::HalfMade) => Err(Error::NotFound { channel: channel.into() }),
        Err(error @ (Error::LayoutVersion { .. } | Error::Truncated { .. } | Error::Fault(_))) => {
            Err(error)
        }
        Err(other) => return Err(other),
    };
    Ok(FoundSegment { mapping, stat, facts })
}

/// What a failed call on an object that was found means.
fn failed(call: &'static str, errno: Errno, channel: &str) -> Error {
    match errno {
        Errno::ENOENT | Errno::EIDRM | Errno::EINVAL => Error::NotFound { channel: channel.into() },
        Errno::EACCES => Error::PermissionDenied { channel: channel.into(), call },
        // Of address space or memory, as a rule; a stranger's segment can be as large as that.
        Errno::ENOMEM => Call { name: call, channel }.error(errno),
        errno => Error::System { call, channel: channel.into(), source: errno.into() },
    }
}

/// Whether an object under the key of a name belongs to the user of the name.
///
/// # Errors
/// [`Error::ForeignOwner`].
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

/// The error for an object under the key of a name that cannot even be looked at, if it is there
/// because it is another user's.
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

/// The set a header names, if it is still that set.
pub(crate) fn set_of(facts: &Facts, segment: &SegmentStat) -> Option<SetStat> {
    let set = Set::from_id(facts.set);
    let (stat, nonce) = (set.stat().ok()?, Members::new(set).nonce().ok()?);
    belong_together(segment, facts, &stat, nonce).then_some(stat)
}

/// Whether a segment, of which these facts are known, and a set with this nonce are one channel: the
/// header names the set, which is ours, as large as the channel needs, of the same owner, and has the
/// same nonce.
pub(crate) fn belong_together(
    segment: &SegmentStat,
    facts: &Facts,
    set: &SetStat,
    nonce: u32,
) -> bool {
    facts.set == set.id
        && crate::admin::reap::is_ours(set)
        && set.semaphores as i32 == liveness::semaphores(facts.geometry.seats)
        && Owner::from(segment).is_same(set.into())
        && nonce == facts.nonce
}

/// The channels of this IPC namespace that this user may read. One that was removed is among them as
/// long as a process has it attached.
///
/// One that cannot be looked at, whatever the reason, is left out: it may be another user's doing.
///
/// # Errors
/// [`Error::System`] when the kernel's table cannot be read.
pub fn list() -> Result<Vec<Stat>, Error> {
    let segments = shm::list().map_err(|errno| Error::System {
        call: "shmctl(SHM_STAT)",
        channel: "any".into(),
        source: errno.into(),
    })?;
    let look = |id| {
        let (mapping, stat) = Mapping::attach_known(id, Access::ReadOnly).ok()?;
        is_marked(stat.raw_mode).then(|| describe(&mapping, stat, "").ok())?
    };
    let ours = segments.into_iter().filter(|stat| is_marked(stat.raw_mode));
    Ok(ours.filter_map(|stat| look(stat.id)).collect())
}

/// Everything about one channel, without joining it: one [`Observer`], one look.
///
/// # Errors
/// As [`Observer::open`] and [`Observer::stat`].
pub fn stat(address: impl Into<Address>) -> Result<Stat, Error> {
    let address = address.into();
    let FoundSegment { mapping, stat, facts } = find_channel(&address)?;
    Ok(describe_as(&mapping, stat, facts?))
}

/// The segment of an address, which must be there.
fn find_channel(address: &Address) -> Result<FoundSegment, Error> {
    let not_found = || Error::NotFound { channel: address.to_string() };
    find(address)?.segment.ok_or_else(not_found)
}

/// Looks at one channel, again and again: it takes no seat, wakes nobody and cannot disturb anybody,
/// not even by mistake. Read permission is enough.
///
/// The channel is attached, read-only, only while [`stat`](Observer::stat) runs: between two looks
/// nothing is held, and a channel that is gone meanwhile is gone.
#[derive(Debug)]
pub struct Observer {
    channel: String,
    id: i32,
    /// What another segment does not have that gets this identifier later.
    identity: Identity,
}

/// What tells a channel from all others that ever have its segment's identifier.
#[derive(Debug, PartialEq)]
struct Identity {
    /// The creator, which never changes.
    owner: u32,
    nonce: u32,
    created: SystemTime,
}

impl Identity {
    fn of(stat: &SegmentStat, facts: &Facts) -> Identity {
        Identity { owner: stat.cuid, nonce: facts.nonce, created: facts.created }
    }
}

impl Observer {
    /// Finds the channel.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOurs`], [`Error::PermissionDenied`], [`Error::NameCollision`],
    /// [`Error::ForeignOwner`], and what is wrong with the header: [`Error::LayoutVersion`],
    /// [`Error::Truncated`], a [`Fault::Corrupt`].
    pub fn open(address: impl Into<Address>) -> Result<Observer, Error> {
        let address = address.into();
        let FoundSegment { stat, facts, .. } = find_channel(&address)?;
        let identity = Identity::of(&stat, &facts?);
        Ok(Observer { channel: address.to_string(), id: stat.id, identity })
    }

    /// One look.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when the channel was removed and no member has it
    /// attached any more, [`Error::PermissionDenied`] when its mode was changed, else what is wrong
    /// with the header.
    pub fn stat(&self) -> Result<Stat, Error> {
        let attached = Mapping::attach_known(self.id, Access::ReadOnly);
        let (mapping, stat) = attached.map_err(|refused| match refused.errno {
            Errno::EIDRM | Errno::EINVAL => Fault::Removed.into(),
            errno => failed(refused.call, errno, &self.channel),
        })?;
        match segment::examine(&mapping, &stat, &self.channel)? {
            State::Ready(facts) if Identity::of(&stat, &facts) == self.identity => {
                Ok(describe_as(&mapping, stat, facts))
            }
            // The identifier came round.
            _ => Err(Fault::Removed.into()),
        }
    }
}

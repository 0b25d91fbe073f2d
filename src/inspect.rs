//! Looking at channels without joining them: `list`, `stat` and the read-only [`Observer`].

use crate::address::Address;
use crate::error::Error;
use crate::members::{self, Members};
use crate::segment::{self, Facts, State, is_marked};
use crate::stat::{Stat, describe};
use crate::sysv::Errno;
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Get, Mapping, SegmentStat};

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
        && stat.semaphores as i32 == members::semaphores(facts.geometry.seats)
        && (stat.uid, stat.cuid) == (segment.uid, segment.cuid)
        && Members::new(set).nonce().ok()? == facts.nonce;
    same.then_some(stat)
}

/// The channels of this IPC namespace that this user may read. One that was removed is among them as
/// long as a process has it attached.
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

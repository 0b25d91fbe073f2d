//! Looking at channels without joining them: `list`, `stat` and the read-only [`Observer`].

use std::time::SystemTime;

use super::locate::{FoundSegment, failed, find_channel};
use super::stat::{Stat, describe, describe_as};
use crate::address::Address;
use crate::error::{Error, Fault};
use crate::segment::{self, ChannelInfo, State, is_marked};
use crate::sysv::Errno;
use crate::sysv::shm::{self, Access, Mapping, SegmentStat};

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
    fn of(stat: &SegmentStat, facts: &ChannelInfo) -> Identity {
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

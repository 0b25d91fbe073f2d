//! Inspecting channels without joining them: `list`, `stat` and the read-only [`Observer`].

use std::time::SystemTime;

use super::locate::{FoundSegment, failed, find_channel};
use super::scan::{self, MarkedSegment};
use super::stat::{Stat, describe_as};
use super::tap::{Tap, TapStart};
use crate::address::Address;
use crate::error::{Error, Fault};
use crate::os_error::{Call, Object};
use crate::segment::{self, ChannelInfo, State};
use crate::sysv::Errno;
use crate::sysv::shm::{Access, Mapping, SegmentStat};

/// Lists all channels in this IPC namespace that the calling user may read. A removed channel is
/// included as long as a process has it attached.
///
/// A channel that cannot be inspected is left out, whatever the reason: another user may have
/// caused it. [`unusable`](crate::unusable) returns those.
///
/// # Errors
/// [`Error::System`] if the kernel's table cannot be read.
///
/// ```
/// use sysvring::{Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let tx: spsc::Sender<u64> = Options::private().create()?;
/// assert!(sysvring::list()?.iter().any(|stat| stat.id == tx.id()));
/// # Ok(()) }
/// ```
pub fn list() -> Result<Vec<Stat>, Error> {
    let channels = scan::segments()?.filter_map(|segment| match segment {
        MarkedSegment::Channel(mapping, stat, facts) => Some(describe_as(&mapping, stat, *facts)),
        MarkedSegment::Unusable(..) => None,
    });
    Ok(channels.collect())
}

/// Returns a snapshot of a channel's state without joining the channel, as one [`Observer::stat`]
/// does.
///
/// # Errors
/// As [`Observer::open`] and [`Observer::stat`].
///
/// ```
/// use sysvring::{Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<u64> = Options::private().capacity(8).create()?;
/// tx.send(&7)?;
/// let stat = sysvring::stat(tx.id())?;
/// assert_eq!((stat.capacity, stat.depth), (8, 1));
/// # Ok(()) }
/// ```
pub fn stat(address: impl Into<Address>) -> Result<Stat, Error> {
    let address = address.into();
    let FoundSegment { mapping, stat, facts } = find_channel(&address)?;
    Ok(describe_as(&mapping, stat, facts?))
}

/// A read-only view of one channel that does not join it. It takes no seat, wakes no waiter and
/// cannot disturb a member, not even by mistake. Read permission is sufficient.
///
/// The channel is attached, read-only, only while [`stat`](Observer::stat) runs: between two calls
/// nothing is held, and the observer does not keep a channel alive. To read the messages, take a
/// [`Tap`].
///
/// ```
/// use sysvring::{Observer, Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<u64> = Options::private().create()?;
/// let observer = Observer::open(tx.id())?;
/// tx.send(&7)?;
/// assert_eq!(observer.stat()?.depth, 1);
/// tx.send(&8)?;
/// assert_eq!(observer.stat()?.depth, 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Observer {
    channel: String,
    id: i32,
    /// Distinguishes the channel from a segment that gets the same identifier later.
    identity: Identity,
}

/// The properties that distinguish a channel from all others that ever have its segment's
/// identifier.
#[derive(Debug, PartialEq)]
struct Identity {
    /// The user id of the creator, which never changes.
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
    /// Finds the channel and remembers its identity.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ForeignObject`], [`Error::PermissionDenied`],
    /// [`Error::NameCollision`], [`Error::ForeignOwner`], and for an unusable header:
    /// [`Error::LayoutVersion`], [`Error::Truncated`], [`Error::Corrupt`].
    pub fn open(address: impl Into<Address>) -> Result<Observer, Error> {
        let address = address.into();
        let FoundSegment { stat, facts, .. } = find_channel(&address)?;
        let identity = Identity::of(&stat, &facts?);
        Ok(Observer { channel: address.to_string(), id: stat.id, identity })
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if the channel was removed and no member has it
    /// attached any more, [`Error::PermissionDenied`] if its mode was changed, otherwise the errors
    /// of [`open`](Observer::open) for an unusable header.
    pub fn stat(&self) -> Result<Stat, Error> {
        let FoundSegment { mapping, stat, facts } = self.attach()?;
        Ok(describe_as(&mapping, stat, facts?))
    }

    /// Returns a [`Tap`] of the channel, which reads its messages.
    ///
    /// # Errors
    /// As [`stat`](Observer::stat).
    pub fn tap(&self, start: TapStart) -> Result<Tap, Error> {
        Tap::of(self.attach()?, start)
    }

    /// Attaches the channel, and checks that it is still the same.
    fn attach(&self) -> Result<FoundSegment, Error> {
        let attached = Mapping::attach_known(self.id, Access::ReadOnly);
        let (mapping, stat) = attached.map_err(|refused| match refused.errno {
            Errno::EIDRM | Errno::EINVAL => Fault::Removed.into(),
            errno => {
                let call = Call::new(refused.call, &self.channel);
                failed(call.on(Object::Segment(self.id)), errno)
            }
        })?;
        match segment::examine(&mapping, &stat, &self.channel)? {
            State::Ready(facts) if Identity::of(&stat, &facts) == self.identity => {
                Ok(FoundSegment { mapping, stat, facts: Ok(*facts) })
            }
            // The identifier was reused.
            _ => Err(Fault::Removed.into()),
        }
    }
}

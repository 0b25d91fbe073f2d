//! Removing one channel by its address, or everything that dead processes left behind.

use std::time::Duration;

use super::locate::{self, Found, FoundSegment, is_ours};
use crate::address::Address;
use crate::doorbell::{self, Bells};
use crate::error::{Error, Fault};
use crate::liveness::{self, ChannelSemaphores};
use crate::segment::owner::Owner;
use crate::segment::{self, Lifetime, State, is_marked};
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Mapping, SegmentLookup, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};

/// Maximum time that `remove` waits for a process that is creating or joining the channel.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A channel, or a part of one, that [`reap`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Reaped {
    /// Its System V key, 0 for private channels.
    pub key: i32,
    /// The name in the header; empty if the header was never finished or has no name.
    pub name: String,
    /// The segment's identifier, if there was one.
    pub segment: Option<i32>,
    /// The set's identifier, if there was one.
    pub set: Option<i32>,
}

/// Ignores the error of a removal whose segment or set was already removed by another process.
fn gone(result: sysv::Result<()>) -> sysv::Result<()> {
    match result {
        Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// Removes a channel without members. The process that holds the lifecycle semaphore of a set
/// without users is the only one that works on the channel; processes that are blocked on that
/// semaphore get EIDRM and start again.
pub(crate) fn remove_if_unused(
    members: ChannelSemaphores,
    segment: i32,
    key: i32,
) -> Result<(), Fault> {
    match members.try_exclusive() {
        Ok(true) => {}
        // Another process has joined, or is already removing the channel.
        Ok(false) | Err(Errno::EIDRM | Errno::EINVAL) => return Ok(()),
        Err(errno) => return Err(liveness::fault("semop")(errno)),
    }
    // A private segment is marked for removal at its first attach and removed with its last detach.
    let removed = match key != 0 && shm::stat(segment).is_ok_and(|stat| stat.key == key) {
        true => gone(shm::remove(segment)).map_err(liveness::fault("shmctl(IPC_RMID)")),
        false => Ok(()),
    };
    let set = || gone(members.set.remove()).map_err(liveness::fault("semctl(IPC_RMID)"));
    let removed = removed.and_then(|()| set());
    if removed.is_err() {
        // It belongs to another user, who alone may remove it: leave it, and block no other
        // process.
        let _ = members.unlock();
    }
    removed
}

/// Removes a channel and its messages, even if it is in use: both its segment and its set.
///
/// Blocked members are woken. Receivers get the messages in the ring, then [`Fault::Removed`].
/// Each sending thread gets that fault after one more message or batch at most: a call that is in
/// progress when `remove` returns may complete, and the next send may still succeed while it
/// notices the removal. The name or key can be used again immediately.
///
/// # Errors
/// [`Error::NotFound`], [`Error::ForeignObject`] (an object that is not a channel of this crate is never
/// removed), [`Error::PermissionDenied`] (only owner, creator or root can remove a channel),
/// [`Error::ForeignOwner`] if another user has placed a segment or a set under the key of a name,
/// [`Error::Busy`] if a process that is creating or joining does not finish within 10 seconds.
///
/// ```
/// use sysvring::{Error, Options, spsc};
/// # fn main() -> Result<(), Error> {
/// # let name = format!("doc-remove-{}", std::process::id());
/// # let name = name.as_str();
/// let tx: spsc::Sender<u64> = Options::named(name).create()?;
/// drop(tx); // the channel and its messages are kept
/// sysvring::remove(name)?;
/// assert!(matches!(sysvring::remove(name), Err(Error::NotFound { .. })));
/// # Ok(()) }
/// ```
pub fn remove(address: impl Into<Address>) -> Result<(), Error> {
    let address = address.into();
    let channel = address.to_string();
    let Found { segment, set } = locate::find(&address)?;
    let refused = |call: &'static str| {
        let channel = channel.clone();
        move |errno: Errno| match errno {
            Errno::EACCES | Errno::EPERM => {
                Error::PermissionDenied { channel: channel.clone(), call }
            }
            Errno::EAGAIN => Error::Busy { channel: channel.clone(), pid: 0 },
            errno => Error::System { call, channel: channel.clone(), source: errno.into() },
        }
    };
    // A set of another user under the key of the segment does not concern the segment's members.
    let is_beside = |set: &SetStat| {
        segment.as_ref().is_some_and(|found| !Owner::from(&found.stat).is_same(set.into()))
    };
    if let Some(set) = set
        && !is_beside(&set)
    {
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        match members.lock(Deadline::after(REMOVE_TIMEOUT)) {
            Ok(()) | Err(Errno::EIDRM | Errno::EINVAL) => {}
            Err(Errno::EAGAIN) => {
                let pid = members.set.pid(liveness::LIFECYCLE).unwrap_or(0) as u32;
                return Err(Error::Busy { channel, pid });
            }
            Err(errno) => return Err(refused("semop")(errno)),
        }
    }
    let result = match &segment {
        None => Ok(()),
        // The segment is attached, so that its identifier cannot be reused.
        Some(FoundSegment { stat, facts, .. }) => {
            let attached = Mapping::attach(stat.id, Access::ReadWrite);
            let bells = match (&set, &attached, facts) {
                (Some(set), Ok(mapping), Ok(facts)) => {
                    let members = ChannelSemaphores::new(Set::from_id(set.id));
                    Some(Bells::of(mapping, facts.geometry.seats, members))
                }
                _ => None,
            };
            // Before: once the segment is removed, nothing names the queues, should this process be
            // killed.
            bells.iter().for_each(Bells::unlink_dead);
            let removed = gone(shm::remove(stat.id)).map_err(refused("shmctl(IPC_RMID)"));
            // If this process may not even attach, removing the set is what wakes the members.
            if let (Ok(()), Ok(mapping), Ok(_)) = (&removed, &attached, facts) {
                segment::mark_removed(mapping);
                bells.iter().for_each(|bells| bells.ring_all());
                // Those of members that died meanwhile.
                bells.iter().for_each(Bells::unlink_dead);
            }
            removed
        }
    };
    let Some(stat) = set else { return result };
    let set = Set::from_id(stat.id);
    let result = result.and_then(|()| gone(set.remove()).map_err(refused("semctl(IPC_RMID)")));
    if result.is_err() && !is_beside(&stat) {
        // A set that we may not remove must not stay locked either.
        let _ = ChannelSemaphores::new(set).unlock();
    }
    result
}

/// Removes channels and semaphore sets left behind by dead processes: channels that were never
/// finished, channels of [`Lifetime::LastMember`] without a living member, and the sets of private
/// channels whose segment no longer exists. Returns what was removed. The message queues of dead
/// wait sets are removed as well, where `/dev/mqueue` is mounted.
///
/// A complete channel of [`Lifetime::Kept`] is never touched, with or without members; see
/// [`remove`]. Objects of other users are ignored unless the calling user may remove them.
///
/// # Errors
/// [`Error::System`] if the kernel's tables cannot be read; an object that cannot be removed is
/// left out.
///
/// ```
/// use sysvring::{Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let tx: spsc::Sender<u64> = Options::private().create()?;
/// for reaped in sysvring::reap()? {
///     println!("removed {reaped:?}");
/// }
/// assert_eq!(sysvring::stat(tx.id())?.id, tx.id()); // a channel in use is not touched
/// # Ok(()) }
/// ```
pub fn reap() -> Result<Vec<Reaped>, Error> {
    let system = |call| {
        move |errno: Errno| Error::System { call, channel: "any".into(), source: errno.into() }
    };
    let segments = shm::list().map_err(system("shmctl(SHM_STAT)"))?;
    let sets = sem::list().map_err(system("semctl(SEM_STAT)"))?;
    let mut reaped = Vec::new();
    for stat in &sets {
        if is_ours(stat) && may_remove(stat.uid, stat.cuid) {
            reaped.extend(reap_set(stat));
        }
    }
    for stat in &segments {
        if is_marked(stat.raw_mode) && may_remove(stat.uid, stat.cuid) {
            reaped.extend(reap_segment(stat));
        }
    }
    doorbell::reap();
    Ok(reaped)
}

fn may_remove(uid: u32, cuid: u32) -> bool {
    let me = process::euid();
    me == 0 || me == uid || me == cuid
}

fn reap_set(stat: &SetStat) -> Option<Reaped> {
    let members = ChannelSemaphores::new(Set::from_id(stat.id));
    // A living creator that is between two calls finds its set removed and starts again.
    if !members.try_exclusive().ok()? {
        return None;
    }
    let keep = || {
        let _ = members.unlock();
        None
    };
    let mut reaped =
        Reaped { key: stat.key, name: String::new(), segment: None, set: Some(stat.id) };
    if stat.key != 0 {
        match segment_of(stat) {
            Ok(None) => {}
            Ok(Some((mapping, segment, name))) => {
                if gone(shm::remove(segment.id)).is_err() {
                    return keep();
                }
                drop(mapping);
                (reaped.segment, reaped.name) = (Some(segment.id), name);
            }
            Err(Kept) => return keep(),
        }
    }
    if gone(members.set.remove()).is_err() {
        return keep();
    }
    Some(reaped)
}

/// The set must not be reaped.
struct Kept;

/// Attaches the segment that is to be removed together with a set, and returns it with its name.
/// `None`: the set is removed alone. A segment of the same key that belongs to another user or
/// names another set has nothing to do with this set, and does not use it.
fn segment_of(set: &SetStat) -> Result<Option<(Mapping, SegmentStat, String)>, Kept> {
    let id = match shm::get(set.key, 0, SegmentLookup::Existing) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return Ok(None),
        Err(_) => return Err(Kept),
    };
    let (mapping, segment) = Mapping::attach_known(id, Access::ReadOnly).map_err(|_| Kept)?;
    if segment.key != set.key {
        return Err(Kept);
    }
    let nonce = ChannelSemaphores::new(Set::from_id(set.id)).nonce().map_err(|_| Kept)?;
    match segment::examine(&mapping, &segment, "") {
        Ok(State::Incomplete) if Owner::from(&segment).is_same(set.into()) => {
            Ok(Some((mapping, segment, String::new())))
        }
        Ok(State::Incomplete) => Ok(None),
        Ok(State::Ready(facts)) if !locate::belong_together(&segment, &facts, set, nonce) => {
            Ok(None)
        }
        Ok(State::Ready(facts)) if facts.lifetime == Lifetime::LastMember => {
            let members = ChannelSemaphores::new(Set::from_id(set.id));
            Bells::of(&mapping, facts.geometry.seats, members).unlink_dead();
            Ok(Some((mapping, segment, facts.name)))
        }
        _ => Err(Kept),
    }
}

/// Removes a segment without a set: one that was never finished, or whose set was removed by hand.
fn reap_segment(stat: &SegmentStat) -> Option<Reaped> {
    if shm::stat(stat.id).ok()?.attached != 0 {
        return None;
    }
    let (mapping, fresh) = Mapping::attach_known(stat.id, Access::ReadOnly).ok()?;
    // Attached by this process only, and still the segment that was listed.
    let is_same = is_marked(fresh.raw_mode) && Owner::from(&fresh) == Owner::from(stat);
    if fresh.attached != 1 || fresh.marked_for_removal || !is_same {
        return None;
    }
    if fresh.key != 0 && Set::get(fresh.key, 0, sem::SetLookup::Existing) != Err(Errno::ENOENT) {
        return None;
    }
    let name = match segment::examine(&mapping, &fresh, "") {
        Ok(State::Incomplete) => String::new(),
        Ok(State::Ready(facts)) if fresh.key == 0 || facts.lifetime == Lifetime::LastMember => {
            facts.name
        }
        _ => return None,
    };
    // A private segment may be between its creation and its marking for removal by a living
    // creator: that creator finds at its next call that the segment is gone, and starts again.
    gone(shm::remove(stat.id)).ok()?;
    Some(Reaped { key: fresh.key, name, segment: Some(stat.id), set: None })
}

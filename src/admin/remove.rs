//! Removing one channel: by its address, or because its last member left.

use std::time::Duration;

use super::locate::{self, Found, FoundSegment};
use crate::address::Address;
use crate::doorbell::Bells;
use crate::error::{Error, Fault};
use crate::liveness::{self, ChannelSemaphores};
use crate::os_error::{Call, Object};
use crate::segment;
use crate::segment::owner::Owner;
use crate::sysv::sem::{Set, SetStat};
use crate::sysv::shm::{self, Access, Mapping};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};

/// Maximum time that `remove` waits for a process that is creating or joining the channel.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Ignores the error of a removal whose segment or set was already removed by another process.
pub(super) fn gone(result: sysv::Result<()>) -> sysv::Result<()> {
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
        Err(errno) => return Err(liveness::fault("semtimedop")(errno)),
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
    let Found { mut segment, set } = locate::find(&address).map_err(for_removal)?;
    let call = |name: &'static str| Call::new(name, &channel);
    // A set of another user under the key of the segment does not concern the segment's members.
    let is_beside = |set: &SetStat| {
        segment.as_ref().is_some_and(|found| !Owner::from(&found.stat).is_same(set.into()))
    };
    let mut is_locked = false;
    if let Some(set) = set
        && !is_beside(&set)
    {
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        match members.lock(Deadline::after(REMOVE_TIMEOUT)) {
            Ok(()) => is_locked = true,
            Err(Errno::EIDRM | Errno::EINVAL) => {}
            Err(Errno::EAGAIN) => {
                let pid = members.builder();
                return Err(Error::Busy { channel: channel.clone(), pid });
            }
            // Another mode would not help: it would not permit the removal.
            Err(Errno::EACCES) if ![set.uid, set.cuid].contains(&process::euid()) => {
                return Err(call("semctl(IPC_RMID)").on(Object::Set(set.id)).denied());
            }
            Err(errno) => return Err(call("semtimedop").on(Object::Set(set.id)).error(errno)),
        }
    }
    if is_locked && segment.is_none() {
        // A creator may have made it since.
        segment = locate::find(&address).ok().and_then(|found| found.segment);
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
            let removed = gone(shm::remove(stat.id)).map_err(|errno| {
                let call = call("shmctl(IPC_RMID)").on(Object::Segment(stat.id));
                call.removal(errno, [stat.uid, stat.cuid])
            });
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
    let result = result.and_then(|()| {
        gone(set.remove()).map_err(|errno| {
            let call = call("semctl(IPC_RMID)").on(Object::Set(stat.id));
            call.removal(errno, [stat.uid, stat.cuid])
        })
    });
    if result.is_err() && is_locked {
        // A set that we may not remove must not stay locked either.
        let _ = ChannelSemaphores::new(set).unlock();
    }
    result
}

/// Converts the error of a look at an object of another user: a mode that permits the look would not
/// permit the removal.
fn for_removal(error: Error) -> Error {
    match error {
        Error::PermissionDenied { channel, permissions: Some(known), .. }
            if known.uid != process::euid() =>
        {
            let call = if known.object == "set" { "semctl(IPC_RMID)" } else { "shmctl(IPC_RMID)" };
            Error::PermissionDenied { channel, call, permissions: Some(known) }
        }
        other => other,
    }
}

//! Removing: one channel by its address, or whatever dead processes left.

use std::time::Duration;

use super::locate::{self, Found, FoundSegment, is_ours};
use crate::address::Address;
use crate::error::{Error, Fault};
use crate::liveness::{self, ChannelSemaphores};
use crate::segment::owner::Owner;
use crate::segment::{self, Lifetime, State, is_marked};
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Get, Mapping, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};

/// How long removing waits for a process that is creating or joining.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something [`reap`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its System V key, 0 for private channels.
    pub key: i32,
    /// The name in the header, if it got that far and had one.
    pub name: String,
    /// The segment's identifier, if there was one.
    pub segment: Option<i32>,
    /// The set's identifier, if there was one.
    pub set: Option<i32>,
}

/// Removes a segment or set; that somebody else did so already is fine.
fn gone(result: sysv::Result<()>) -> sysv::Result<()> {
    match result {
        Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// Removes a channel without members. Whoever holds the lifecycle semaphore of a set without users
/// is alone, and sleepers on that semaphore get EIDRM and start again.
pub(crate) fn remove_if_unused(
    members: ChannelSemaphores,
    segment: i32,
    key: i32,
) -> Result<(), Fault> {
    match members.try_exclusive() {
        Ok(true) => {}
        // Somebody came, or somebody else is at it.
        Ok(false) | Err(Errno::EIDRM | Errno::EINVAL) => return Ok(()),
        Err(errno) => return Err(liveness::fault("semop")(errno)),
    }
    // A private segment is marked since its first attach and goes with its last.
    let removed = match key != 0 && shm::stat(segment).is_ok_and(|stat| stat.key == key) {
        true => gone(shm::remove(segment)).map_err(liveness::fault("shmctl(IPC_RMID)")),
        false => Ok(()),
    };
    let set = || gone(members.set.remove()).map_err(liveness::fault("semctl(IPC_RMID)"));
    let removed = removed.and_then(|()| set());
    if removed.is_err() {
        // Another user's, and not ours to remove: let it be, and hold up nobody.
        let _ = members.unlock();
    }
    removed
}

/// Removes a channel, whoever uses it: its segment and its set, and with them the messages in it.
///
/// Members that sleep are woken. Receivers get what is in the ring, then
/// [`Fault::Removed`](crate::Fault::Removed). Senders get it at their next call but one at the latest: when
/// this returns, a call may be under way, which sends its message or batch, and each thread's next send
/// may succeed and notice. A name or key can be used again at once.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotOurs`] (nothing is ever removed that is not a channel of this
/// crate), [`Error::PermissionDenied`] (only the owner or creator may remove),
/// [`Error::ForeignOwner`] when another user has put a segment or a set under the key of a name,
/// [`Error::Busy`] when a process that creates or joins does not finish for 10 seconds.
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
    // What lies beside the segment of a key and is another user's is of no concern to its members.
    let is_beside = |set: &SetStat| {
        segment.as_ref().is_some_and(|found| !Owner::from(&found.stat).is_same(set.into()))
    };
    if let Some(set) = set
        && !is_beside(&set)
    {
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        match members.lock(Deadline::after(PATIENCE)) {
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
        // It is attached, so that the identifier stays its own.
        Some(FoundSegment { stat, facts, .. }) => {
            let attached = Mapping::attach(stat.id, Access::ReadWrite);
            let removed = gone(shm::remove(stat.id)).map_err(refused("shmctl(IPC_RMID)"));
            // Who may not even attach leaves it to the set's removal to wake the members.
            if let (Ok(()), Ok(mapping), Ok(_)) = (&removed, attached, facts) {
                segment::mark_removed(&mapping);
            }
            removed
        }
    };
    let Some(stat) = set else { return result };
    let set = Set::from_id(stat.id);
    let result = result.and_then(|()| gone(set.remove()).map_err(refused("semctl(IPC_RMID)")));
    if result.is_err() && !is_beside(&stat) {
        // What we may not remove must not be held up either.
        let _ = ChannelSemaphores::new(set).unlock();
    }
    result
}

/// Removes what dead processes left: channels that were never finished, channels that live only as
/// long as their members and have none alive, and the sets of private channels whose segment is gone.
///
/// A whole channel of [`Lifetime::Kept`] is never touched, with or without members; see
/// [`remove`]. Processes of other users are none of our business unless we may remove their objects.
///
/// # Errors
/// [`Error::System`] when the kernel's tables cannot be read; what cannot be removed is left out.
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
    Ok(reaped)
}

fn may_remove(uid: u32, cuid: u32) -> bool {
    let me = process::euid();
    me == 0 || me == uid || me == cuid
}

fn reap_set(stat: &SetStat) -> Option<Reaped> {
    let members = ChannelSemaphores::new(Set::from_id(stat.id));
    // A creator that is alive and between its calls finds its set gone and starts again.
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

/// There is something that keeps a set from being reaped.
struct Kept;

/// The segment that is to go with a set, attached, and its name. `None`: the set goes alone. A segment
/// of the same key that is another user's, or names another set, is none of this one's business, and
/// this set is of no use to it.
fn segment_of(set: &SetStat) -> Result<Option<(Mapping, SegmentStat, String)>, Kept> {
    let id = match shm::get(set.key, 0, Get::Existing) {
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
            Ok(Some((mapping, segment, facts.name)))
        }
        _ => Err(Kept),
    }
}

/// Segments without a set: never finished, or their set was removed by hand.
fn reap_segment(stat: &SegmentStat) -> Option<Reaped> {
    if shm::stat(stat.id).ok()?.attached != 0 {
        return None;
    }
    let (mapping, fresh) = Mapping::attach_known(stat.id, Access::ReadOnly).ok()?;
    // Attached by this look alone, and still the segment that was listed.
    let is_same = is_marked(fresh.raw_mode) && Owner::from(&fresh) == Owner::from(stat);
    if fresh.attached != 1 || fresh.marked_for_removal || !is_same {
        return None;
    }
    if fresh.key != 0 && Set::get(fresh.key, 0, sem::How::Existing) != Err(Errno::ENOENT) {
        return None;
    }
    let name = match segment::examine(&mapping, &fresh, "") {
        Ok(State::Incomplete) => String::new(),
        Ok(State::Ready(facts)) if fresh.key == 0 || facts.lifetime == Lifetime::LastMember => {
            facts.name
        }
        _ => return None,
    };
    // A private one between its making and its marking has the mark of a live creator's next call
    // at most: that creator finds it gone and starts again.
    gone(shm::remove(stat.id)).ok()?;
    Some(Reaped { key: fresh.key, name, segment: Some(stat.id), set: None })
}

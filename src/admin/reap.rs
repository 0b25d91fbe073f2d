//! What dead processes left behind: finding it, and removing it.

use super::locate::{self, is_of_channel};
use super::remove::gone;
use crate::doorbell::{self, Bells, DeadQueue};
use crate::error::Error;
use crate::liveness::ChannelSemaphores;
use crate::os_error::Call;
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, Lifetime, State, is_marked};
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Mapping, SegmentLookup, SegmentStat};
use crate::sysv::{Errno, process};

/// A channel, a part of one, or a message queue, that [`reap`] removed or that [`reapable`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Reaped {
    /// Its System V key, 0 for private channels and queues.
    pub key: i32,
    /// The name in the header; empty if the header was never finished or has no name. If there is
    /// neither a segment nor a set, this is a message queue, by the name that `ls /dev/mqueue`
    /// shows: the doorbell of a dead process.
    pub name: String,
    /// The segment's identifier, if there was one.
    pub segment: Option<i32>,
    /// The set's identifier, if there was one.
    pub set: Option<i32>,
}

/// Removes channels and semaphore sets left behind by dead processes: channels that were never
/// finished, channels of [`Lifetime::LastMember`] without a living member, and the sets of private
/// channels whose segment no longer exists; and the message queues of dead wait sets, where
/// `/dev/mqueue` is mounted or a channel that is removed names them. Returns what was removed.
///
/// A complete channel of [`Lifetime::Kept`] is never touched, with or without members; see
/// [`remove`](crate::remove). Objects of other users are ignored unless the calling user may remove
/// them. [`reapable`] only reports.
///
/// # Errors
/// [`Error::CallRefused`] or [`Error::System`] if the kernel's tables cannot be read; an object that cannot be removed is
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
    leftovers(Purpose::Remove)
}

/// Returns what [`reap`] would remove now, and removes nothing. It takes no lock of a
/// channel and wakes no process: only the kernel's record of who attached a segment last changes.
///
/// Both find leftovers in the same way, so `reap` removes exactly this, unless a process uses or
/// removes some of it in between.
///
/// # Errors
/// As [`reap`].
///
/// ```
/// use sysvring::{Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let tx: spsc::Sender<u64> = Options::private().create()?;
/// for left in sysvring::reapable()? {
///     println!("would remove {left:?}");
/// }
/// let segment = Some(tx.id().segment());
/// assert!(sysvring::reapable()?.iter().all(|left| left.segment != segment)); // it is in use
/// # Ok(()) }
/// ```
pub fn reapable() -> Result<Vec<Reaped>, Error> {
    leftovers(Purpose::Report)
}

/// Why leftovers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Remove,
    Report,
}

impl Purpose {
    /// Performs a removal, unless there is to be none. Returns false if it fails.
    fn carry_out(self, removal: impl FnOnce() -> bool) -> bool {
        self == Purpose::Report || removal()
    }

    /// Checks that no process uses a set or works on its channel, and keeps others from it for a
    /// removal. A report must not: a last member that leaves finds the lock taken, and leaves the
    /// channel to the process that has it.
    fn claim(self, members: ChannelSemaphores) -> Option<Claim> {
        match self {
            // A living creator that is between two calls finds its set removed and starts again.
            Purpose::Remove => members.try_exclusive().ok()?.then(|| Claim(Some(members))),
            Purpose::Report => members.is_unused().ok()?.then(|| Claim(None)),
        }
    }
}

/// The lifecycle semaphore, released on drop; or nothing, for a report.
struct Claim(Option<ChannelSemaphores>);

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(members) = self.0 {
            // If the set was removed, there is nothing to release.
            let _ = members.unlock();
        }
    }
}

fn leftovers(purpose: Purpose) -> Result<Vec<Reaped>, Error> {
    let failed = |call| move |errno: Errno| Call::new(call, "any").error(errno);
    let segments = shm::list().map_err(failed("shmctl(SHM_STAT)"))?;
    let sets = sem::list().map_err(failed("semctl(SEM_STAT)"))?;
    let mut found = Vec::new();
    for set in &sets {
        if may_remove(set.uid, set.cuid) && is_of_channel(set) {
            let leftovers = leftovers_of_set(set, purpose);
            // One process has one queue for all of its channels.
            let is_new = |new: &Reaped| !new.is_queue() || found.iter().all(|old| old != new);
            let new: Vec<Reaped> = leftovers.into_iter().filter(is_new).collect();
            found.extend(new);
        }
    }
    for segment in &segments {
        if is_marked(segment.raw_mode) && may_remove(segment.uid, segment.cuid) {
            let leftover = leftover_segment(segment, &found, purpose);
            found.extend(leftover);
        }
    }
    for queue in doorbell::dead_queues() {
        // A channel above may have named it.
        let is_new = found.iter().all(|other| other.name != queue.name() || !other.is_queue());
        if is_new {
            found.extend(leftover_queue(&queue, purpose));
        }
    }
    Ok(found)
}

impl Reaped {
    fn is_queue(&self) -> bool {
        (self.segment, self.set) == (None, None)
    }
}

fn may_remove(uid: u32, cuid: u32) -> bool {
    let me = process::euid();
    me == 0 || me == uid || me == cuid
}

/// Returns a set without users, with the segment that is its own and the queues that this segment
/// names.
fn leftovers_of_set(set: &SetStat, purpose: Purpose) -> Vec<Reaped> {
    let members = ChannelSemaphores::new(Set::from_id(set.id));
    let Some(_claim) = purpose.claim(members) else { return Vec::new() };
    let Ok(own) = segment_of(set, members) else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(OwnSegment { mapping, facts: Some(facts), .. }) = &own {
        // Before: once the segment is removed, nothing names the queues, should this process be
        // killed.
        let bells = Bells::of(mapping, facts.geometry.seats, members);
        found.extend(bells.dead_queues().filter_map(|queue| leftover_queue(&queue, purpose)));
    }
    let segment = own.as_ref().map(|own| own.stat.id);
    let is_done = purpose.carry_out(|| {
        segment.is_none_or(|id| gone(shm::remove(id)).is_ok()) && gone(members.set.remove()).is_ok()
    });
    if is_done {
        let name = own.and_then(|own| own.facts).map(|facts| facts.name).unwrap_or_default();
        found.push(Reaped { key: set.key, name, segment, set: Some(set.id) });
    }
    found
}

/// The set must not be reaped.
struct Kept;

/// A segment that is removed together with its set, attached, so that its identifier cannot be
/// reused.
struct OwnSegment {
    mapping: Mapping,
    stat: SegmentStat,
    /// `None`: it was never finished.
    facts: Option<ChannelInfo>,
}

/// Attaches the segment that is to be removed together with a set. `None`: the set is removed
/// alone. A segment of the same key that belongs to another user or names another set has nothing
/// to do with this set, and does not use it.
///
/// Without a mark, a set is a channel's only by what its segment says. So it is never removed alone,
/// and not even with its segment if others than the owner may have written that.
fn segment_of(set: &SetStat, members: ChannelSemaphores) -> Result<Option<OwnSegment>, Kept> {
    let is_set_marked = is_marked(set.raw_mode);
    let alone = || if is_set_marked { Ok(None) } else { Err(Kept) };
    if set.key == 0 {
        return alone();
    }
    let id = match shm::get(set.key, 0, SegmentLookup::Existing) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return alone(),
        Err(_) => return Err(Kept),
    };
    let (mapping, stat) = Mapping::attach_known(id, Access::ReadOnly).map_err(|_| Kept)?;
    if stat.key != set.key {
        return Err(Kept);
    }
    let nonce = members.nonce().map_err(|_| Kept)?;
    let is_trusted = is_set_marked || is_marked(stat.raw_mode) || stat.mode & 0o022 == 0;
    match segment::examine(&mapping, &stat, "") {
        Ok(State::Incomplete) if Owner::from(&stat).is_same(set.into()) => {
            Ok(Some(OwnSegment { mapping, stat, facts: None }))
        }
        Ok(State::Incomplete) => alone(),
        Ok(State::Ready(facts)) if !locate::belong_together(&stat, &facts, set, nonce) => alone(),
        Ok(State::Ready(_)) if !is_trusted => Err(Kept),
        Ok(State::Ready(facts)) if facts.lifetime == Lifetime::LastMember => {
            Ok(Some(OwnSegment { mapping, stat, facts: Some(*facts) }))
        }
        _ => Err(Kept),
    }
}

/// Returns a segment without a set: one that was never finished, or whose set was removed by hand
/// or is among those that were `found`.
fn leftover_segment(listed: &SegmentStat, found: &[Reaped], purpose: Purpose) -> Option<Reaped> {
    let is_found = found.iter().any(|other| other.segment == Some(listed.id));
    if is_found || shm::stat(listed.id).ok()?.attached != 0 {
        return None;
    }
    let (mapping, fresh) = Mapping::attach_known(listed.id, Access::ReadOnly).ok()?;
    // Attached by this process only, and still the segment that was listed.
    let is_same = is_marked(fresh.raw_mode) && Owner::from(&fresh) == Owner::from(listed);
    if fresh.attached != 1 || fresh.marked_for_removal || !is_same {
        return None;
    }
    if fresh.key != 0 {
        match Set::lookup(fresh.key) {
            Err(Errno::ENOENT) => {}
            Ok(set) if found.iter().any(|other| other.set == Some(set.id())) => {}
            _ => return None,
        }
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
    let is_done = purpose.carry_out(|| gone(shm::remove(listed.id)).is_ok());
    is_done.then_some(Reaped { key: fresh.key, name, segment: Some(listed.id), set: None })
}

/// Returns a queue whose owner has ended, if this user may remove it.
fn leftover_queue(queue: &DeadQueue, purpose: Purpose) -> Option<Reaped> {
    let is_done = queue.may_unlink() && purpose.carry_out(|| queue.unlink());
    is_done.then(|| Reaped { key: 0, name: queue.name(), segment: None, set: None })
}

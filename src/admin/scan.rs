//! All channels in the kernel's tables, and whatever else has the mark of this crate, each examined.

use super::locate::may_be_channel;
use super::unusable::Defect;
use crate::error::Error;
use crate::liveness::{self, ChannelSemaphores};
use crate::os_error::Call;
use crate::segment::{self, ChannelInfo, State, is_marked};
use crate::sysv::Errno;
use crate::sysv::sem::{self, Set, SetStat};
use crate::sysv::shm::{self, Access, Mapping, SegmentStat};

/// A segment with the mark, or a channel that lost it.
pub(super) enum MarkedSegment {
    /// A channel, attached; its header was validated.
    Channel(Mapping, SegmentStat, Box<ChannelInfo>),
    Unusable(SegmentStat, Defect),
}

/// Examines all segments that have the mark or that may be channels without it, one after the other.
/// Those that disappear meanwhile are left out. Each attachment and look at a header is bounded work.
///
/// # Errors
/// [`Error::System`] if the kernel's table cannot be read.
pub(super) fn segments() -> Result<impl Iterator<Item = MarkedSegment>, Error> {
    let listed = shm::list().map_err(failed("shmctl(SHM_STAT)"))?;
    Ok(listed.into_iter().filter(may_be_channel).filter_map(examine))
}

/// Returns all sets that have the mark.
///
/// # Errors
/// [`Error::System`] if the kernel's table cannot be read.
pub(super) fn sets() -> Result<impl Iterator<Item = SetStat>, Error> {
    let listed = sem::list().map_err(failed("semctl(SEM_STAT)"))?;
    Ok(listed.into_iter().filter(|stat| is_marked(stat.raw_mode)))
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Call::new(call, "any").error(errno)
}

fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::EIDRM | Errno::EINVAL)
}

fn examine(listed: SegmentStat) -> Option<MarkedSegment> {
    let (mapping, stat) = match Mapping::attach_known(listed.id, Access::ReadOnly) {
        Ok(attached) => attached,
        Err(refused) if is_gone(refused.errno) || !is_marked(listed.raw_mode) => return None,
        Err(refused) => {
            let defect = Defect::Unreadable { call: refused.call, errno: refused.errno.0 };
            return Some(MarkedSegment::Unusable(listed, defect));
        }
    };
    if !is_marked(stat.raw_mode) && !segment::is_ours(&mapping, &stat) {
        return None;
    }
    let defect = match segment::examine(&mapping, &stat, "") {
        Ok(State::Ready(facts)) => return Some(MarkedSegment::Channel(mapping, stat, facts)),
        Ok(State::Incomplete) => Defect::Incomplete,
        Err(Error::ForeignObject { what, .. }) => Defect::NotAChannel { what },
        Err(Error::LayoutVersion { found, .. }) => Defect::LayoutVersion { found },
        Err(Error::Truncated { expected, .. }) => Defect::Truncated { expected },
        Err(Error::Corrupt { what, .. }) => Defect::Corrupt { what: what.into() },
        Err(Error::Limit { call, errno, .. }) => Defect::Unreadable { call, errno },
        Err(other) => Defect::Corrupt { what: other.to_string() },
    };
    Some(MarkedSegment::Unusable(stat, defect))
}

/// Returns why a set is not that of a channel, if no segment names it; `None` if it is gone.
pub(super) fn defect_of_set(set: &SetStat) -> Option<Defect> {
    if !liveness::can_be_ours(set.semaphores) {
        let what = format!("it has {} semaphores, and no channel has as many", set.semaphores);
        return Some(Defect::NotAChannel { what });
    }
    match ChannelSemaphores::new(Set::from_id(set.id)).nonce() {
        Ok(_) => Some(Defect::NoSegment),
        Err(errno) if is_gone(errno) => None,
        Err(errno) => Some(Defect::Unreadable { call: "semctl(GETVAL)", errno: errno.0 }),
    }
}

//! Objects with the mark of this crate that are no channel, or none that can be used: what `list`
//! does not show.

use core::fmt;
use std::io;

use super::locate::set_of;
use super::scan::{self, MarkedSegment};
use crate::error::{Error, Printable};
use crate::layout::VERSION;
use crate::sysv::Errno;
use crate::sysv::sem::SetStat;
use crate::sysv::shm::SegmentStat;

/// A segment or a set that has the mark of this crate and does not belong to a channel that the
/// calling user can use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Unusable {
    /// What the kernel reports about it: identifier, key, owner, mode and size.
    pub object: IpcObject,
    /// Why it cannot be used.
    pub defect: Defect,
}

/// A kernel object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum IpcObject {
    /// A shared memory segment.
    Segment(SegmentStat),
    /// A semaphore set.
    Set(SetStat),
}

/// Why a segment or a set is no channel that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Defect {
    /// The segment has no magic number: a process is creating the channel, or died while it did.
    /// The next open of the channel completes it, and [`reap`](crate::reap) removes it.
    Incomplete,
    /// The set is named by no complete segment: a process is creating or removing the channel, or
    /// died while it did; or the channel was private and all its members were killed; or the segment
    /// was removed by hand. [`reap`](crate::reap) removes it, unless a process uses it.
    NoSegment,
    /// The channel was created with another version of the layout. Use the version of this crate
    /// that created it, or [`remove`](crate::remove) it by its key.
    LayoutVersion {
        /// The version of the segment.
        found: u32,
    },
    /// The segment is smaller than its header requires. [`remove`](crate::remove) it by its key.
    Truncated {
        /// Size that the header requires, in bytes.
        expected: u64,
    },
    /// The header contains something that no version writes. [`remove`](crate::remove) it by its
    /// key, and check its mode.
    Corrupt {
        /// What was found.
        what: String,
    },
    /// It has the mark by chance, and belongs to another program.
    NotAChannel {
        /// What was found.
        what: String,
    },
    /// The calling user may not read it, its size exceeds what the process can attach, or its pages
    /// cannot be had (`EFAULT`). It may well be a channel: its owner can tell.
    Unreadable {
        /// The call that failed.
        call: &'static str,
        /// Its `errno`.
        errno: i32,
    },
}

impl IpcObject {
    /// Returns the identifier, as `ipcs` shows it.
    pub fn id(&self) -> i32 {
        match self {
            IpcObject::Segment(stat) => stat.id,
            IpcObject::Set(stat) => stat.id,
        }
    }

    /// Returns the System V key; 0 if it has none.
    pub fn key(&self) -> i32 {
        match self {
            IpcObject::Segment(stat) => stat.key,
            IpcObject::Set(stat) => stat.key,
        }
    }

    /// Returns the owner's user id.
    pub fn uid(&self) -> u32 {
        match self {
            IpcObject::Segment(stat) => stat.uid,
            IpcObject::Set(stat) => stat.uid,
        }
    }
}

impl fmt::Display for IpcObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IpcObject::Segment(stat) => write!(f, "segment {}, {} bytes", stat.id, stat.size)?,
            IpcObject::Set(stat) => write!(f, "set {}, {} semaphores", stat.id, stat.semaphores)?,
        }
        write!(f, ", key {:#010x}, owner {}", self.key(), self.uid())
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Incomplete => f.write_str(
                "it was never finished; open the channel to complete it, or remove it by \
                 sysvring::reap()",
            ),
            Defect::NoSegment => f.write_str(
                "no complete segment belongs to it; remove it by sysvring::reap() if no process \
                 uses it",
            ),
            Defect::LayoutVersion { found } => write!(
                f,
                "it has layout version {found}, but this build supports {VERSION}; use the \
                 sysvring version that created it, or remove the channel"
            ),
            Defect::Truncated { expected } => write!(
                f,
                "it is shorter than the {expected} bytes that its header requires; remove the \
                 channel"
            ),
            Defect::Corrupt { what } => write!(
                f,
                "it is corrupt: {}; remove the channel and check which processes can write to it",
                Printable(what)
            ),
            Defect::NotAChannel { what } => write!(
                f,
                "it is not a sysvring channel ({}), though its mode looks like that of one; leave \
                 it to its owner",
                Printable(what)
            ),
            Defect::Unreadable { call, errno } if Errno(*errno) == Errno::EFAULT => write!(
                f,
                "{call} failed: its pages cannot be had, which are huge pages that are not free or \
                 not permitted; it may be a channel: let its owner look"
            ),
            Defect::Unreadable { call, errno } => write!(
                f,
                "{call} failed: {}; it may be a channel: let its owner look",
                io::Error::from_raw_os_error(*errno)
            ),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.defect)
    }
}

/// Returns the segments and sets that have the mark of this crate and that [`list`](crate::list)
/// does not show as channels: incomplete, of another layout version, corrupt, or not readable for
/// the calling user. Changes nothing.
///
/// A channel that is created or removed at this moment may be among them, and so may the channels of
/// other users. [`reapable`](crate::reapable) tells which of them [`reap`](crate::reap) would
/// remove.
///
/// # Errors
/// [`Error::System`] if the kernel's tables cannot be read.
///
/// ```
/// use sysvring::{IpcObject, Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let tx: spsc::Sender<u64> = Options::private().create()?;
/// for unusable in sysvring::unusable()? {
///     println!("{unusable}");
///     let segment = tx.id().segment();
///     assert!(!matches!(unusable.object, IpcObject::Segment(stat) if stat.id == segment));
/// }
/// # Ok(()) }
/// ```
pub fn unusable() -> Result<Vec<Unusable>, Error> {
    // First: the segment of a channel is made after its set and removed before it.
    let sets: Vec<SetStat> = scan::sets()?.collect();
    let (mut found, mut used) = (Vec::new(), Vec::new());
    for segment in scan::segments()? {
        match segment {
            MarkedSegment::Channel(_mapping, stat, facts) => {
                used.extend(set_of(&facts, &stat).map(|set| set.id));
            }
            MarkedSegment::Unusable(stat, defect) => {
                found.push(Unusable { object: IpcObject::Segment(stat), defect });
            }
        }
    }
    for set in sets.into_iter().filter(|set| !used.contains(&set.id)) {
        if let Some(defect) = scan::defect_of_set(&set) {
            found.push(Unusable { object: IpcObject::Set(set), defect });
        }
    }
    Ok(found)
}

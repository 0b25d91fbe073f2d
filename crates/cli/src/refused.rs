//! What could not be looked at because a sandbox refused a system call: it is not known, and must not
//! look as if there were nothing, or as if something were lost.

use std::io::{self, Write};

use nix::errno::Errno;
use sysvring::{Defect, Error, IpcObject, MissingSet, Stat};

use crate::{escape, units};

/// The system calls of which a channel consists.
const CALLS: &str = "shmget, shmat, shmdt, shmctl, semget, semtimedop and semctl";

/// Returns whether an errno is that of a sandbox, not that of a mode.
pub fn is_refusal(errno: i32) -> bool {
    [Errno::EPERM as i32, Errno::ENOSYS as i32].contains(&errno)
}

/// Returns whether a sandbox refused to look at the set of a channel.
pub fn is_refused(stat: &Stat) -> bool {
    matches!(stat.missing_set, Some(MissingSet::Unreadable { errno, .. }) if is_refusal(errno))
}

/// Returns the name of the system call in the name that the library gives to a call.
pub fn system_call(call: &str) -> &str {
    call.split('(').next().unwrap_or(call)
}

/// Returns which call was refused.
pub fn refusal(call: &str, errno: i32) -> String {
    format!("{} was refused: {}", system_call(call), Errno::from_raw(errno).desc())
}

/// Returns what could not be looked at beside these channels, which are all that could be read.
pub fn unseen(channels: &[Stat]) -> Option<String> {
    let sets = channels.iter().filter(|stat| is_refused(stat)).count() as u64;
    let first = channels.iter().find(|stat| is_refused(stat));
    if let Some(MissingSet::Unreadable { call, errno }) = first.and_then(|stat| stat.missing_set) {
        let sets = units::counted(sets, "semaphore set", "semaphore sets");
        return Some(format!("{sets} could not be read, as {}", refusal(call, errno)));
    }
    // Where one segment can be attached, this call is not refused.
    if !channels.is_empty() {
        return None;
    }
    let objects = match sysvring::unusable() {
        Ok(objects) => objects,
        Err(Error::CallRefused { call, errno, .. }) => {
            return Some(format!("segments could not be looked for, as {}", refusal(call, errno)));
        }
        Err(_) => return None,
    };
    let refused =
        objects.iter().filter_map(|unusable| match (&unusable.object, &unusable.defect) {
            (IpcObject::Segment(_), Defect::Unreadable { call, errno }) if is_refusal(*errno) => {
                Some((*call, *errno))
            }
            _ => None,
        });
    let (call, errno) = refused.clone().next()?;
    let segments = units::counted(refused.count() as u64, "segment", "segments");
    Some(format!("{segments} could not be read, as {}", refusal(call, errno)))
}

/// Returns what to do about a sandbox.
pub fn remedy() -> String {
    format!("let the sandbox (seccomp, the profile of a container) permit {CALLS}")
}

/// Prints on standard error what could not be looked at.
pub fn warn(unseen: Option<&str>) {
    if let Some(unseen) = unseen.map(escape::visible) {
        let _ = writeln!(io::stderr(), "sysvring: {unseen}; {}", remedy());
    }
}

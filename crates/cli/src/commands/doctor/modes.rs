//! The modes of a channel's segment and set, which are alike and have a mark when it is created, and
//! give its owner read and write permission.

use sysvring::Stat;

use super::Finding;

/// Permissions, without the mark.
const PERMISSIONS: u32 = 0o666;
const OWNER: u32 = 0o600;

/// Returns what a change of the modes after the creation means.
pub fn changed(stat: &Stat, name: &str) -> Option<Finding> {
    let check = "changed-mode";
    let segment = stat.segment.raw_mode & 0o777;
    let set = stat.set.map_or(segment, |set| set.raw_mode & 0o777);
    let (modes, change) =
        (format!("segment {segment:03o}, set {set:03o}"), Change::of(segment, set)?);
    let found =
        |what| format!("the mode of channel {name} was changed after its creation: {modes}{what}");
    Some(match change {
        Change { lost, .. } if lost & OWNER != 0 => Finding::problem(
            check,
            found(": members that are not root lose access (PermissionLost), and none can join"),
            "restore the mode of both with shmctl and semctl (IPC_SET), at least 0600",
        ),
        Change { lost, gained: 0 } if lost != 0 => Finding::note(
            check,
            found(": members of its group or of other users lose access (PermissionLost)"),
            "restore the mode with shmctl or semctl (IPC_SET), if they were to have access",
        ),
        Change { gained: 0, .. } => Finding::note(
            check,
            found(": nobody got or lost access, but the mark of channels is gone"),
            "it goes on to work; `sysvring reap` does not find what is left of it one day",
        ),
        _ => Finding::note(
            check,
            found(": others may have got access"),
            "it goes on to work; if others were not to get access to it, remove it, and open it again",
        ),
    })
}

/// The permissions that were given and taken.
#[derive(Debug, PartialEq)]
struct Change {
    gained: u32,
    lost: u32,
}

impl Change {
    /// Returns how the modes of a segment and a set were changed, if they were. What kept its mark
    /// while the other lost it has the mode of the creation; otherwise, that is taken for the default.
    fn of(segment: u32, set: u32) -> Option<Change> {
        let is_marked = |mode| mode & 0o111 == 0o001;
        let created = match (is_marked(segment), is_marked(set)) {
            (true, true) if segment == set => return None,
            (true, false) => segment,
            (false, true) => set,
            _ => OWNER,
        };
        let created = created & PERMISSIONS;
        let gained = (segment | set) & !created & PERMISSIONS;
        let lost = created & !(segment & set);
        Some(Change { gained, lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_mode_is_that_of_the_creation() {
        let change = |gained, lost| Some(Change { gained, lost });
        assert_eq!(Change::of(0o601, 0o601), None);
        assert_eq!(Change::of(0o661, 0o661), None);
        assert_eq!(Change::of(0o661, 0o600), change(0, 0o060));
        assert_eq!(Change::of(0o601, 0o660), change(0o060, 0));
        assert_eq!(Change::of(0o600, 0o600), change(0, 0));
        assert_eq!(Change::of(0, 0o601), change(0, 0o600));
        assert_eq!(Change::of(0o400, 0o400), change(0, 0o200));
        assert_eq!(Change::of(0o666, 0o666), change(0o066, 0));
    }
}

//! The channels: what dead processes left, and what cannot be used.

use std::collections::BTreeSet;

use nix::errno::Errno;
use sysvring::{Defect, Error, IpcObject, MissingSet, Reaped, Stat, Unusable};

use super::Finding;
use crate::{channel, columns, refused, remedy, units, users};

pub fn check() -> Vec<Finding> {
    let check = "channels";
    let channels = match sysvring::list() {
        Ok(channels) => channels,
        Err(error) => return vec![Finding::problem(check, remedy::of(&error), "")],
    };
    let mut findings: Vec<Finding> = channels.iter().filter_map(ailing).collect();
    findings.extend(refused::unseen(&channels).map(|unseen| {
        Finding::note("unseen", format!("not checked: {unseen}"), refused::remedy())
    }));
    let found = match channels.len() {
        1 => "there is 1 channel".to_owned(),
        n => format!("there are {n} channels"),
    };
    findings.insert(0, Finding::fine(check, found));
    // Sets of other users than their segments: those are findings already.
    let beside: Vec<i32> = channels.iter().filter_map(set_of_another).collect();
    let mut left = sysvring::reapable();
    if let Ok(left) = &mut left {
        left.retain(|left| left.set.is_none_or(|set| !beside.contains(&set)));
    }
    findings.push(left_over(&left));
    findings.extend(unusable(left.as_deref().unwrap_or_default(), &beside));
    findings
}

/// Returns the set of a channel that belongs to another user than the segment.
fn set_of_another(stat: &Stat) -> Option<i32> {
    match stat.missing_set {
        Some(MissingSet::OtherOwner { id, .. }) => Some(id),
        _ => None,
    }
}

/// Returns what dead processes left and `reap` removes.
fn left_over(left: &Result<Vec<Reaped>, Error>) -> Finding {
    let check = "leftovers";
    match left {
        Ok(left) if left.is_empty() => Finding::fine(check, "dead processes left nothing"),
        Ok(left) => Finding::problem(
            check,
            format!(
                "dead processes left {}",
                units::counted(
                    left.len() as u64,
                    "channel, set or queue",
                    "channels, sets or queues"
                )
            ),
            "`sysvring reap -n` shows them, and `sysvring reap` removes them",
        ),
        Err(error) => Finding::note(check, format!("not checked: {}", remedy::of(error)), ""),
    }
}

/// Returns the objects with the mark of channels that are none, or cannot be used, apart from what
/// was left over, or is the set of a channel (`beside`): those are findings already. What belongs to
/// other users is one finding, and what a sandbox refused to show is none.
fn unusable(left: &[Reaped], beside: &[i32]) -> Vec<Finding> {
    let check = "unusable";
    let mut objects = match sysvring::unusable() {
        Ok(objects) => objects,
        Err(error) => {
            return vec![Finding::note(check, format!("not checked: {}", remedy::of(&error)), "")];
        }
    };
    objects.retain(|unusable| !left.iter().any(|left| is_part(&unusable.object, left)));
    objects.retain(
        |unusable| !matches!(&unusable.object, IpcObject::Set(stat) if beside.contains(&stat.id)),
    );
    let is_unseen = objects.iter().any(is_refused);
    objects.retain(|unusable| match unusable.defect {
        // Perhaps a segment that was not read belongs to it.
        Defect::NoSegment => !is_unseen,
        _ => !is_refused(unusable),
    });
    // The set of a segment that is none either goes with it.
    let keys: Vec<i32> = objects.iter().filter_map(segment_key).collect();
    objects.retain(|unusable| {
        let is_set = matches!(unusable.object, IpcObject::Set(_));
        !(is_set && unusable.defect == Defect::NoSegment && keys.contains(&unusable.object.key()))
    });
    let (forbidden, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_forbidden);
    let finding = |unusable: Unusable| {
        let found = unusable.object.to_string();
        let (why, remedy) = remedy::of_unusable(&unusable);
        let found = format!("{found}: {why}");
        match unusable.defect {
            Defect::Unreadable { .. } | Defect::NotAChannel { .. } => {
                Finding::note(check, found, remedy)
            }
            _ => Finding::problem(check, found, remedy),
        }
    };
    forbidden_ones(&forbidden).into_iter().chain(objects.into_iter().map(finding)).collect()
}

/// Returns the key of a segment that has one.
fn segment_key(unusable: &Unusable) -> Option<i32> {
    let is_segment = matches!(unusable.object, IpcObject::Segment(_));
    Some(unusable.object.key()).filter(|key| is_segment && *key != 0)
}

/// Returns whether an object is part of what was left over.
fn is_part(object: &IpcObject, left: &Reaped) -> bool {
    match object {
        IpcObject::Segment(stat) => left.segment == Some(stat.id),
        IpcObject::Set(stat) => left.set == Some(stat.id),
        _ => false,
    }
}

/// Returns whether this user may not read an object.
fn is_forbidden(unusable: &Unusable) -> bool {
    let denied = Errno::EACCES as i32;
    matches!(unusable.defect, Defect::Unreadable { errno, .. } if errno == denied)
}

/// Returns whether a sandbox refused to show an object.
fn is_refused(unusable: &Unusable) -> bool {
    matches!(unusable.defect, Defect::Unreadable { errno, .. } if refused::is_refusal(errno))
}

/// Returns a note on all objects that this user may not read.
fn forbidden_ones(objects: &[Unusable]) -> Option<Finding> {
    let owners: BTreeSet<String> =
        objects.iter().map(|unusable| users::name(unusable.object.uid())).collect();
    let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
    let found = match objects.len() {
        0 => return None,
        1 => format!("1 segment or set of {owners} is not readable for this user"),
        n => format!("{n} segments and sets of {owners} are not readable for this user"),
    };
    let remedy = "they may be channels: run `sysvring doctor` as that user or as root";
    Some(Finding::note("unreadable", found, remedy))
}

/// Returns the modes of segment and set if they are not those of their creation, which are alike and
/// have a mark.
fn changed_modes(stat: &Stat) -> Option<String> {
    let segment = stat.segment.raw_mode & 0o777;
    let set = stat.set.map_or(segment, |set| set.raw_mode & 0o777);
    let is_marked = segment & 0o111 == 0o001;
    (!is_marked || segment != set).then(|| format!("segment {segment:03o}, set {set:03o}"))
}

/// Returns what is wrong with a channel: the first of these that holds.
fn ailing(stat: &Stat) -> Option<Finding> {
    let name = channel::name_of(stat);
    let senders = columns::living(stat, sysvring::Role::Sender);
    if let Some(missing) = stat.missing_set {
        return without_set(stat, &name, missing);
    }
    if stat.lost_senders > 0 && senders == 0 {
        return Some(Finding::problem(
            "killed-sender",
            format!("a sender of channel {name} was killed before it had sent everything"),
            "start it again; until then the stream does not end",
        ));
    }
    if stat.dead_letter_failures > 0 {
        let found = format!(
            "{} a message of channel {name} could not be moved to its dead-letter channel",
            units::counted(stat.dead_letter_failures, "time", "times")
        );
        let reason = stat.last_dead_letter_failure.map(remedy::of_dead_letter);
        let (why, remedy) = match &reason {
            Some(reason) => reason.rsplit_once("; ").unwrap_or((reason, "")),
            None => ("", ""),
        };
        let found = if why.is_empty() { found } else { format!("{found}: {why}") };
        return Some(Finding::problem("dead-letters", found, remedy));
    }
    if let Some(modes) = changed_modes(stat) {
        return Some(Finding::note(
            "changed-mode",
            format!("the mode of channel {name} was changed after its creation: {modes}"),
            "it goes on to work; if others were not to get access to it, remove it, and open it again",
        ));
    }
    if stat.overslept > 0 {
        return Some(Finding::note(
            "overslept",
            format!(
                "no wake-up ended {} in channel {name}",
                units::counted(stat.overslept, "wait", "waits")
            ),
            "processes that were stopped while they woke another one cause this; otherwise report it",
        ));
    }
    None
}

/// Returns what is wrong with the set of a channel.
fn without_set(stat: &Stat, name: &str, missing: MissingSet) -> Option<Finding> {
    let owner = users::name(stat.segment.uid);
    match missing {
        MissingSet::OtherOwner { id, uid } => Some(Finding::problem(
            "changed-owner",
            format!(
                "channel {name} cannot be used: its segment is of user {owner}, and its set of user {}: \
                 the owner of one was changed",
                users::name(uid)
            ),
            format!("set it back, or remove both: `sysvring rm {name}` and `ipcrm -s {id}`"),
        )),
        // One finding for all: what could not be looked at.
        MissingSet::Unreadable { errno, .. } if refused::is_refusal(errno) => None,
        MissingSet::Unreadable { call, errno } => Some(Finding::note(
            "unreadable-set",
            format!(
                "not checked: this user cannot read the semaphore set of channel {name} ({}: {})",
                refused::system_call(call),
                Errno::from_raw(errno).desc()
            ),
            format!(
                "run `sysvring doctor` as {owner} or as root; if the mode of the set was changed, \
                 restore it"
            ),
        )),
        _ => Some(Finding::problem(
            "removed-set",
            format!("channel {name} has lost its semaphore set (ipcrm -s, RemoveIPC)"),
            format!(
                "let its owner open it once, which keeps the messages, or `sysvring rm {name}`"
            ),
        )),
    }
}

//! The channels: what is wrong with them, and what was left over.

use nix::errno::Errno;
use sysvring::{Error, MissingSet, Reaped, Stat};

use super::unusable::unusable;
use super::{Finding, bridges, modes};
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
    findings.extend(bridges::check(&channels));
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
        Ok(left) if left.is_empty() => Finding::fine(check, "nothing is left over"),
        Ok(left) => Finding::problem(
            check,
            format!(
                "{} left over, by dead processes or after a removal by hand (ipcrm)",
                units::counted(
                    left.len() as u64,
                    "channel, set or queue is",
                    "channels, sets or queues are"
                )
            ),
            "`sysvring reap -n` shows them, and `sysvring reap` removes them",
        ),
        Err(error) => Finding::note(check, format!("not checked: {}", remedy::of(error)), ""),
    }
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
            format!(
                "a sender of channel {name} was killed, or exited without closing its handle, before it \
                 had finished the stream"
            ),
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
    if let Some(changed) = modes::changed(stat, &name) {
        return Some(changed);
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

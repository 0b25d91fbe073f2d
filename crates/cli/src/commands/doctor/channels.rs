//! The channels: what dead processes left, and what cannot be used.

use sysvring::{Defect, Stat, Unusable};

use super::Finding;
use crate::{channel, columns, remedy};

pub fn check() -> Vec<Finding> {
    let check = "channels";
    let channels = match sysvring::list() {
        Ok(channels) => channels,
        Err(error) => return vec![Finding::problem(check, remedy::of(&error), "")],
    };
    let mut findings: Vec<Finding> = channels.iter().filter_map(ailing).collect();
    let found = match channels.len() {
        1 => "there is 1 channel".to_owned(),
        n => format!("there are {n} channels"),
    };
    findings.insert(0, Finding::fine(check, found));
    findings.extend(left_over());
    findings.extend(unusable());
    findings
}

/// Returns what dead processes left and `reap` removes.
fn left_over() -> Option<Finding> {
    let check = "leftovers";
    match sysvring::reapable() {
        Ok(left) if left.is_empty() => Some(Finding::fine(check, "dead processes left nothing")),
        Ok(left) => Some(Finding::problem(
            check,
            format!("dead processes left {} channels, sets or queues", left.len()),
            "`sysvring reap -n` shows them, and `sysvring reap` removes them",
        )),
        Err(error) => {
            Some(Finding::note(check, format!("not checked: {}", remedy::of(&error)), ""))
        }
    }
}

/// Returns the objects with the mark of channels that are none, or cannot be used.
fn unusable() -> Vec<Finding> {
    let check = "unusable";
    let objects = match sysvring::unusable() {
        Ok(objects) => objects,
        Err(error) => {
            return vec![Finding::note(check, format!("not checked: {}", remedy::of(&error)), "")];
        }
    };
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
    objects.into_iter().map(finding).collect()
}

/// Returns what is wrong with a channel: the first of these that holds.
fn ailing(stat: &Stat) -> Option<Finding> {
    let name = channel::name_of(stat);
    let senders = columns::living(stat, sysvring::Role::Sender);
    if stat.set.is_none() {
        return Some(Finding::problem(
            "removed-set",
            format!("channel {name} has lost its semaphore set (ipcrm -s, RemoveIPC)"),
            format!(
                "let its owner open it once, which keeps the messages, or `sysvring rm {name}`"
            ),
        ));
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
            "{} times a message of channel {name} could not be moved to its dead-letter channel",
            stat.dead_letter_failures
        );
        let reason = stat.last_dead_letter_failure.map(remedy::of_dead_letter);
        let (why, remedy) = match &reason {
            Some(reason) => reason.rsplit_once("; ").unwrap_or((reason, "")),
            None => ("", ""),
        };
        let found = if why.is_empty() { found } else { format!("{found}: {why}") };
        return Some(Finding::problem("dead-letters", found, remedy));
    }
    if stat.overslept > 0 {
        return Some(Finding::note(
            "overslept",
            format!("{} waits in channel {name} were ended by no wake-up", stat.overslept),
            "processes that were stopped while they woke another one cause this; otherwise report it",
        ));
    }
    None
}

//! The channels: what dead processes left, and what cannot be used.

use sysvring::Stat;

use super::Finding;
use crate::{channel, columns};

pub fn check() -> Vec<Finding> {
    let check = "channels";
    let channels = match sysvring::list() {
        Ok(channels) => channels,
        Err(error) => return vec![Finding::problem(check, error.to_string(), "")],
    };
    let mut findings: Vec<Finding> = channels.iter().filter_map(ailing).collect();
    let found = match channels.len() {
        1 => "there is 1 channel".to_owned(),
        n => format!("there are {n} channels"),
    };
    findings.insert(0, Finding::fine(check, found));
    findings
}

/// Returns what is wrong with a channel: the first of these that holds.
fn ailing(stat: &Stat) -> Option<Finding> {
    let name = channel::name_of(stat);
    let senders = columns::living(stat, sysvring::Role::Sender);
    if stat.set.is_none() {
        return Some(Finding::problem(
            "removed-set",
            format!("channel {name} has lost its semaphore set (ipcrm -s, RemoveIPC)"),
            format!("let its owner open it once, which keeps the messages, or `sysvring rm {name}`"),
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
        let failure = stat.last_dead_letter_failure.as_ref();
        let reason = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
        return Some(Finding::problem(
            "dead-letters",
            format!(
                "{} times a message of channel {name} could not be moved to its dead-letter channel{reason}",
                stat.dead_letter_failures
            ),
            "receive from that channel, or remove it if it is not one of dead letters",
        ));
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

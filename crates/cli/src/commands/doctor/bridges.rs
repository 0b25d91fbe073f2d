//! Bridges to other machines: members whose label says so.

use sysvring::{Member, Role, Stat};

use super::Finding;
use crate::{channel, units};

/// The check.
const CHECK: &str = "bridges";
/// What the label of a bridge begins with.
const LABEL: &str = "bridge ";

/// Returns a finding for each bridge that is a member of a channel, or died as one.
pub fn check(channels: &[Stat]) -> Vec<Finding> {
    channels.iter().flat_map(of_channel).collect()
}

fn of_channel(stat: &Stat) -> Vec<Finding> {
    let bridges = || stat.members.iter().filter(|member| member.label.starts_with(LABEL));
    // The seat of a dead one may stay as it is while its successor has another.
    let has_successor =
        |dead: &Member| bridges().any(|m| m.alive && m.label == dead.label && m.role == dead.role);
    let living = bridges().filter(|member| member.alive).map(|member| at_work(stat, member));
    let dead = bridges().filter(|m| !m.alive && !m.left && !has_successor(m));
    living.chain(dead.map(|member| killed(stat, member))).collect()
}

/// Returns what a living bridge does.
fn at_work(stat: &Stat, member: &Member) -> Finding {
    let (name, label, pid) = (channel::name_of(stat), &member.label, member.pid);
    let lag = member.lag.unwrap_or(stat.depth);
    let messages = units::counted(lag, "message", "messages");
    let found = match member.role {
        Role::Receiver => {
            format!("{label} (process {pid}) carries channel {name} away; {messages} to go")
        }
        _ => {
            format!(
                "{label} (process {pid}) carries messages to channel {name}; {messages} wait in it"
            )
        }
    };
    match (member.role, stat.room) {
        (Role::Receiver, 0) if !stat.overwriting => Finding::note(
            CHECK,
            format!("{found}, and the channel is full, so its senders wait"),
            "the log of the bridge shows whether the server takes messages",
        ),
        (_, 0) if member.role != Role::Receiver => Finding::note(
            CHECK,
            format!("{found}, and the channel is full, so the bridge waits"),
            "look at the receivers of the channel",
        ),
        _ => Finding::fine(CHECK, found),
    }
}

/// Returns that a bridge was killed.
fn killed(stat: &Stat, member: &Member) -> Finding {
    let (name, label) = (channel::name_of(stat), &member.label);
    let waiting = units::counted(stat.depth, "message waits", "messages wait");
    Finding::problem(
        CHECK,
        format!(
            "{label} of channel {name} was killed and has no successor; {waiting} in the channel"
        ),
        "start sysvring-bridge again: it goes on where this one was",
    )
}

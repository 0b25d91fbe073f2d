//! The columns of members: what `stat` prints of each.

use std::fs;

use sysvring::{Member, Role};

use crate::output::Column;
use crate::output::cell::Cell;
use crate::output::style::Tone;

const fn column(
    name: &'static str,
    about: &'static str,
    shown: bool,
    cell: fn(&Member) -> Cell,
) -> Column<Member> {
    Column { name, about, shown, cell }
}

/// Every column of a member.
pub const MEMBER: &[Column<Member>] = &[
    column("ROLE", "sender or receiver", true, |m| Cell::Word(role(m.role), Tone::Plain)),
    column("STATE", "live, left or died", true, |m| {
        let (word, tone) = state(m);
        Cell::Word(word, tone)
    }),
    column("PID", "its process, if it is visible from here", true, |m| match m.pid {
        0 => Cell::None,
        pid => Cell::Id(pid.into()),
    }),
    column("COMMAND", "what that process runs", true, |m| {
        command(m).map_or(Cell::None, Cell::Text)
    }),
    column("LABEL", "label that it chose", true, |m| match m.label.as_str() {
        "" => Cell::None,
        label => Cell::Text(label.into()),
    }),
    column("SEAT", "number of its seat", false, |m| Cell::Id(m.seat as u64)),
    column("MESSAGES", "messages that it sent or acknowledged", true, |m| Cell::Count(m.messages)),
    column("BYTES", "bytes of these messages", true, |m| Cell::Bytes(m.bytes)),
    column("POSITION", "its next position", false, |m| Cell::Id(m.position)),
    column("IN-FLIGHT", "messages that it holds, if it is known", true, |m| {
        Cell::count(m.in_flight)
    }),
    column("LAG", "broadcast: messages sent that this receiver has not acknowledged", true, |m| {
        Cell::count(m.lag)
    }),
    column("MISSED", "broadcast: messages that this receiver missed", false, |m| {
        Cell::count(m.missed)
    }),
    column("OLDEST", "lowest position of those in flight", false, |m| {
        m.oldest_in_flight.map_or(Cell::None, Cell::Id)
    }),
    column(
        "WAITS",
        "block or armed, if it waits for a message or for room",
        true,
        |m| match waits(m) {
            "" => Cell::None,
            word => Cell::Word(word, Tone::Plain),
        },
    ),
    column("RECOVERED", "messages that it received and others had been delivered", false, |m| {
        Cell::Count(m.recovered)
    }),
    column("PARKS", "times that it blocked", true, |m| Cell::Count(m.parks)),
    column("WAKES", "times that it woke the other side", false, |m| Cell::Count(m.wakes)),
    column("JOINED", "when it joined", true, |m| Cell::Since(m.joined)),
];

/// Returns the word for a role.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Sender => "sender",
        Role::Receiver => "receiver",
        _ => "member",
    }
}

/// Returns the word for the state of a member.
pub fn state(member: &Member) -> (&'static str, Tone) {
    match (member.alive, member.left) {
        (true, _) => ("live", Tone::Good),
        (_, true) => ("left", Tone::Quiet),
        _ => ("died", Tone::Bad),
    }
}

/// Returns how a living member waits: `block` if its threads are blocked, `armed` if a task or a
/// wait set waits for it.
pub fn waits(member: &Member) -> &'static str {
    match (member.waiting, member.armed) {
        _ if !member.alive => "",
        (1.., _) => "block",
        (_, true) => "armed",
        _ => "",
    }
}

/// Returns the words for the process of a member.
pub fn process(member: &Member) -> String {
    match member.pid {
        0 => "a process in another PID namespace".into(),
        pid => format!("process {pid}"),
    }
}

/// Returns the name of the program that a living member runs.
pub fn command(member: &Member) -> Option<String> {
    let is_visible = member.alive && member.pid != 0;
    let name = is_visible.then(|| fs::read_to_string(format!("/proc/{}/comm", member.pid)));
    Some(name?.ok()?.trim_end_matches('\n').to_owned())
}

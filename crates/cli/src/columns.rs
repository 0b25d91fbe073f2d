//! The columns of channels: what `ls` and `stat` print of a `Stat`.

use sysvring::{Flavor, Lifetime, MissingSet, Role, Stat, StreamState};

use crate::output::Column;
use crate::output::cell::Cell;
use crate::output::style::Tone;
use crate::{channel, refused, users};

const fn column(
    name: &'static str,
    about: &'static str,
    shown: bool,
    cell: fn(&Stat) -> Cell,
) -> Column<Stat> {
    Column { name, about, shown, cell }
}

/// Every column of a channel.
pub const CHANNEL: &[Column<Stat>] = &[
    column("CHANNEL", "how to name it in a command", true, |s| Cell::Safe(channel::name_of(s))),
    column("NAME", "its name, as its creator chose it", false, |s| text(&s.name)),
    column("ID", "its identifier", false, |s| Cell::Safe(s.id.to_string())),
    column("KEY", "its System V key", false, |s| key(s.key)),
    column("SHMID", "identifier of the segment, as ipcs prints it", false, |s| {
        Cell::Id(s.segment.id as u64)
    }),
    column("SEMID", "identifier of the semaphore set, as ipcs prints it", false, |s| {
        s.set.as_ref().map_or(Cell::None, |set| Cell::Id(set.id as u64))
    }),
    column("KIND", "spsc, mpmc or broadcast", true, |s| Cell::Word(kind(s.flavor), Tone::Plain)),
    column(
        "STATE",
        "live, full, idle, no sender, no receiver, sender died, ended; or, of its set: removed, other \
         owner, unreadable, not checked",
        true,
        |s| {
            let (word, tone) = state(s);
            Cell::Word(word, tone)
        },
    ),
    column(
        "DEPTH",
        "messages sent and not acknowledged; broadcast: by the slowest receiver",
        true,
        |s| Cell::Count(s.depth),
    ),
    column("CAPACITY", "slots", true, |s| Cell::Count(s.capacity as u64)),
    column("ROOM", "messages that could be sent now", false, |s| Cell::Count(s.room)),
    column("SENDERS", "living senders", true, |s| Cell::Count(living(s, Role::Sender))),
    column("RECEIVERS", "living receivers", true, |s| Cell::Count(living(s, Role::Receiver))),
    column("DIED", "members that died, whose seats nobody has taken since", false, |s| {
        Cell::Count(s.deaths.into())
    }),
    column("LOST-SENDERS", "senders that died before they had sent everything", false, |s| {
        Cell::Count(s.lost_senders.into())
    }),
    column("JOINS", "members that joined since it was created", false, |s| {
        Cell::Count(s.joins.into())
    }),
    column("STREAM", "open, finished or ended", false, |s| {
        Cell::Word(stream(s.stream), Tone::Plain)
    }),
    column("IN-FLIGHT", "messages delivered and not acknowledged, if it is known", false, |s| {
        Cell::count(s.in_flight)
    }),
    column("ORPHANED", "messages whose receiver died, for another one", false, |s| {
        Cell::Count(s.orphaned)
    }),
    column("MESSAGE", "size of a message, or of the longest", true, |s| {
        Cell::Bytes(s.slot_size as u64)
    }),
    column("VARIABLE", "whether messages have variable length", false, |s| Cell::Flag(s.variable)),
    column("OVERWRITING", "whether its sender waits for no receiver", false, |s| {
        Cell::Flag(s.overwriting)
    }),
    column("ALIGN", "alignment of a message in bytes", false, |s| Cell::Id(s.message_align as u64)),
    column(
        "STRUCTURE",
        "fields of a message, with their types, as its creator declared them",
        false,
        |s| s.structure.as_ref().map_or(Cell::None, |structure| Cell::Text(structure.to_string())),
    ),
    column("SCHEMA", "number that its users chose for the message type", false, |s| {
        Cell::Id(s.schema)
    }),
    column("LIFETIME", "kept, or until its last member leaves", false, |s| {
        Cell::Word(lifetime(s.lifetime), Tone::Plain)
    }),
    column(
        "LOST-WITHOUT-MEMBERS",
        "whether the kernel removes it with its last member (kernel.shm_rmid_forced)",
        false,
        |s| Cell::Flag(s.lost_without_members),
    ),
    column(
        "HEAD",
        "next position to receive; MPMC: a hint that lags behind; broadcast: of the slowest",
        false,
        |s| Cell::Id(s.head),
    ),
    column("TAIL", "next position to send; MPMC: a hint that lags behind", false, |s| {
        Cell::Id(s.tail)
    }),
    column("REDELIVERY", "what happens to messages that were not acknowledged", false, |s| {
        Cell::Safe(s.redelivery.to_string())
    }),
    column("REDELIVERED", "deliveries of messages delivered before", false, |s| {
        Cell::Count(s.redelivered)
    }),
    column("REJECTED", "messages that receivers rejected", false, |s| Cell::Count(s.rejected)),
    column("DROPPED", "messages dropped with their receiver", false, |s| Cell::Count(s.dropped)),
    column("POISONED", "messages discarded after too many deliveries", false, |s| {
        Cell::Count(s.poisoned)
    }),
    column("DEAD-LETTERS", "messages moved to the dead-letter channel", false, |s| {
        Cell::Count(s.dead_letters)
    }),
    column("DEAD-LETTER-CHANNEL", "its name", false, |s| {
        s.dead_letter_channel.as_deref().map_or(Cell::None, text)
    }),
    column("DEAD-LETTER-FAILURES", "messages that could not be moved there", false, |s| {
        Cell::Count(s.dead_letter_failures)
    }),
    column("OVERSLEPT", "waits that no wake-up ended in time", false, |s| Cell::Count(s.overslept)),
    column("SIZE", "bytes of the segment", true, |s| Cell::Bytes(s.segment.size)),
    column("OWNER", "user that owns it", true, |s| Cell::Text(users::name(s.segment.uid))),
    column("UID", "number of that user", false, |s| Cell::Id(s.segment.uid.into())),
    column("MODE", "permissions", false, |s| Cell::Safe(format!("{:04o}", s.segment.mode))),
    column("ATTACHED", "attachments of processes, that of this command included", false, |s| {
        Cell::Count(s.segment.attached)
    }),
    column("LOCKED", "whether it is locked in memory", false, |s| Cell::Flag(s.segment.locked)),
    column("CREATED", "when it was created", true, |s| Cell::Since(s.created)),
];

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::None } else { Cell::Text(text.into()) }
}

fn key(key: i32) -> Cell {
    if key == 0 { Cell::None } else { Cell::Safe(format!("{key:#010x}")) }
}

/// Returns the short name of a kind of channel.
pub fn kind(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Spsc => "spsc",
        Flavor::Mpmc => "mpmc",
        Flavor::Broadcast => "broadcast",
        _ => "unknown",
    }
}

fn stream(state: StreamState) -> &'static str {
    match state {
        StreamState::Open => "open",
        StreamState::Finished => "finished",
        StreamState::Ended => "ended",
        _ => "unknown",
    }
}

fn lifetime(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::Kept => "kept",
        Lifetime::LastMember => "last member",
        _ => "unknown",
    }
}

/// Returns the number of living members of a role.
pub fn living(stat: &Stat, role: Role) -> u64 {
    stat.members.iter().filter(|member| member.alive && member.role == role).count() as u64
}

/// Returns the state of a channel in a word: the first of these that holds.
pub fn state(stat: &Stat) -> (&'static str, Tone) {
    let (senders, receivers) = (living(stat, Role::Sender), living(stat, Role::Receiver));
    match stat.stream {
        _ if stat.missing_set.is_some() => match stat.missing_set {
            Some(MissingSet::OtherOwner { .. }) => ("other owner", Tone::Bad),
            Some(MissingSet::Unreadable { .. }) if refused::is_refused(stat) => {
                ("not checked", Tone::Warning)
            }
            Some(MissingSet::Unreadable { .. }) => ("unreadable", Tone::Warning),
            _ => ("removed", Tone::Bad),
        },
        _ if stat.lost_senders > 0 && senders == 0 => ("sender died", Tone::Bad),
        StreamState::Ended => ("ended", Tone::Quiet),
        _ if senders == 0 && receivers == 0 => ("idle", Tone::Quiet),
        _ if senders == 0 => ("no sender", Tone::Warning),
        _ if receivers == 0 => ("no receiver", Tone::Warning),
        // Beside a fast stream the room is counted a moment after the messages.
        _ if stat.room == 0 && stat.depth > 0 => ("full", Tone::Warning),
        _ => ("live", Tone::Good),
    }
}

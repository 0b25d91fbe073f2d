//! The text: families of samples, each sample labelled with its channel or member.

use std::fmt::{Display, Write};

use sysvring::{Member, Role, Stat};

use crate::columns::{kind, living};
use crate::{channel, escape, members, users};

/// A family of samples.
struct Family<T> {
    name: &'static str,
    /// `gauge`, or `counter`, whose samples end in `_total`.
    is_counter: bool,
    help: &'static str,
    value: fn(&T) -> Option<f64>,
}

const fn gauge<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T) -> Option<f64>,
) -> Family<T> {
    Family { name, is_counter: false, help, value }
}

const fn counter<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T) -> Option<f64>,
) -> Family<T> {
    Family { name, is_counter: true, help, value }
}

const CHANNEL: &[Family<Stat>] = &[
    gauge("depth_messages", "Messages sent and not acknowledged.", |s| some(s.depth)),
    gauge("capacity_messages", "Slots of the ring.", |s| some(s.capacity as u64)),
    gauge("room_messages", "Messages that could be sent now.", |s| some(s.room)),
    gauge(
        "orphaned_messages",
        "Messages that wait for another receiver, as theirs is gone.",
        |s| some(s.orphaned),
    ),
    gauge("senders", "Living senders.", |s| some(living(s, Role::Sender))),
    gauge("receivers", "Living receivers.", |s| some(living(s, Role::Receiver))),
    gauge("dead_members", "Members that died and whose seat is free.", |s| some(s.deaths.into())),
    gauge("lost_senders", "Senders that died unfinished and have no successor.", |s| {
        some(s.lost_senders.into())
    }),
    gauge("segment_bytes", "Size of the segment.", |s| some(s.segment.size)),
    gauge("attachments", "Attachments of processes to the segment, this one included.", |s| {
        some(s.segment.attached)
    }),
    gauge("created_timestamp_seconds", "When the channel was created.", |s| {
        Some(s.created.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64())
    }),
    counter("joined_members", "Members that joined.", |s| some(s.joins.into())),
    counter("sent_messages", "Messages sent; in MPMC channels up to 16 a sender behind.", |s| {
        some(s.tail)
    }),
    counter("redelivered_messages", "Deliveries of messages delivered before.", |s| {
        some(s.redelivered)
    }),
    counter("rejected_messages", "Messages that receivers rejected.", |s| some(s.rejected)),
    counter("dropped_messages", "Messages dropped with their receiver.", |s| some(s.dropped)),
    counter("poisoned_messages", "Messages discarded after too many deliveries.", |s| {
        some(s.poisoned)
    }),
    counter("dead_letters", "Messages moved to the dead-letter channel.", |s| some(s.dead_letters)),
    counter("dead_letter_failures", "Messages that could not be moved there.", |s| {
        some(s.dead_letter_failures)
    }),
    counter("overslept_waits", "Waits that no wake-up ended in time.", |s| some(s.overslept)),
];

const MEMBER: &[Family<Member>] = &[
    counter("member_messages", "Messages that a living member sent or acknowledged.", |m| {
        some(m.messages)
    }),
    counter("member_bytes", "Bytes of these messages.", |m| some(m.bytes)),
    counter("member_parks", "Times that the member blocked.", |m| some(m.parks)),
    counter("member_wakes", "Times that the member woke the other side.", |m| some(m.wakes)),
    counter("member_recovered_messages", "Messages that it got after another one.", |m| {
        some(m.recovered)
    }),
    gauge("member_waiting_threads", "Threads of the member that are blocked.", |m| {
        some(m.waiting.into())
    }),
    gauge("member_in_flight_messages", "Messages that the member holds, if it is known.", |m| {
        m.in_flight.and_then(some)
    }),
    gauge(
        "member_lag_messages",
        "Messages that a broadcast receiver has still to acknowledge.",
        |m| m.lag.and_then(some),
    ),
];

fn some(n: u64) -> Option<f64> {
    Some(n as f64)
}

/// Returns the whole text.
pub fn of(channels: &[Stat], with_members: bool) -> String {
    let mut text = String::new();
    describe(&mut text, "channel", "info", "What a channel is.");
    for stat in channels {
        let labels = format!(
            "{},key=\"{:#010x}\",kind=\"{}\",owner={},message_bytes=\"{}\"",
            channel_labels(stat),
            stat.key,
            kind(stat.flavor),
            quoted(&escape::text(&users::name(stat.segment.uid))),
            stat.slot_size,
        );
        let _ = writeln!(text, "sysvring_channel_info{{{labels}}} 1");
    }
    for family in CHANNEL {
        begin(&mut text, family);
        for stat in channels {
            sample(&mut text, family, stat, &channel_labels(stat));
        }
    }
    for family in MEMBER.iter().filter(|_| with_members) {
        begin(&mut text, family);
        for stat in channels {
            for member in stat.members.iter().filter(|member| member.alive) {
                let labels = format!(
                    "{},role=\"{}\",seat=\"{}\",pid=\"{}\",label={}",
                    channel_labels(stat),
                    members::role(member.role),
                    member.seat,
                    member.pid,
                    quoted(&escape::text(&member.label)),
                );
                sample(&mut text, family, member, &labels);
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# TYPE sysvring_{name} {kind}\n# HELP sysvring_{name} {help}");
}

fn begin<T>(text: &mut String, family: &Family<T>) {
    let kind = if family.is_counter { "counter" } else { "gauge" };
    describe(text, family.name, kind, family.help);
}

fn sample<T>(text: &mut String, family: &Family<T>, of: &T, labels: &impl Display) {
    if let Some(value) = (family.value)(of) {
        let end = if family.is_counter { "_total" } else { "" };
        let _ = writeln!(text, "sysvring_{}{end}{{{labels}}} {value}", family.name);
    }
}

fn channel_labels(stat: &Stat) -> String {
    format!("channel={},id=\"{}\"", quoted(&channel::name_of(stat)), stat.id)
}

/// Returns a label value in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_early() {
        assert_eq!(quoted("a\"} 1\n\\"), "\"a\\\"} 1\\n\\\\\"");
    }

    #[test]
    fn no_channel_is_a_text_too() {
        let text = of(&[], true);
        assert!(text.starts_with("# TYPE sysvring_channel info\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        assert_eq!(text.matches("# TYPE").count(), 1 + CHANNEL.len() + MEMBER.len());
    }
}

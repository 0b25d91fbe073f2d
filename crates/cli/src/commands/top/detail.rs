//! One channel: its state, and its members with what they do and hold.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use sysvring::Role;

use super::app::{App, style};
use super::fit::{self, Column};
use super::list::bar;
use super::sampler::{MemberSample, Sample};
use crate::columns::{kind, state};
use crate::output::style::Tone;
use crate::{escape, members, units};

/// Rows above the members.
pub const HEAD: u16 = 5;

/// A member, and whether it is shown in colour.
type Seat<'a> = (&'a MemberSample, bool);

pub fn draw(app: &App, frame: &mut Frame, area: Rect) {
    let Some(sample) = app.inside_sample() else { return };
    let [head, body] = Layout::vertical([Constraint::Length(HEAD), Constraint::Min(1)]).areas(area);
    frame.render_widget(Paragraph::new(lines(sample, app.has_colour)), head);
    let seats: Vec<Seat> = sample.members.iter().map(|member| (member, app.has_colour)).collect();
    let heading = style(Tone::Heading, app.has_colour);
    frame.render_widget(fit::table(&columns(), &seats, body.width, heading), body);
}

fn lines(sample: &Sample, colour: bool) -> Vec<Line<'static>> {
    let stat = &sample.stat;
    let (word, tone) = state(stat);
    let capacity = stat.capacity as u64;
    vec![
        Line::styled(
            format!("{}   {}   {word}", sample.name, kind(stat.flavor)),
            style(tone, colour),
        ),
        Line::from(format!(
            "{} {} of {capacity} messages, room for {}",
            bar(stat.depth, capacity),
            stat.depth,
            stat.room
        )),
        Line::from(format!(
            "sent {}/s   received {}/s   {}/s   positions {} to {}",
            units::rate(sample.sent()),
            units::rate(sample.received()),
            units::size(sample.bytes() as u64),
            stat.head,
            stat.tail
        )),
        Line::from(format!(
            "redelivered {}   orphaned {}   rejected {}   discarded {}   lost senders {}",
            stat.redelivered,
            stat.orphaned,
            stat.rejected,
            stat.poisoned + stat.dropped,
            stat.lost_senders
        )),
    ]
}

fn columns<'a>() -> [Column<Seat<'a>>; 10] {
    [
        Column::text("ROLE", 8, 0, |(s, _)| plain(members::role(s.member.role))),
        Column::text("STATE", 5, 0, |(s, colour)| {
            let (word, tone) = members::state(&s.member);
            (word.into(), style(tone, *colour))
        }),
        Column::text("WAITS", 5, 1, |(s, _)| plain(members::waits(&s.member))),
        Column::number("PID", 7, 0, |(s, _)| match s.member.pid {
            0 => plain("-"),
            pid => plain(pid.to_string()),
        }),
        Column::text("COMMAND", 15, 2, |(s, _)| {
            plain(escape::text(&members::command(&s.member).unwrap_or_default()))
        }),
        Column::text("LABEL", 16, 1, |(s, _)| plain(escape::text(&s.member.label))),
        Column::number("MESSAGES", 8, 3, |(s, _)| plain(units::number(s.member.messages))),
        Column::number("MSG/s", 7, 0, |(s, _)| plain(units::rate(s.messages()))),
        Column::number("PARK/s", 7, 4, |(s, _)| plain(units::rate(s.parks()))),
        Column::text("HOLDS", 32, 0, |(s, _)| plain(holds(s))),
    ]
}

fn plain(text: impl Into<String>) -> (String, Style) {
    (text.into(), Style::new())
}

/// Returns what a member holds: messages that it has not acknowledged, or slots that it reserved.
fn holds(sample: &MemberSample) -> String {
    let member = &sample.member;
    if let Some(lag @ 1..) = member.lag {
        return match sample.is_slowest {
            true => format!("{lag} behind, the slowest"),
            false => format!("{lag} behind"),
        };
    }
    match (member.in_flight, member.oldest_in_flight) {
        (Some(n @ 1..), Some(oldest)) => {
            let what = match member.role {
                Role::Sender => "reserved",
                _ => "in flight",
            };
            let since = sample.held.filter(|held| !held.is_zero());
            let since = since.map(|held| format!(", {} or more", units::duration(held)));
            format!("{n} {what} from {oldest}{}", since.unwrap_or_default())
        }
        _ => String::new(),
    }
}

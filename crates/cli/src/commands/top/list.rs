//! The list of channels.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use sysvring::Role;

use super::app::{App, style};
use super::fit::{self, Column};
use super::sampler::Sample;
use crate::columns::{kind, living, state};
use crate::output::style::Tone;
use crate::{members, units};

/// Characters of the bar.
const BAR: u64 = 10;

/// A channel, and whether it is shown in colour.
type Line<'a> = (&'a Sample, bool);

pub fn draw(app: &mut App, frame: &mut Frame, area: Rect) {
    let colour = app.has_colour;
    let shown: Vec<Line> = app.shown().into_iter().map(|sample| (sample, colour)).collect();
    let name = shown.iter().map(|(sample, _)| sample.name.chars().count()).max().unwrap_or(0);
    let kind_width =
        shown.iter().map(|(sample, _)| kind(sample.stat.flavor).len()).max().unwrap_or(0);
    let columns = columns(name.clamp(8, 40) as u16, kind_width.max(4) as u16);
    let table = fit::table(&columns, &shown, area.width, style(Tone::Heading, colour))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut app.table);
}

fn columns<'a>(name: u16, kind_width: u16) -> [Column<Line<'a>>; 12] {
    [
        Column::text("CHANNEL", name, 0, |(s, _)| plain(s.name.clone())),
        Column::text("KIND", kind_width, 5, |(s, _)| plain(kind(s.stat.flavor))),
        Column::text("STATE", 11, 0, |(s, colour)| {
            let (word, tone) = state(&s.stat);
            (word.into(), style(tone, *colour))
        }),
        Column::text("FILLED", BAR as u16 + 2, 1, |(s, _)| {
            plain(bar(s.stat.depth, s.stat.capacity as u64))
        }),
        Column::number("DEPTH", 11, 0, |(s, _)| {
            let about = if s.stat.depth_is_exact { "" } else { "~" };
            let capacity = units::number(s.stat.capacity as u64);
            plain(format!("{about}{}/{capacity}", units::number(s.stat.depth)))
        }),
        Column::number("SENT/s", 7, 0, |(s, _)| plain(units::rate(s.sent()))),
        Column::number("RECV/s", 7, 0, |(s, _)| plain(units::rate(s.received()))),
        Column::number("BYTE/s", 7, 4, |(s, _)| plain(units::size(s.bytes() as u64))),
        Column::number("SEND", 4, 2, |(s, _)| plain(living(&s.stat, Role::Sender).to_string())),
        Column::number("RECV", 4, 2, |(s, _)| plain(living(&s.stat, Role::Receiver).to_string())),
        Column::text("WAITING", 9, 3, |(s, _)| plain(waiting(s))),
        Column::number("DIED", 4, 0, |(s, colour)| {
            let tone = if s.stat.deaths == 0 { Tone::Plain } else { Tone::Bad };
            (s.stat.deaths.to_string(), style(tone, *colour))
        }),
    ]
}

fn plain(text: impl Into<String>) -> (String, Style) {
    (text.into(), Style::new())
}

/// Returns which side waits: has a thread that is blocked, or a task or a wait set that is armed.
fn waiting(sample: &Sample) -> &'static str {
    let waits = |role| {
        let mut members = sample.stat.members.iter().filter(|member| member.role == role);
        members.any(|member| !members::waits(member).is_empty())
    };
    match (waits(Role::Sender), waits(Role::Receiver)) {
        (true, true) => "both",
        (true, false) => "senders",
        (false, true) => "receivers",
        (false, false) => "",
    }
}

/// Returns how full a ring is: a bar of blocks, each of eight steps.
pub fn bar(filled: u64, capacity: u64) -> String {
    // What is not empty is seen, and what is not full is not shown as full.
    let steps = (filled.saturating_mul(8 * BAR)).checked_div(capacity).unwrap_or(0);
    let steps = steps.max(u64::from(filled > 0));
    let block = |n: u64| match steps.saturating_sub(n * 8) {
        0 => ' ',
        part @ 1..8 => char::from_u32(0x2590 - part as u32).unwrap_or('#'),
        _ => '\u{2588}',
    };
    format!("[{}]", (0..BAR).map(block).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_eighths() {
        assert_eq!(bar(0, 1024), "[          ]");
        assert_eq!(bar(1, 1024), "[▏         ]");
        assert_eq!(bar(512, 1024), "[█████     ]");
        assert_eq!(bar(1023, 1024), "[█████████▉]");
        assert_eq!(bar(1024, 1024), "[██████████]");
        assert_eq!(bar(1, 1), "[██████████]");
        assert_eq!(bar(0, 0), "[          ]");
    }
}

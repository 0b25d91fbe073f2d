//! What is shown, and what the keys have changed about it.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, TableState};
use sysvring::ChannelId;

use super::sampler::{Death, Look, Sample};
use super::{detail, keys, list};
use crate::output::style::Tone;
use crate::units;

/// Deaths that are remembered.
const DEATHS: usize = 5;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Name,
    Rate,
    Depth,
    Size,
}

impl Order {
    pub fn next(self) -> Order {
        match self {
            Order::Name => Order::Rate,
            Order::Rate => Order::Depth,
            Order::Depth => Order::Size,
            Order::Size => Order::Name,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Order::Name => "name",
            Order::Rate => "rate",
            Order::Depth => "depth",
            Order::Size => "size",
        }
    }
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    pub samples: Vec<Sample>,
    pub deaths: Vec<Death>,
    /// What could not be looked at.
    pub unseen: Option<String>,
    pub order: Order,
    pub is_reversed: bool,
    pub filter: String,
    /// Whether keys are added to the filter.
    pub is_typing: bool,
    pub is_paused: bool,
    pub has_help: bool,
    pub has_colour: bool,
    /// The channel whose members are shown.
    pub inside: Option<ChannelId>,
    pub table: TableState,
    interval: Duration,
}

impl App {
    pub fn new(filter: String, interval: Duration) -> App {
        App {
            samples: Vec::new(),
            deaths: Vec::new(),
            unseen: None,
            order: Order::Name,
            is_reversed: false,
            filter,
            is_typing: false,
            is_paused: false,
            has_help: false,
            has_colour: false,
            inside: None,
            table: TableState::default().with_selected(0),
            interval,
        }
    }

    pub fn update(&mut self, look: Look) {
        self.samples = look.samples;
        self.unseen = look.unseen;
        self.deaths.extend(look.deaths);
        let old = self.deaths.len().saturating_sub(DEATHS);
        self.deaths.drain(..old);
    }

    pub fn look_into(&mut self, id: ChannelId) {
        self.inside = Some(id);
    }

    /// Returns the channels to show, in their order.
    pub fn shown(&self) -> Vec<&Sample> {
        let mut shown: Vec<&Sample> =
            self.samples.iter().filter(|sample| sample.name.contains(&self.filter)).collect();
        shown.sort_by(|a, b| {
            let order = match self.order {
                Order::Name => a.name.cmp(&b.name),
                Order::Rate => (b.sent() + b.received()).total_cmp(&(a.sent() + a.received())),
                Order::Depth => b.stat.depth.cmp(&a.stat.depth),
                Order::Size => b.stat.segment.size.cmp(&a.stat.segment.size),
            };
            order.then_with(|| a.name.cmp(&b.name)).then(a.stat.segment.id.cmp(&b.stat.segment.id))
        });
        if self.is_reversed {
            shown.reverse();
        }
        shown
    }

    /// Returns the rows that one frame needs.
    pub fn height(&self) -> u16 {
        let rows = match self.inside_sample() {
            Some(sample) => detail::HEAD + 1 + sample.members.len() as u16,
            None => 1 + self.shown().len() as u16,
        };
        2 + rows + 1 + self.deaths.len() as u16
    }

    /// Returns the channel that the user looks into, if it still exists.
    pub fn inside_sample(&self) -> Option<&Sample> {
        let id = self.inside?;
        self.samples.iter().find(|sample| sample.stat.id == id)
    }

    pub fn draw(&mut self, frame: &mut Frame) {
        let [head, body, deaths, foot] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Min(2),
            Constraint::Length(self.deaths.len() as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let unseen = self.unseen.clone().unwrap_or_default();
        let unseen = Line::styled(unseen, style(Tone::Bad, self.has_colour));
        frame.render_widget(Paragraph::new(vec![self.summary(), unseen]), head);
        if self.has_help {
            frame.render_widget(Paragraph::new(keys::HELP), body);
        } else if self.inside_sample().is_some() {
            detail::draw(self, frame, body);
        } else {
            list::draw(self, frame, body);
        }
        let lines: Vec<Line> = self.deaths.iter().map(|death| self.death(death)).collect();
        frame.render_widget(Paragraph::new(lines), deaths);
        frame.render_widget(Paragraph::new(self.foot()), foot);
    }

    fn summary(&self) -> Line<'static> {
        let sent: f64 = self.samples.iter().map(|sample| sample.sent()).sum();
        let members: usize = self.samples.iter().map(living).sum();
        let size: u64 = self.samples.iter().map(|sample| sample.stat.segment.size).sum();
        let paused = if self.is_paused { "   PAUSED" } else { "" };
        Line::styled(
            format!(
                "sysvring top   {}   {}   {} messages/s   {}   every {}{paused}",
                units::counted(self.samples.len() as u64, "channel", "channels"),
                units::counted(members as u64, "member", "members"),
                units::rate(sent),
                units::size(size),
                units::duration(self.interval),
            ),
            style(Tone::Heading, self.has_colour),
        )
    }

    fn death(&self, death: &Death) -> Line<'static> {
        let time = units::time(death.time);
        // The time of the day, in UTC.
        let time = time.get(11..19).unwrap_or(&time).to_owned();
        Line::styled(format!("{time}  {}", death.text), style(Tone::Bad, self.has_colour))
    }

    fn foot(&self) -> Line<'static> {
        let text = if self.is_typing {
            format!("filter: {}_   Enter keeps it, Esc clears it", self.filter)
        } else {
            let filter = match self.filter.as_str() {
                "" => String::new(),
                filter => format!("   filter: {filter}"),
            };
            format!(
                "q quit   h help   s sort: {}   / filter   Enter look into{filter}",
                self.order.word()
            )
        };
        Line::styled(text, style(Tone::Quiet, self.has_colour))
    }
}

/// Returns the style of a tone.
pub fn style(tone: Tone, has_colour: bool) -> Style {
    let colour = |colour| match has_colour {
        true => Style::new().fg(colour),
        false => Style::new(),
    };
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => colour(Color::Green),
        Tone::Warning => colour(Color::Yellow),
        Tone::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Heading => Style::new().add_modifier(Modifier::BOLD),
    }
}

fn living(sample: &Sample) -> usize {
    sample.members.iter().filter(|member| member.member.alive).count()
}

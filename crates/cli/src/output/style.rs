//! Colour, and whether there is any.

use std::env;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

/// What a word tells, which decides its colour on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    /// Something may need attention.
    Warning,
    /// Something is wrong.
    Bad,
    /// It is of little interest.
    Quiet,
    Heading,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => colour(AnsiColor::Green),
            Tone::Warning => colour(AnsiColor::Yellow),
            Tone::Bad => colour(AnsiColor::Red).bold(),
            Tone::Quiet => Style::new().dimmed(),
            Tone::Heading => Style::new().bold(),
        }
    }
}

/// Returns whether standard output shows colours: it is a terminal that has them, and the user did
/// not refuse them (<https://no-color.org>).
pub fn has_colour() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Returns a text in the colour of its tone, if there are colours.
pub fn paint(text: &str, tone: Tone, has_colour: bool) -> String {
    match (has_colour, tone) {
        (false, _) | (_, Tone::Plain) => text.into(),
        (true, tone) => {
            let style = tone.style();
            format!("{style}{text}{style:#}")
        }
    }
}

//! `sysvring top`: all channels, live.

mod app;
mod detail;
mod fit;
mod keys;
mod list;
mod sampler;

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal;

use self::app::App;
use self::sampler::Sampler;
use crate::channel;
use crate::failure::{DONE, Failure};
use crate::output::{self, style};
use crate::signals::{self, Signals};
use crate::{refused, units};

/// The longest wait for a key before it is looked whether a signal came.
const SLICE: Duration = Duration::from_millis(200);

/// Watch all channels: rates, depths, what each member holds, deaths
///
/// It only looks: it takes no seat and wakes nobody.
#[derive(Args, Debug)]
#[command(after_help = keys::HELP)]
pub struct Top {
    /// Time between two looks: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = units::parse_duration)]
    interval: Duration,
    /// Show only channels whose name contains this text
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// Begin with the members of this channel
    #[arg(value_name = "CHANNEL", value_parser = channel::parse)]
    channel: Option<sysvring::Address>,
    /// Print one frame as text, after one interval, and end
    #[arg(long)]
    once: bool,
    /// Columns of that frame; those of the terminal, or 100, if not given
    #[arg(long, value_name = "COLUMNS", requires = "once")]
    width: Option<u16>,
}

impl Top {
    pub fn run(self) -> Result<u8, Failure> {
        let interval = self.interval.max(Duration::from_millis(50));
        let mut app = App::new(self.filter.clone(), interval);
        let mut sampler = Sampler::default();
        app.update(sampler.look()?);
        if let Some(address) = &self.channel {
            app.look_into(sysvring::stat(address)?.id);
        }
        if self.once {
            thread::sleep(interval);
            app.update(sampler.look()?);
            refused::warn(app.unseen.as_deref());
            output::print(frame(&mut app, self.width).as_bytes())?;
            return Ok(DONE);
        }
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "top needs a terminal; `sysvring top --once` prints one frame, `sysvring metrics` is \
                 for programs",
            ));
        }
        // A signal must not leave the terminal as it is while this runs.
        let _signals = Signals::notice()?;
        app.has_colour = style::has_colour();
        let mut terminal = ratatui::try_init()
            .map_err(|error| Failure::because("the terminal cannot be set up", &error))?;
        let result = watch(&mut terminal, &mut app, &mut sampler, interval);
        ratatui::restore();
        result
    }
}

/// Draws, waits for a key or for the next look, and so on until the user ends it.
fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    sampler: &mut Sampler,
    interval: Duration,
) -> Result<u8, Failure> {
    let failed = |error| Failure::because("the terminal cannot be used", &error);
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| app.draw(frame)).map_err(failed)?;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if event::poll(left.min(SLICE)).map_err(failed)? {
                break;
            }
            // Ctrl-C is a key here; this one came from elsewhere.
            if signals::received().is_some() {
                return Ok(DONE);
            }
            if left.is_zero() {
                next = Instant::now() + interval;
                if !app.is_paused {
                    app.update(sampler.look()?);
                    break;
                }
            }
        }
        while event::poll(Duration::ZERO).map_err(failed)? {
            match event::read().map_err(failed)? {
                Event::Key(key) if key.kind != KeyEventKind::Release && !app.press(key) => {
                    return Ok(DONE);
                }
                _ => {}
            }
        }
    }
}

/// Returns one frame as text.
fn frame(app: &mut App, width: Option<u16>) -> String {
    let (of_terminal, _) = terminal::size().unwrap_or((100, 0));
    let width = width.unwrap_or(of_terminal).clamp(40, 500);
    let backend = TestBackend::new(width, app.height());
    let Ok(mut terminal) = Terminal::new(backend);
    let _ = terminal.draw(|frame| app.draw(frame));
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(width)) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

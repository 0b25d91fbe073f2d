//! `sysvring tap` and `sysvring peek`: the messages of a channel, without taking any.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use sysvring::{Address, Error, Fault, Stat, TapStart};

use crate::channel::Channel;
use crate::failure::{DONE, Failure, TIMED_OUT};
use crate::signals::{self, Signals};
use crate::stream::framing::FramingArgs;
use crate::stream::layout::{self, Layout};
use crate::stream::output::{Output, Unwritten};
use crate::stream::render::Render;
use crate::units;

/// The longest wait before it is looked whether a signal came, and before what was read is written.
const SLICE: Duration = Duration::from_millis(50);
/// Bytes that are collected before they are written.
const PIECE: usize = 64 << 10;

/// Watch the messages of a channel as they pass, without joining it or slowing it down
///
/// Every message is printed, received or not. A tap that is too slow misses messages, and says how
/// many on standard error. It ends when the channel is removed.
#[derive(Args, Debug)]
#[command(after_long_help = layout::help())]
pub struct Tap {
    #[command(flatten)]
    channel: Channel,
    #[command(flatten)]
    shown: Shown,
    /// Begin with the oldest message that is still in the ring, received or not
    #[arg(long, conflicts_with = "from")]
    oldest: bool,
    /// Begin at this position
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// End if no message passes for this time, with exit code 124: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
}

/// Show the messages that wait in a channel, without taking any
///
/// Those that receivers hold and have not acknowledged are shown, too.
#[derive(Args, Debug)]
#[command(after_long_help = layout::help())]
pub struct Peek {
    #[command(flatten)]
    channel: Channel,
    #[command(flatten)]
    shown: Shown,
    /// Show received messages that are still in the ring, too
    #[arg(long)]
    oldest: bool,
}

/// Which messages to print, and how.
#[derive(Args, Debug)]
struct Shown {
    #[command(flatten)]
    framing: FramingArgs,
    /// What a message is: text, json, hex, or fields such as u64,f64
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Layout>,
    /// Print the position of each message, and a blank, before it
    #[arg(short, long)]
    positions: bool,
    /// End after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
}

/// Until when messages are printed.
#[derive(Clone, Copy)]
enum Until {
    /// The position before which they were sent when it began; those that were received are left out
    /// unless they are to be shown.
    Position {
        end: u64,
        is_received_shown: bool,
    },
    Idle(Option<Duration>),
}

impl Tap {
    pub fn run(self) -> Result<u8, Failure> {
        let start = match (self.from, self.oldest) {
            (Some(position), _) => TapStart::Position(position),
            (None, true) => TapStart::Oldest,
            (None, false) => TapStart::Now,
        };
        self.shown.print(&self.channel.address()?, start, Until::Idle(self.timeout))
    }
}

impl Peek {
    pub fn run(self) -> Result<u8, Failure> {
        let address = self.channel.address()?;
        let id = sysvring::stat(&address)?.id;
        let end = sysvring::Tap::open(id, TapStart::Now)?.position();
        let until = Until::Position { end, is_received_shown: self.oldest };
        self.shown.print(&Address::Id(id), TapStart::Oldest, until)
    }
}

impl Shown {
    fn print(&self, address: &Address, start: TapStart, until: Until) -> Result<u8, Failure> {
        let signals = Signals::notice()?;
        let output = Output::new(&signals)?;
        let stat = sysvring::stat(address)?;
        let mut tap = sysvring::Tap::open(stat.id, start)?;
        let render = self.render(&stat)?;
        let (mut message, mut text) = (Vec::new(), Vec::new());
        let (mut count, mut active) = (0, Instant::now());
        let code = loop {
            let is_over = match until {
                Until::Position { end, .. } => tap.position() >= end,
                Until::Idle(_) => false,
            };
            if is_over || Some(count) == self.count || signals::received().is_some() {
                break DONE;
            }
            let found = match text.is_empty() && matches!(until, Until::Idle(_)) {
                true => tap.next_timeout(&mut message, SLICE),
                false => tap.try_next(&mut message),
            };
            let is_found = match found {
                Ok(Some(found))
                    if matches!(until, Until::Position { is_received_shown: false, .. })
                        && !tap.is_waiting(found.position) =>
                {
                    true
                }
                Ok(Some(found)) => {
                    if self.positions {
                        let _ = write!(text, "{} ", found.position);
                    }
                    render.write(&mut text, &message).map_err(Failure::new)?;
                    (count, active) = (count + 1, Instant::now());
                    true
                }
                Ok(None) => false,
                // Everything was printed.
                Err(Error::Fault(Fault::Removed)) => break DONE,
                Err(error) => return Err(error.into()),
            };
            if text.len() >= PIECE || !is_found {
                match output.write_all(&text) {
                    Ok(()) => text.clear(),
                    Err(Unwritten::Signal) => break DONE,
                    Err(Unwritten::Failed(failure)) => return Err(failure),
                }
            }
            match until {
                Until::Position { .. } if !is_found => break DONE,
                Until::Idle(Some(timeout)) if !is_found && active.elapsed() >= timeout => {
                    break TIMED_OUT;
                }
                _ => {}
            }
        };
        if signals::received().is_none() {
            match output.write_all(&text) {
                Ok(()) | Err(Unwritten::Signal) => {}
                Err(Unwritten::Failed(failure)) => return Err(failure),
            }
        }
        // What peek does not find was received meanwhile.
        if tap.missed() > 0 && matches!(until, Until::Idle(_)) {
            let (missed, seen) = (tap.missed(), tap.seen());
            let missed = units::counted(missed, "message was", "messages were");
            let line = format!("sysvring: {missed} missed, {seen} seen\n");
            let _ = io::stderr().write_all(line.as_bytes());
        }
        Ok(code)
    }

    fn render(&self, stat: &Stat) -> Result<Render, Failure> {
        let framing = self.framing.framing();
        let layout = layout::choose(self.format.clone(), framing, stat);
        layout.check(stat.slot_size, stat.variable).map_err(Failure::usage)?;
        Ok(Render { framing, layout, is_terminal: io::stdout().is_terminal() })
    }
}

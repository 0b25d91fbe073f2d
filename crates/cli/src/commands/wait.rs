//! `sysvring wait`: until something has happened to a channel. It takes no seat: it looks again and
//! again, at most every 20 ms.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sysvring::{Address, Error, Fault, Observer, Role, Stat, StreamState};

use crate::channel::Channel;
use crate::columns::living;
use crate::failure::{DONE, Failure, TIMED_OUT};
use crate::{timeout, units};

/// The longest time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Wait for a peer, for a message, or for the end, without joining the channel
///
/// The channel need not exist yet.
#[derive(Args, Debug)]
pub struct Wait {
    #[command(flatten)]
    channel: Channel,
    /// What to wait for
    #[arg(value_name = "EVENT")]
    event: Event,
    /// Wait for this many living senders or receivers, for `sender` and `receiver`
    #[arg(short = 'n', long, value_name = "N", default_value = "1", hide_default_value = true)]
    count: u64,
    /// Give up after this time, with exit code 124: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Print nothing when the time is over
    #[arg(short, long)]
    quiet: bool,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Event {
    /// The channel exists
    Channel,
    /// It has a living sender, or --count of them
    Sender,
    /// It has a living receiver, or --count of them
    Receiver,
    /// It has a message that is not acknowledged (broadcast: by a receiver that is there)
    Message,
    /// Every message was acknowledged (broadcast: by the receivers that are there)
    Empty,
    /// Another message can be sent
    Room,
    /// The stream was finished, and every message acknowledged
    End,
    /// The channel does not exist
    Gone,
}

impl Event {
    fn has_happened(self, stat: Option<&Stat>, count: u64) -> bool {
        let Some(stat) = stat else { return matches!(self, Event::Gone) };
        match self {
            Event::Channel => true,
            Event::Sender => living(stat, Role::Sender) >= count,
            Event::Receiver => living(stat, Role::Receiver) >= count,
            Event::Message => stat.depth > 0,
            Event::Empty => stat.depth == 0,
            Event::Room => stat.room > 0,
            Event::End => stat.depth == 0 && stat.stream == StreamState::Ended,
            Event::Gone => false,
        }
    }
}

impl Wait {
    pub fn run(self) -> Result<u8, Failure> {
        if self.count != 1 && !matches!(self.event, Event::Sender | Event::Receiver) {
            return Err(Failure::usage("--count is for the events sender and receiver"));
        }
        let address = self.channel.address()?;
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (mut observer, mut pause) = (None, Duration::from_millis(1));
        loop {
            let stat = look(&address, &mut observer)?;
            if self.event.has_happened(stat.as_ref(), self.count) {
                return Ok(DONE);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                if !self.quiet {
                    let event = self.event.to_possible_value();
                    let event = event.as_ref().map_or("", |event| event.get_name());
                    timeout::report(&format!("the event {event} has not happened"));
                }
                return Ok(TIMED_OUT);
            }
            thread::sleep(left.unwrap_or(pause).min(pause));
            pause = (pause * 2).min(INTERVAL);
        }
    }
}

/// Returns the state of the channel that has this address now, if there is one.
fn look(address: &Address, observer: &mut Option<Observer>) -> Result<Option<Stat>, Failure> {
    loop {
        let looked = match observer {
            Some(observer) => observer.stat(),
            None => match Observer::open(address) {
                Ok(opened) => observer.insert(opened).stat(),
                Err(error) => Err(error),
            },
        };
        match looked {
            // A removed channel stays while it is attached.
            Ok(stat) if !stat.segment.marked_for_removal || stat.segment.key != 0 => {
                return Ok(Some(stat));
            }
            Ok(stat) if stat.name.is_empty() && matches!(address, Address::Id(_)) => {
                return Ok(Some(stat));
            }
            Ok(_) | Err(Error::Fault(Fault::Removed)) => {
                // Perhaps another one has its address by now.
                if observer.take().is_some() && Observer::open(address).is_ok() {
                    continue;
                }
                return Ok(None);
            }
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

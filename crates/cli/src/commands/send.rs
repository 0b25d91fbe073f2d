//! `sysvring send`: standard input, message by message, into a channel.

use std::time::Duration;

use clap::Args;
use sysvring::untyped::Sender;
use sysvring::{SendError, StreamState};

use crate::channel::Channel;
use crate::failure::{DONE, Failure, TIMED_OUT};
use crate::signals::{self, Signals};
use crate::stream::framing::{Framing, FramingArgs};
use crate::stream::input::{Brought, Input};
use crate::stream::join::{self, Create, Member};
use crate::stream::layout::{self, Layout};
use crate::stream::progress::Progress;
use crate::stream::structured;
use crate::units;

/// Send standard input, or arguments, to a channel: each line is a message
///
/// The channel is created if it does not exist; `send` and `recv` may start in either order. While
/// the channel is full, send waits for a receiver; a broadcast channel without receivers is never
/// full. At the end of its input it finishes the stream:
/// receivers end when they have received everything and no other sender is left.
#[derive(Args, Debug)]
#[command(after_long_help = layout::help())]
pub struct Send {
    #[command(flatten)]
    channel: Channel,
    /// The messages; without any, standard input is sent
    #[arg(value_name = "MESSAGE")]
    messages: Vec<String>,
    #[command(flatten)]
    framing: FramingArgs,
    /// What a message is: text, json, hex, or fields such as u64,f64
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Layout>,
    /// Leave the stream open at the end: receivers that come later wait for the next sender
    #[arg(long)]
    no_finish: bool,
    /// Give up if a message finds no room for this time, with exit code 124: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Label of this sender, as `sysvring stat` shows it
    #[arg(long, value_name = "LABEL", default_value = "sysvring send", hide_default_value = true)]
    label: String,
    /// Show progress on standard error, also if that is not a terminal
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    create: Create,
}

impl Send {
    pub fn run(mut self) -> Result<u8, Failure> {
        let signals = Signals::notice()?;
        // Before the channel is created.
        let input = self.messages.is_empty().then(|| Input::new(&signals)).transpose()?;
        let address = self.channel.address()?;
        // A sender that joins opens an ended stream anew. One that is not there has not ended.
        let had_ended =
            sysvring::stat(&address).is_ok_and(|stat| stat.stream == StreamState::Ended);
        let sender: Sender = join::join(&address, &self.create, Member::labelled(&self.label))?;
        signals.interrupt(sender.interrupter());
        let stat = sender.stat()?;
        let layout = layout::choose(self.format.take(), self.framing.framing(), &stat);
        layout.check(stat.slot_size, stat.variable).map_err(Failure::usage)?;
        let mut sending = Sending {
            sender,
            layout,
            timeout: self.timeout,
            progress: Progress::new("sent", self.progress),
            scratch: Vec::new(),
        };
        let all_sent = match input {
            Some(input) => self.send_input(&mut sending, input),
            None => self.messages.iter().try_for_each(|message| sending.send(message.as_bytes())),
        };
        let Sending { sender, progress, .. } = sending;
        let sent = progress.messages;
        drop(progress);
        match all_sent {
            Ok(()) if self.no_finish => sender.close()?,
            Ok(()) => sender.finish()?,
            Err(stop) => {
                // What was sent stays. If that is nothing, an ended stream has ended still.
                let _ = if sent == 0 && had_ended { sender.finish() } else { sender.close() };
                return stop.result(sent);
            }
        }
        Ok(DONE)
    }

    fn send_input(&self, sending: &mut Sending, mut input: Input) -> Result<(), Stop> {
        let framing = self.framing.framing();
        let max = sending.longest(framing);
        let mut is_end = false;
        let mut searched = 0;
        loop {
            let found = framing.first(input.bytes(), searched, max, is_end);
            match found.map_err(|why| Stop::Failed(Failure::new(why)))? {
                Some(found) => {
                    sending.send(&input.bytes()[found.message])?;
                    input.consume(found.consumed);
                    searched = 0;
                }
                None if is_end => return Ok(()),
                None => {
                    searched = input.bytes().len();
                    sending.progress.show_if_due();
                    match input.fill().map_err(Stop::Failed)? {
                        Brought::Bytes => {}
                        Brought::End => is_end = true,
                        Brought::Signal => return Err(Stop::Signal),
                    }
                }
            }
        }
    }
}

/// Why sending ended early.
enum Stop {
    Signal,
    Timeout,
    Failed(Failure),
}

impl Stop {
    fn result(self, sent: u64) -> Result<u8, Failure> {
        let so_far = match sent {
            0 => "nothing was sent".to_owned(),
            n => format!("{} sent", units::counted(n, "message was", "messages were")),
        };
        match self {
            Stop::Signal => Err(Failure::new(format!("interrupted; {so_far}"))),
            Stop::Timeout => Err(Failure {
                code: TIMED_OUT,
                text: format!(
                    "timed out: the channel is full, and no receiver makes room; start one, such as \
                     `sysvring recv`; {so_far}"
                ),
            }),
            Stop::Failed(failure) => {
                Err(Failure { text: format!("{}; {so_far}", failure.text), ..failure })
            }
        }
    }
}

/// A sender, and what it is to do with a message.
struct Sending {
    sender: Sender,
    layout: Layout,
    timeout: Option<Duration>,
    progress: Progress,
    scratch: Vec<u8>,
}

impl Sending {
    /// Returns the length of the longest message in the input.
    fn longest(&self, framing: Framing) -> usize {
        match (framing, &self.layout) {
            // Whole elements only.
            (Framing::Raw, Layout::Text) => {
                let shape = self.sender.shape();
                let rest = self.sender.slot_size() - shape.size;
                self.sender.slot_size() - rest.checked_rem(shape.element).unwrap_or(0)
            }
            (_, Layout::Text) => self.sender.slot_size(),
            (_, Layout::Json(_)) => structured::text_max(self.sender.slot_size()),
            // Digits are longer than what they mean.
            _ => 32 * self.sender.slot_size().max(64),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Stop> {
        if self.layout == Layout::Text {
            Self::send_bytes(&mut self.sender, message, self.timeout)
                .map_err(|error| self.stop(error, message))?;
        } else {
            let mut bytes = std::mem::take(&mut self.scratch);
            bytes.clear();
            self.layout.read(message, &mut bytes).map_err(|why| {
                Stop::Failed(Failure::new(format!(
                    "message {} of the input does not have the format: {why}",
                    self.progress.messages + 1
                )))
            })?;
            Self::send_bytes(&mut self.sender, &bytes, self.timeout)
                .map_err(|error| self.stop(error, &bytes))?;
            self.scratch = bytes;
        }
        self.progress.count(message.len());
        Ok(())
    }

    /// Sends a message; while there is no room and no receiver, it waits for one.
    fn send_bytes(
        sender: &mut Sender,
        bytes: &[u8],
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        loop {
            let sent = match timeout {
                None => sender.send(bytes),
                Some(timeout) => sender.send_timeout(bytes, timeout),
            };
            match sent {
                Err(SendError::Disconnected) => {
                    sender.wait_for_peer(timeout.unwrap_or(Duration::MAX))?;
                }
                other => return other,
            }
        }
    }

    fn stop(&self, error: SendError, bytes: &[u8]) -> Stop {
        let number = self.progress.messages + 1;
        let remedy = match error {
            SendError::Interrupted if signals::received().is_some() => return Stop::Signal,
            SendError::Timeout => return Stop::Timeout,
            SendError::TooLong { max, .. } => format!(
                "message {number} of the input has {} bytes, and the channel takes at most {max}; \
                 split it, or remove the channel and create it with --message-size {}",
                bytes.len(),
                bytes.len().next_power_of_two()
            ),
            SendError::WrongLength { .. } => format!(
                "message {number} of the input: {error}; check --format, `sysvring stat` shows the \
                 size of the messages"
            ),
            error => return Stop::Failed(error.into()),
        };
        Stop::Failed(Failure::new(remedy))
    }
}

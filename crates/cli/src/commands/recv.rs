//! `sysvring recv`: a channel, message by message, to standard output.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use sysvring::broadcast::Start;
use sysvring::untyped::{Batch, Receiver};
use sysvring::{Flavor, RecvError, Role, Stat};

use crate::channel::Channel;
use crate::columns::living;
use crate::failure::{DONE, Failure, MISSED, SENDER_KILLED, TIMED_OUT};
use crate::signals::{self, Signals};
use crate::stream::framing::FramingArgs;
use crate::stream::join::{self, Create, Member};
use crate::stream::layout::{self, Layout};
use crate::stream::output::{Output, Unwritten};
use crate::stream::progress::Progress;
use crate::stream::render::Render;
use crate::{members, timeout, units};

/// Messages that are received before they are written, if as many are there.
const BATCH: usize = 256;

/// Receive messages and write them to standard output, a line each
///
/// A message is acknowledged when it was written: if recv is killed, or the reader behind its pipe
/// ends, the next receiver gets what was not written. recv ends when the senders have finished and
/// everything was received. The channel is created if it does not exist. Several receivers of a
/// channel share its messages; in a broadcast channel, each gets all of them, and what a killed one
/// did not write is for the next one with its --label.
#[derive(Args, Debug)]
#[command(after_long_help = layout::help())]
pub struct Recv {
    #[command(flatten)]
    channel: Channel,
    #[command(flatten)]
    framing: FramingArgs,
    /// What a message is: text, json, hex, or fields such as u64,f64
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Layout>,
    /// End after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Go on at the end of the stream, with the next sender
    #[arg(long)]
    follow: bool,
    /// Give up if no message arrives for this time, with exit code 124: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Print nothing when that time is over
    #[arg(short, long)]
    quiet: bool,
    /// Where to start in a broadcast channel: at the oldest message in the ring, at the next one that is
    /// sent, or at a position [default: oldest]
    #[arg(long, value_name = "oldest|next|POSITION", value_parser = join::parse_start)]
    start: Option<Start>,
    /// Label of this receiver, as `sysvring stat` shows it. In a broadcast channel, it starts where a
    /// killed receiver of the same label stopped
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Show progress on standard error, also if that is not a terminal
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    create: Create,
}

/// How receiving ended.
enum Ended {
    Code(u8),
    /// No sender is left, and everything was received.
    WithTheSenders,
}

/// Why there is no message.
#[derive(Clone, Copy)]
enum Pause {
    /// Look at the channel, then wait.
    Empty,
    End,
    Timeout,
    Signal,
    /// So many messages were overwritten.
    Missed(u64),
}

impl Recv {
    pub fn run(mut self) -> Result<u8, Failure> {
        let signals = Signals::notice()?;
        // Before anything is taken.
        let output = Output::new(&signals)?;
        let address = self.channel.address()?;
        if self.start.is_some() {
            self.create.require_broadcast(&address, "--start")?;
        }
        // It may get the seat of a sender that died.
        let before = sysvring::stat(&address).ok();
        let member = Member::receiver("sysvring recv", self.label.as_deref(), self.start);
        let mut receiver: Receiver = join::join(&address, &self.create, member)?;
        signals.interrupt(receiver.interrupter());
        let framing = self.framing.framing();
        let stat = receiver.stat()?;
        let layout = layout::choose(self.format.take(), self.framing.framing(), &stat);
        layout.check(stat.slot_size, stat.variable).map_err(Failure::usage)?;
        let render = Render { framing, layout, is_terminal: io::stdout().is_terminal() };
        let mut missed = Missed::default();
        let code = match self.receive(&mut receiver, &render, &output, &mut missed)? {
            Ended::Code(code) => code,
            Ended::WithTheSenders => end(&receiver.stat()?, before.as_ref())?,
        };
        receiver.close()?;
        missed.sum_up();
        if code == TIMED_OUT && !self.quiet {
            timeout::report("no message arrived");
        }
        Ok(if code == DONE && missed.all > 0 { MISSED } else { code })
    }

    fn receive(
        &self,
        receiver: &mut Receiver,
        render: &Render,
        output: &Output,
        missed: &mut Missed,
    ) -> Result<Ended, Failure> {
        let mut progress = Progress::new("received", self.progress);
        let mut text = Vec::new();
        let mut may_wait = false;
        loop {
            let left = self.count.map_or(u64::MAX, |count| count - progress.messages);
            if left == 0 {
                return Ok(Ended::Code(DONE));
            }
            let max = left.min(BATCH as u64) as usize;
            let pause = match next(receiver, max, may_wait, self.timeout)? {
                Ok(batch) => {
                    may_wait = false;
                    text.clear();
                    for message in batch.iter() {
                        render.write(&mut text, message).map_err(Failure::new)?;
                        progress.count(message.len());
                    }
                    match output.write_all(&text) {
                        Ok(()) => batch.ack()?,
                        // It is delivered again.
                        Err(Unwritten::Signal) => return Ok(Ended::Code(DONE)),
                        Err(Unwritten::Failed(failure)) => return Err(failure),
                    }
                    continue;
                }
                Err(pause) => pause,
            };
            match pause {
                Pause::Empty => {
                    progress.show_if_due();
                    if !self.follow && has_lost_its_senders(receiver)? {
                        return Ok(Ended::WithTheSenders);
                    }
                    may_wait = true;
                }
                Pause::End if self.follow => {
                    may_wait = false;
                    match receiver.wait_for_peer(self.timeout.unwrap_or(Duration::MAX)) {
                        Ok(()) => {}
                        Err(RecvError::Timeout) => return Ok(Ended::Code(TIMED_OUT)),
                        Err(RecvError::Interrupted) => return Ok(Ended::Code(DONE)),
                        Err(error) => return Err(error.into()),
                    }
                }
                Pause::End => return Ok(Ended::WithTheSenders),
                Pause::Timeout => return Ok(Ended::Code(TIMED_OUT)),
                Pause::Signal => return Ok(Ended::Code(DONE)),
                Pause::Missed(messages) => missed.add(messages),
            }
        }
    }
}

/// Messages that were overwritten before they were received. The first ones are reported at once; in an
/// overwriting channel, more may follow at any time.
#[derive(Debug, Default)]
struct Missed {
    all: u64,
    reported: u64,
}

impl Missed {
    fn add(&mut self, messages: u64) {
        self.all += messages;
        if self.reported == 0 {
            self.reported = messages;
            self.report("; going on with one that is left");
        }
    }

    /// Reports the sum, if more were missed than was reported.
    fn sum_up(&self) {
        if self.all > self.reported {
            self.report(", all in all");
        }
    }

    fn report(&self, more: &str) {
        let messages = units::counted(self.all, "message was", "messages were");
        let line = format!("sysvring: {messages} overwritten before they were received{more}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Returns the exit code after the last message, and says which senders were killed, if any were.
/// `before` is the channel before this receiver joined.
fn end(stat: &Stat, before: Option<&Stat>) -> Result<u8, Failure> {
    if stat.lost_senders == 0 {
        return Ok(DONE);
    }
    let dead = |stat: &Stat| -> Vec<String> {
        let dead = stat.members.iter().filter(|m| m.role == Role::Sender && !m.alive && !m.left);
        dead.map(|m| {
            format!(
                "{} after {}, before position {}",
                members::process(m),
                units::counted(m.messages, "message", "messages"),
                m.position
            )
        })
        .collect()
    };
    let mut who = dead(stat);
    if who.is_empty() {
        who.extend(before.into_iter().flat_map(dead));
    }
    let which = match (who.len(), stat.lost_senders) {
        (0, 1) => "a sender was killed".to_owned(),
        (0, n) => format!("{n} senders were killed"),
        (1, _) => format!("a sender was killed: {}", who[0]),
        (n, _) => format!("{n} senders were killed: {}", who.join("; ")),
    };
    Err(Failure {
        code: SENDER_KILLED,
        text: format!(
            "{which}; everything that was sent was received; start it again to go on with the stream"
        ),
    })
}

/// Returns whether no sender is left, one was killed that has no successor, and there is nothing to
/// receive.
fn has_lost_its_senders(receiver: &Receiver) -> Result<bool, Failure> {
    let stat = receiver.stat()?;
    let is_drained = match stat.flavor {
        // Others may not have received everything.
        Flavor::Broadcast => receiver.is_empty(),
        _ => stat.depth == 0,
    };
    Ok(stat.lost_senders > 0 && living(&stat, Role::Sender) == 0 && is_drained)
}

/// Takes the messages that are there; blocks for the first one only if that is permitted.
fn next(
    receiver: &mut Receiver,
    max: usize,
    may_wait: bool,
    timeout: Option<Duration>,
) -> Result<Result<Batch<'_>, Pause>, Failure> {
    let taken = match (may_wait, timeout) {
        (false, _) => receiver.try_recv_batch_ref(max),
        (true, None) => receiver.recv_batch_ref(max),
        (true, Some(timeout)) => receiver.recv_batch_ref_timeout(max, timeout),
    };
    let pause = match taken {
        // What was taken is delivered again.
        _ if signals::received().is_some() => Pause::Signal,
        Ok(batch) => return Ok(Ok(batch)),
        Err(RecvError::Empty | RecvError::Behind { .. } | RecvError::Interrupted) => Pause::Empty,
        Err(RecvError::Disconnected) => Pause::End,
        Err(RecvError::Lagged { messages }) => Pause::Missed(messages),
        Err(RecvError::Timeout | RecvError::Blocked { .. }) => Pause::Timeout,
        Err(error) => return Err(error.into()),
    };
    Ok(Err(pause))
}

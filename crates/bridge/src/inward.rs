//! From a subject to a channel.
//!
//! Each message is sent with its position and its sequence in the record (`record.rs`), and acknowledged
//! after that. The consumer on the server is made anew at every start, behind the last message that was
//! sent, so that messages come in the order of the stream; those that come again are acknowledged only.
//!
//! A channel that was removed takes messages until its sender notices. So the loop looks whether the channel
//! is still there before it acknowledges: otherwise the messages go to the channel that is made next.
//!
//! A full channel stops the loop, and with it the requests for messages: at most `in_flight` are on this
//! machine and not in the channel.

use std::path::Path;

use futures_util::FutureExt;
use sysvring::untyped::Sender;
use sysvring::{Flavor, SendError};
use tracing::{info, warn};

use crate::channel;
use crate::config::InRoute;
use crate::engine::{Incoming, Inlet, Source};
use crate::metrics::RouteCounts;
use crate::record::{Entry, Record};
use crate::resume::{Resume, resume};
use crate::route_error::RouteError;
use crate::stop::Stop;

/// Messages that are acknowledged together at most.
const TOGETHER: usize = 256;

/// What a route needs.
#[derive(Debug)]
pub struct InLoop<'a, I> {
    /// The route.
    pub route: &'a InRoute,
    /// The engine.
    pub inlet: I,
    /// What the route counts.
    pub counts: &'a RouteCounts,
    /// The order to end.
    pub stop: Stop,
    /// Whether the route ends when the stream has no more messages.
    pub until_end: bool,
    /// The folder of the record.
    pub state: &'a Path,
}

/// A message that is being sent, and where.
struct Sending<'a> {
    sender: &'a mut Sender,
    record: &'a mut Record,
    source: Source,
    last: u64,
}

impl Sending<'_> {
    /// Records that the message of the last intent was sent.
    fn confirm(&mut self, sequence: u64) {
        self.record.confirm();
        self.last = sequence;
    }
}

impl<I: Inlet> InLoop<'_, I> {
    /// Carries messages until the bridge is to end, or there are no more if that is asked for.
    ///
    /// # Errors
    /// [`RouteError`]; what was not sent is delivered again then.
    pub async fn run(&mut self) -> Result<(), RouteError> {
        let mut record = Record::open(self.state, &self.route.name)?;
        let (channel, label) = (&self.route.channel, &self.route.label);
        let attach = || channel::options(channel, label).attach();
        let Some(mut sender) = channel::join::<Sender>(channel, &mut self.stop, attach).await?
        else {
            return Ok(());
        };
        let result = self.carry(&mut sender, &mut record).await;
        if let Err(error) = sender.close() {
            warn!("leaving the channel: {error}");
        }
        result
    }

    async fn carry(&mut self, sender: &mut Sender, record: &mut Record) -> Result<(), RouteError> {
        let mut stop = self.stop.clone();
        let source = tokio::select! {
            source = self.inlet.locate() => source?,
            () = stop.wait() => return Ok(()),
        };
        let Resume { after, doubtful } = resume(record, sender, source)?;
        if let Some(sequence) = doubtful {
            warn!(
                sequence,
                "other senders overwrote the slot of the last message before the bridge came back; it may be \
                 in the channel twice"
            );
        }
        let after = if after > source.end {
            warn!(
                after,
                end = source.end,
                "the stream lost messages that had been received; its next ones are new"
            );
            source.end
        } else {
            after
        };
        // The consumer, which knows the place too, is made anew.
        record.intend(Entry::new(sender.id(), None, after, source.identity));
        record.confirm();
        let mut sending = Sending { sender, record, source, last: after };
        loop {
            let waiting = tokio::select! {
                waiting = self.inlet.start(sending.last) => waiting?,
                () = stop.wait() => return Ok(()),
            };
            self.counts.up.set(1);
            let channel = sending.sender.id();
            info!(channel = %channel, stream = self.route.stream, after = sending.last, "started");
            if self.until_end && waiting == 0 {
                return Ok(());
            }
            match self.drain(&mut sending).await? {
                Drained::Ended => return Ok(()),
                Drained::Gap => {
                    self.counts.failures.add(1);
                    info!("messages were not delivered in order; starting behind the last one");
                }
            }
        }
    }

    /// Sends messages as they come.
    async fn drain(&mut self, sending: &mut Sending<'_>) -> Result<Drained, RouteError> {
        let together = self.route.in_flight.div_ceil(4).min(TOGETHER);
        // The consumer is new.
        let (mut expected, mut unacknowledged) = (1, 0);
        let mut stop = self.stop.clone();
        loop {
            // Acknowledgements of many messages go together, but never wait for the next message.
            let ready =
                if unacknowledged < together { self.inlet.next().now_or_never() } else { None };
            let message = match ready {
                Some(message) => message?,
                None => {
                    sending.sender.confirm()?;
                    self.inlet.acknowledge().await?;
                    unacknowledged = 0;
                    tokio::select! {
                        () = stop.wait() => break,
                        message = self.inlet.next() => message?,
                    }
                }
            };
            if message.delivery != expected {
                return Ok(Drained::Gap);
            }
            expected += 1;
            unacknowledged += 1;
            self.counts.in_flight.set(unacknowledged as u64);
            if message.sequence <= sending.last {
                self.counts.duplicates.add(1);
            } else if !self.pass_on(&message, sending).await? {
                // It is not acknowledged, and neither are those before it, which the record knows.
                return Ok(Drained::Ended);
            }
            if self.stop.is_set() || self.until_end && message.behind == 0 {
                break;
            }
        }
        sending.sender.confirm()?;
        self.inlet.settle().await?;
        self.counts.in_flight.set(0);
        Ok(Drained::Ended)
    }

    /// Sends a message, or stores it elsewhere. Returns whether it did, before the bridge is to end.
    async fn pass_on(
        &mut self,
        message: &Incoming,
        sending: &mut Sending<'_>,
    ) -> Result<bool, RouteError> {
        let reason = match foreign_schema(message, sending.sender) {
            Some(reason) => reason,
            None => match self.send(message, sending).await {
                Err(error @ (SendError::TooLong { .. } | SendError::WrongLength { .. })) => {
                    error.to_string()
                }
                sent => return Ok(sent?),
            },
        };
        let (stream, sequence) = (self.route.stream.clone(), message.sequence);
        let Some(subject) = &self.route.reject_to else {
            return Err(RouteError::Rejected { stream, sequence, reason });
        };
        warn!(sequence, reject_to = subject, "storing a message under reject_to: {reason}");
        self.inlet.reject(message, subject, &reason).await?;
        self.counts.rejected.add(1);
        let entry = Entry::new(sending.sender.id(), None, sequence, sending.source.identity);
        sending.record.intend(entry);
        sending.confirm(sequence);
        Ok(true)
    }

    /// Sends a message into the channel. Returns whether it did, before the bridge is to end.
    async fn send(
        &mut self,
        message: &Incoming,
        sending: &mut Sending<'_>,
    ) -> Result<bool, SendError> {
        let (channel, sequence) = (sending.sender.id(), message.sequence);
        let flavor = sending.sender.flavor();
        loop {
            let error = tokio::select! {
                biased;
                loan = sending.sender.loan_async(message.payload.len()) => match loan {
                    Ok(mut loan) => {
                        loan.copy_from_slice(&message.payload);
                        let (position, stream) = (Some(loan.position()), sending.source.identity);
                        let entry = Entry::new(channel, position, sequence, stream);
                        // Only there can another sender take the place of a message that was not sent.
                        sending.record.intend(match flavor {
                            Flavor::Mpmc => entry.with_sum_of(&message.payload),
                            _ => entry,
                        });
                        loan.commit()?;
                        break;
                    }
                    Err(error) => error,
                },
                () = self.stop.wait() => return Ok(false),
            };
            if error != SendError::Disconnected {
                return Err(error);
            }
            // The receiver that comes next gets what is in the channel.
            tokio::select! {
                peer = sending.sender.wait_for_peer_async() => peer?,
                () = self.stop.wait() => return Ok(false),
            }
        }
        sending.confirm(sequence);
        self.counts.messages.add(1);
        self.counts.bytes.add(message.payload.len() as u64);
        Ok(true)
    }
}

/// Returns why a message is not of the channel's type, if both have a schema.
fn foreign_schema(message: &Incoming, sender: &Sender) -> Option<String> {
    let (theirs, ours) = (message.schema, sender.schema());
    let is_foreign = theirs != 0 && ours != 0 && theirs != ours;
    is_foreign.then(|| format!("its schema is {theirs}, and that of the channel is {ours}"))
}

enum Drained {
    Ended,
    Gap,
}

#[cfg(test)]
mod tests;

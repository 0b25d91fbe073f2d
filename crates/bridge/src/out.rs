//! From a channel to a subject.
//!
//! Messages are received in place, published, and acknowledged in the channel when the engine has
//! acknowledged them and all before them. So a message leaves the channel only when it is stored, and a
//! bridge that is killed leaves all others to its successor, which receives them at the same positions and
//! publishes them with the same ids.
//!
//! *Why none is stored twice.* At most `in_flight` messages are published and not acknowledged in the
//! channel. At a start, and after every publish that failed, the route reads which of them are stored
//! (`stored.rs`), and does not publish those. A publish that was under way meanwhile has an id that the
//! engine recognises.
//!
//! *Why the order is that of the channel.* With strict order, each message names the one before, and the
//! engine refuses it if another one is the last. So after a message that was not stored none is stored,
//! until the route has read which is the last one, and goes on from there. If that is a message of someone
//! else without an id, the next one names none: all before it have an outcome. So such a message costs a
//! round, and no more.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use sysvring::untyped::{Batch, Receiver};
use sysvring::{Error, Flavor, RecvError, Redelivery, StreamState};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::channel;
use crate::config::{Order, OutRoute};
use crate::engine::{EngineError, Outgoing, Outlet};
use crate::message_id::{self, MessageId};
use crate::metrics::RouteCounts;
use crate::place::Place;
use crate::route_error::RouteError;
use crate::stop::Stop;
use crate::stored::Stored;
use crate::window::Window;

/// The time that acknowledgements may take when the bridge is to end.
const LINGER: Duration = Duration::from_secs(10);
/// Messages that are looked up at least, so that `in_flight` may be lowered between two runs.
const RECALL_MIN: usize = 4096;

/// What a route needs.
#[derive(Debug)]
pub struct OutLoop<'a, O> {
    /// The route.
    pub route: &'a OutRoute,
    /// The engine.
    pub outlet: O,
    /// What the route counts.
    pub counts: &'a RouteCounts,
    /// The order to end.
    pub stop: Stop,
    /// Whether the route ends with the stream of the channel.
    pub until_end: bool,
    /// The folder of the place.
    pub state: &'a Path,
}

/// A channel that was joined, and what is known about its messages.
struct Joined {
    nonce: u32,
    schema: u64,
    /// Whether messages are published in the order of their positions.
    is_ordered: bool,
    stored: Stored,
    /// The last message that was stored, which the next one names; `None` if that is another one's.
    last: Option<MessageId>,
    /// The number of messages up to which more of them come into a batch that is being stored.
    extend_to: usize,
}

impl<O: Outlet> OutLoop<'_, O> {
    /// Carries messages until the bridge is to end, or the stream of the channel has ended if that is
    /// asked for.
    ///
    /// # Errors
    /// [`RouteError`]; the channel has all messages that are not stored then.
    pub async fn run(&mut self) -> Result<(), RouteError> {
        let (channel, label) = (&self.route.channel, &self.route.label);
        let mut place = Place::open(self.state, &self.route.name)?;
        let attach = || place.options(channel::options(channel, label), channel, label)?.attach();
        let Some(mut receiver) = channel::join::<Receiver>(channel, &mut self.stop, attach).await?
        else {
            return Ok(());
        };
        if receiver.stat()?.redelivery != Redelivery::Unlimited {
            warn!("the channel limits deliveries: it gives messages up that killed bridges held");
        }
        let result = self.carry(&mut receiver).await;
        if let Err(error) = place.keep(&receiver, label) {
            warn!("{error}");
        }
        if let Err(error) = receiver.close() {
            warn!("leaving the channel: {error}");
        }
        result
    }

    async fn carry(&mut self, receiver: &mut Receiver) -> Result<(), RouteError> {
        let (id, schema) = (receiver.id(), receiver.schema());
        // The positions of an MPMC channel are not received in order where another receiver returns some.
        let is_ordered = receiver.flavor() != Flavor::Mpmc && self.route.order == Order::Strict;
        let nonce = message_id::nonce(id);
        let stored = Stored::default();
        let mut joined = Joined { nonce, schema, is_ordered, stored, last: None, extend_to: 0 };
        let mut stop = self.stop.clone();
        tokio::select! {
            synced = self.sync(&mut joined) => synced?,
            () = stop.wait() => return Ok(()),
        }
        self.counts.up.set(1);
        info!(channel = %id, subject = self.route.subject, "started");
        if receiver.flavor() == Flavor::Mpmc {
            self.recover(receiver, &mut joined).await?;
        }
        joined.extend_to = self.route.in_flight;
        while !self.stop.is_set() {
            let received = tokio::select! {
                () = self.stop.wait() => break,
                batch = receiver.recv_batch_ref_async(self.route.in_flight) => match batch {
                    Ok(batch) => self.pass_on(batch, &mut joined).await,
                    Err(error) => Err(error.into()),
                },
            };
            match received {
                Ok(()) => {}
                Err(RouteError::Channel(Error::Recv(RecvError::Disconnected))) => {
                    if self.until_end && receiver.stat()?.stream == StreamState::Ended {
                        break;
                    }
                    tokio::select! {
                        () = self.stop.wait() => break,
                        joined = receiver.wait_for_peer_async() => joined?,
                    }
                }
                Err(RouteError::Channel(Error::Recv(RecvError::Lagged { messages }))) => {
                    self.counts.missed.add(messages);
                    warn!(messages, "messages were overwritten before they were received");
                }
                Err(RouteError::Channel(Error::Recv(RecvError::Invalid { position }))) => {
                    warn!(position, "a message of an impossible length was discarded");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what a dead bridge had received before everything else: an MPMC channel hands that out last, to
    /// receivers that find nothing else, unless one of them returns a message.
    async fn recover(
        &mut self,
        receiver: &mut Receiver,
        joined: &mut Joined,
    ) -> Result<(), RouteError> {
        let orphaned = receiver.stat()?.orphaned;
        if orphaned == 0 {
            return Ok(());
        }
        let mut is_searching = false;
        // One by one, as each search finds one. The message that was returned is among them.
        for _ in 0..=orphaned + 1 {
            match receiver.try_recv_batch_ref(1) {
                Ok(new) if !is_searching && new.delivery_count() == 1 => is_searching = true,
                Ok(batch) => self.pass_on(batch, joined).await?,
                // The loop that follows meets the same error.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Stores a batch, and acknowledges it in the channel.
    async fn pass_on(
        &mut self,
        mut batch: Batch<'_>,
        joined: &mut Joined,
    ) -> Result<(), RouteError> {
        let mut stop = self.stop.clone();
        let lingered = async move {
            stop.wait().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            result = self.insist(&mut batch, joined) => result,
            () = lingered => Err(RouteError::Unacknowledged { messages: batch.len() }),
        }
    }

    /// Publishes a batch again and again, until all of it is stored.
    async fn insist(
        &mut self,
        batch: &mut Batch<'_>,
        joined: &mut Joined,
    ) -> Result<(), RouteError> {
        let mut backoff = Backoff::default();
        let mut stored = self.counts.messages.get();
        let mut result = self.attempt(batch, joined).await;
        loop {
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.is_permanent() || matches!(error, RouteError::Channel(_)) {
                return Err(error);
            }
            self.counts.failures.add(1);
            let before = std::mem::replace(&mut stored, self.counts.messages.get());
            if stored != before {
                backoff.reset();
            }
            if self.counts.up.get() == 1 {
                self.counts.up.set(0);
                warn!("{error}; the messages stay in the channel and are published again");
            }
            tokio::time::sleep(backoff.pause()).await;
            result = match self.sync(joined).await {
                Ok(()) => self.attempt(batch, joined).await,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Publishes those messages of a batch that are not stored, and acknowledges each one in the channel
    /// when it and all before it are stored. More messages of the channel come into the batch meanwhile.
    async fn attempt(
        &mut self,
        batch: &mut Batch<'_>,
        joined: &mut Joined,
    ) -> Result<(), RouteError> {
        let mut window = Window::with_capacity(self.route.in_flight);
        let result = self.slide(batch, &mut window, joined).await;
        // Of those behind the one that failed, some may be stored.
        for (position, is_stored) in batch.positions().zip(window.outcomes()) {
            if is_stored {
                joined.stored.add(position);
            }
        }
        joined.stored.keep(batch.positions());
        self.counts.in_flight.set(0);
        result
    }

    /// Does so up to the first message that is not stored.
    async fn slide(
        &mut self,
        batch: &mut Batch<'_>,
        window: &mut Window<O>,
        joined: &mut Joined,
    ) -> Result<(), RouteError> {
        while !batch.is_empty() {
            for (message, position) in batch.iter().zip(batch.positions()).skip(window.len()) {
                let id = MessageId { nonce: joined.nonce, position };
                if joined.stored.contains(position) {
                    self.counts.duplicates.add(1);
                    window.push_stored();
                    continue;
                }
                let after = joined.last.filter(|_| self.route.order == Order::Strict);
                let payload = Bytes::copy_from_slice(message);
                let message = Outgoing { id, after, schema: joined.schema, payload };
                window.push(self.outlet.publish(message).await?);
                joined.last = Some(id);
            }
            self.counts.in_flight.set(window.len() as u64);
            let stored = window.advance(&mut self.outlet).await?;
            if self.counts.up.get() == 0 {
                self.counts.up.set(1);
                info!("the server stores messages again");
            }
            let bytes = batch.iter().take(stored).map(|message| message.len() as u64).sum();
            self.counts.bytes.add(bytes);
            self.counts.messages.add(stored as u64);
            if !self.stop.is_set() {
                batch.extend(joined.extend_to + stored);
            }
            batch.ack_first(stored)?;
        }
        Ok(())
    }

    /// Reads which messages of the channel are stored.
    async fn sync(&mut self, joined: &mut Joined) -> Result<(), EngineError> {
        let recalled = self.outlet.recall(self.route.in_flight.max(RECALL_MIN)).await?;
        joined.stored.learn(&recalled, joined.nonce, joined.is_ordered);
        joined.last = recalled.last;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Reading from a stream.

use std::fmt;
use std::time::Duration;

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamByNameErrorKind};
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::jetstream::message::{Acker, PublishMessage};
use async_nats::jetstream::stream::{ConsumerErrorKind, RetentionPolicy, Stream};
use futures_util::StreamExt;
use tokio::sync::watch;

use super::connect::Connection;
use super::{TIMEOUT, find_stream, header, unanswered};
use crate::config::InRoute;
use crate::engine::{EngineError, Incoming, Inlet, Source};

/// The time after which the server delivers a message again that was not acknowledged. A full channel may
/// hold messages up for long, and a bridge that starts makes the consumer anew anyway.
const ACK_WAIT: Duration = Duration::from_secs(3600);
/// The time after which a request for messages ends and is made again.
const EXPIRES: Duration = Duration::from_secs(30);
/// The time within which the server says that it is there, half of that after which it counts as gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What the description of a consumer begins with that a bridge may remove.
const DESCRIPTION: &str = "sysvring-bridge";

/// Delivers the messages of one route.
#[derive(Debug)]
pub struct NatsInlet {
    context: Context,
    route: InRoute,
    consumer: Option<Consumer>,
    /// When the stream was made: its identity.
    created: u64,
    /// Counts how often the connection was lost.
    losses: watch::Receiver<u64>,
}

/// The consumer that was made last.
struct Consumer {
    messages: pull::Stream,
    /// Whether each message is acknowledged, and not all up to the last one.
    is_explicit: bool,
    unacknowledged: Vec<Acker>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("is_explicit", &self.is_explicit).finish_non_exhaustive()
    }
}

impl NatsInlet {
    /// Returns an inlet for a route.
    pub fn new(connection: &Connection, route: &InRoute) -> NatsInlet {
        let context = ContextBuilder::new()
            .timeout(TIMEOUT)
            .ack_timeout(TIMEOUT)
            .build(connection.client.clone());
        NatsInlet {
            context,
            route: route.clone(),
            consumer: None,
            created: 0,
            losses: connection.losses.clone(),
        }
    }

    async fn stream(&self) -> Result<Stream, EngineError> {
        let stream = find_stream(&self.context, &self.route.stream).await?;
        match stream.cached_info().config.retention {
            RetentionPolicy::Interest => Err(EngineError::Misconfigured(format!(
                "stream {:?} deletes messages for which there is no consumer (retention interest), and \
                 the bridge makes its consumer anew when it starts; use a stream with retention limits \
                 or workqueue, for example one that has this one as its source",
                self.route.stream
            ))),
            _ => {
                self.check_subject(&stream)?;
                Ok(stream)
            }
        }
    }

    /// Checks that the stream can have messages of the route's subject.
    fn check_subject(&self, stream: &Stream) -> Result<(), EngineError> {
        let config = &stream.cached_info().config;
        let is_own = config.mirror.is_none() && config.sources.as_ref().is_none_or(Vec::is_empty);
        match &self.route.subject {
            Some(wanted) if is_own && !config.subjects.iter().any(|own| overlap(own, wanted)) => {
                Err(EngineError::Refused(format!(
                    "stream {:?} stores {:?}, and nothing of the subject {wanted:?}; correct one of them",
                    self.route.stream, config.subjects
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks that rejected messages do not come back to this route.
    async fn check_reject_to(&self) -> Result<(), EngineError> {
        let Some(subject) = &self.route.reject_to else { return Ok(()) };
        let is_read = self.route.subject.as_deref().is_none_or(|filter| overlap(filter, subject));
        match self.context.stream_by_subject(subject.clone()).await {
            Ok(stream) if is_read && stream == self.route.stream => {
                Err(EngineError::Misconfigured(format!(
                    "reject_to {subject:?} is stored in stream {stream:?}, from which the route receives it \
                     again; give reject_to another stream, or the route a subject that leaves it out"
                )))
            }
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => {
                Err(EngineError::Refused(format!(
                    "no stream stores reject_to {subject:?}; create one that does"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a consumer is of a bridge, as it is removed to start anew.
    fn check_owner(&self, description: Option<&str>) -> Result<(), EngineError> {
        match description.is_some_and(|text| text.starts_with(DESCRIPTION)) {
            true => Ok(()),
            false => Err(EngineError::Misconfigured(format!(
                "consumer {:?} of stream {:?} was not made by a bridge; give the route another consumer, or \
                 remove that one",
                self.route.consumer, self.route.stream
            ))),
        }
    }

    fn config(&self, after: u64, is_task_queue: bool) -> pull::Config {
        pull::Config {
            durable_name: Some(self.route.consumer.clone()),
            description: Some(format!("{DESCRIPTION} {}", self.route.label)),
            filter_subject: self.route.subject.clone().unwrap_or_default(),
            // A stream of tasks deletes what is acknowledged, and admits no other start.
            deliver_policy: match after {
                _ if is_task_queue => DeliverPolicy::All,
                0 => DeliverPolicy::All,
                after => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            },
            ack_policy: if is_task_queue { AckPolicy::Explicit } else { AckPolicy::All },
            ack_wait: ACK_WAIT,
            max_ack_pending: self.route.in_flight as i64,
            ..Default::default()
        }
    }
}

/// Returns whether some subject fits both of two patterns, whose words may be wildcards.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

impl Inlet for NatsInlet {
    async fn locate(&mut self) -> Result<Source, EngineError> {
        self.consumer = None;
        let stream = self.stream().await?;
        self.check_reject_to().await?;
        let created = stream.cached_info().created.unix_timestamp_nanos();
        self.created = created as u64;
        let floor = match stream.consumer_info(&self.route.consumer).await {
            Ok(info) => {
                self.check_owner(info.config.description.as_deref())?;
                Some(info.ack_floor.stream_sequence)
            }
            Err(error) => match error.kind() {
                ConsumerInfoErrorKind::NotFound => None,
                _ => return Err(unanswered("the state of the consumer", error)),
            },
        };
        let end = stream.cached_info().state.last_sequence;
        Ok(Source { identity: created as u64, floor, end })
    }

    async fn start(&mut self, after: u64) -> Result<u64, EngineError> {
        self.consumer = None;
        self.losses.mark_unchanged();
        let stream = self.stream().await?;
        let name = &self.route.consumer;
        let is_task_queue = stream.cached_info().config.retention == RetentionPolicy::WorkQueue;
        if let Err(error) = stream.delete_consumer(name).await {
            let is_missing = matches!(
                error.kind(),
                ConsumerErrorKind::JetStream(error)
                    if error.error_code() == async_nats::jetstream::ErrorCode::CONSUMER_NOT_FOUND
            );
            if !is_missing {
                return Err(unanswered("removing the consumer", error));
            }
        }
        let consumer = stream.create_consumer(self.config(after, is_task_queue)).await;
        let consumer = consumer.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(error) => {
                EngineError::Refused(format!("consumer {name:?}: {error}"))
            }
            _ => unanswered(&format!("consumer {name:?}"), error),
        })?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer
            .stream()
            .max_messages_per_batch(self.route.in_flight)
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| unanswered("the request for messages", error))?;
        self.consumer =
            Some(Consumer { messages, is_explicit: is_task_queue, unacknowledged: Vec::new() });
        Ok(pending)
    }

    async fn next(&mut self) -> Result<Incoming, EngineError> {
        let NatsInlet { consumer: Some(consumer), losses, .. } = self else {
            return Err(EngineError::Unreachable("not started".into()));
        };
        let failed = |error: &dyn std::fmt::Display| unanswered("no message arrives", error);
        let message = tokio::select! {
            biased;
            message = consumer.messages.next() => message,
            // What was on its way is delivered again late, or behind later ones.
            Ok(()) = losses.changed() => return Err(failed(&"the connection was lost")),
        };
        let message = match message {
            Some(message) => message.map_err(|error| failed(&error))?,
            None => return Err(failed(&"the server ended the delivery")),
        };
        let info = message.info().map_err(|error| failed(&error))?;
        let (sequence, delivery, behind) =
            (info.stream_sequence, info.consumer_sequence, info.pending);
        let (message, acker) = message.split();
        if !consumer.is_explicit {
            consumer.unacknowledged.clear();
        }
        consumer.unacknowledged.push(acker);
        let schema = header::schema(message.headers.as_ref());
        Ok(Incoming { sequence, delivery, behind, schema, payload: message.payload })
    }

    async fn acknowledge(&mut self) -> Result<(), EngineError> {
        let Some(consumer) = &mut self.consumer else { return Ok(()) };
        for acker in consumer.unacknowledged.drain(..) {
            acker.ack().await.map_err(|error| unanswered("an acknowledgement", error))?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), EngineError> {
        self.acknowledge().await?;
        let flushed = self.context.client().flush().await;
        flushed.map_err(|error| unanswered("the acknowledgements", error))
    }

    async fn reject(
        &mut self,
        message: &Incoming,
        subject: &str,
        reason: &str,
    ) -> Result<(), EngineError> {
        let origin = format!("{}:{}", self.route.stream, message.sequence);
        let mut headers = HeaderMap::new();
        // Another stream of this name has other messages of the same sequences.
        let id = format!("{origin}:{:x}:{}", self.created, self.route.consumer);
        headers.insert(NATS_MESSAGE_ID, id);
        headers.insert(header::REJECTED, reason);
        headers.insert(header::ORIGIN, origin);
        if message.schema != 0 {
            headers.insert(header::SCHEMA, message.schema.to_string());
        }
        let publish = PublishMessage::build().payload(message.payload.clone()).headers(headers);
        let failed = |error: &dyn std::fmt::Display| {
            EngineError::Refused(format!("reject_to {subject:?}: {error}; a stream must store it"))
        };
        let ack = self.context.send_publish(subject.to_owned(), publish).await;
        ack.map_err(|error| failed(&error))?.await.map_err(|error| failed(&error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn patterns_overlap_if_a_subject_fits_both() {
        for (one, other) in
            [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "*.b.c"), (">", "a"), ("a.*.c", "a.b.*")]
        {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("a.b", "a"), ("a.*", "a.b.c"), ("a.>", "a"), ("a.b", "a.c")] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}

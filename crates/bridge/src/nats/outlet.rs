//! Publishing to a subject.

use std::future::{Future, IntoFuture};

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_MESSAGE_ID};
use async_nats::jetstream::context::{
    Context, ContextBuilder, PublishAckFuture, PublishError as Failure, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RetentionPolicy;
use async_nats::subject::Subject;

use super::connect::Connection;
use super::{TIMEOUT, header, recall, unanswered};
use crate::config::{Order, OutRoute};
use crate::engine::{EngineError, Outgoing, Outlet, PublishError, Recalled};
use crate::message_id::MessageId;

/// Publishes the messages of one route.
#[derive(Debug)]
pub struct NatsOutlet {
    connection: Connection,
    context: Context,
    route: OutRoute,
    subject: Subject,
    /// The headers that all messages have.
    headers: HeaderMap,
    /// How often the connection had been lost when messages were last recalled.
    losses: u64,
}

impl NatsOutlet {
    /// Returns an outlet for a route.
    pub fn new(connection: &Connection, route: &OutRoute) -> NatsOutlet {
        let mut headers = HeaderMap::new();
        headers.insert(header::LABEL, route.label.as_str());
        NatsOutlet {
            context: context(connection, route),
            connection: connection.clone(),
            subject: route.subject.as_str().into(),
            headers,
            losses: *connection.losses.borrow(),
            route: route.clone(),
        }
    }

    /// Returns the name of the stream that stores the messages.
    async fn stream_name(&self) -> Result<String, EngineError> {
        let subject = &self.route.subject;
        let found = self.context.stream_by_subject(subject.clone()).await.map_err(|error| {
            use async_nats::jetstream::context::GetStreamByNameErrorKind as Kind;
            match error.kind() {
                Kind::NotFound => EngineError::Refused(format!(
                    "no stream stores the subject {subject:?}; create one that does"
                )),
                _ => unanswered(&format!("the stream of {subject:?}"), error),
            }
        })?;
        match &self.route.stream {
            Some(wanted) if *wanted != found => Err(EngineError::Misconfigured(format!(
                "the subject {subject:?} is stored by stream {found:?} and not by {wanted:?}; \
                 correct one of them"
            ))),
            _ => Ok(found),
        }
    }
}

/// Returns a context without publishes that await their acknowledgement.
fn context(connection: &Connection, route: &OutRoute) -> Context {
    ContextBuilder::new()
        .timeout(TIMEOUT)
        .ack_timeout(TIMEOUT)
        .max_ack_inflight(route.in_flight + 1)
        .build(connection.client.clone())
}

impl Outlet for NatsOutlet {
    type Stored = Stored;

    async fn publish(&mut self, message: Outgoing) -> Result<Stored, PublishError> {
        let mut headers = self.headers.clone();
        headers.insert(NATS_MESSAGE_ID, message.id.to_string());
        if message.schema != 0 {
            headers.insert(header::SCHEMA, message.schema.to_string());
        }
        if let Some(after) = message.after {
            headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, after.to_string());
        }
        let publish = PublishMessage::build().payload(message.payload).headers(headers);
        let sent = self.context.send_publish(self.subject.clone(), publish).await;
        let ack = sent.map_err(|error| refused(error, message.after))?;
        Ok(Stored { ack: ack.into_future(), after: message.after })
    }

    async fn recall(&mut self, count: usize) -> Result<Recalled, EngineError> {
        // Publishes that were given up hold their permits until they time out.
        self.context = context(&self.connection, &self.route);
        self.losses = *self.connection.losses.borrow_and_update();
        let name = self.stream_name().await?;
        let mut stream = super::find_stream(&self.context, &name).await?;
        let config = &stream.cached_info().config;
        let subject = &self.route.subject;
        let is_strict = self.route.order == Order::Strict;
        let is_alone = config.subjects == [subject.clone()]
            && config.sources.as_ref().is_none_or(Vec::is_empty)
            && config.mirror.is_none();
        if is_strict && !is_alone {
            return Err(EngineError::Misconfigured(format!(
                "order = \"strict\" needs a stream that stores the subject {subject:?} alone, and \
                 {name:?} stores {:?}; write order = \"relaxed\", or give the subject a stream of its \
                 own",
                config.subjects
            )));
        }
        // A refusal for the id before ends the replicas: they take it for a failed write.
        if is_strict && config.num_replicas > 1 {
            return Err(EngineError::Misconfigured(format!(
                "stream {name:?} has {} replicas, and servers stop such a stream when they refuse a message \
                 that is not in order; write order = \"relaxed\", or use a stream with one replica",
                config.num_replicas
            )));
        }
        let ids = match config.retention {
            RetentionPolicy::WorkQueue => recall::by_sequence(&mut stream, subject, count).await?,
            _ => recall::by_consumer(&mut stream, subject, count).await?,
        };
        let last = match is_strict {
            true => recall::last_stored(&self.context, &self.subject).await?,
            false => None,
        };
        Ok(Recalled { ids, last })
    }

    async fn disrupted(&mut self) {
        let seen = self.losses;
        if self.connection.losses.wait_for(|&losses| losses != seen).await.is_err() {
            // The client is gone, and every call fails.
            std::future::pending::<()>().await;
        }
    }
}

/// The acknowledgement of one message, in the future.
pub struct Stored {
    ack: <PublishAckFuture as IntoFuture>::IntoFuture,
    after: Option<MessageId>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Future for Stored {
    type Output = Result<(), PublishError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let after = self.after;
        self.ack.as_mut().poll(context).map(|ack| match ack {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error, after)),
        })
    }
}

fn refused(error: Failure, after: Option<MessageId>) -> PublishError {
    let error = match (error.kind(), after) {
        (PublishErrorKind::WrongLastMessageId, Some(expected)) => {
            return PublishError::OutOfOrder { expected };
        }
        (PublishErrorKind::StreamNotFound, _) => {
            EngineError::Refused("no stream stores the subject; create one that does".into())
        }
        (PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe, _) => {
            unanswered("a message was not acknowledged", &error)
        }
        (PublishErrorKind::MaxPayloadExceeded, _) => EngineError::Refused(format!(
            "{error}; raise max_payload of the server above the channel's slot size"
        )),
        _ => EngineError::Refused(format!("the server stores no message: {error}")),
    };
    PublishError::Engine(error)
}

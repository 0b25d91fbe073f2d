//! Finding out what a stream has stored.

use std::time::Duration;

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_MESSAGE_ID};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::subject::Subject;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use super::{TIMEOUT, unanswered};
use crate::engine::EngineError;
use crate::message_id::MessageId;

/// Requests that wait for an answer at the same time.
const AT_ONCE: usize = 64;
/// How long a consumer that is not read any more is kept by the server.
const KEPT: Duration = Duration::from_secs(30);

/// Returns the ids of the last messages of a subject, oldest first: at least `count`, if there are so many.
/// A consumer reads their headers.
pub(super) async fn by_consumer(
    stream: &mut Stream,
    subject: &str,
    count: usize,
) -> Result<Vec<MessageId>, EngineError> {
    let state = state(stream).await?;
    if state.messages == 0 {
        return Ok(Vec::new());
    }
    let mut distance = count as u64;
    loop {
        // Other subjects may be between those messages.
        let first = (state.last_sequence + 1).saturating_sub(distance).max(state.first_sequence);
        let consumer = stream
            .create_consumer(pull::Config {
                filter_subject: subject.into(),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first.max(1) },
                ack_policy: AckPolicy::None,
                headers_only: true,
                inactive_threshold: KEPT,
                memory_storage: true,
                num_replicas: 1,
                ..Default::default()
            })
            .await
            .map_err(|error| unanswered("the consumer that reads message ids", error))?;
        let found = consumer.cached_info().num_pending;
        if found < count as u64 && first > state.first_sequence {
            let _ = stream.delete_consumer(&consumer.cached_info().name).await;
            distance = distance.saturating_mul(4);
            continue;
        }
        let ids = read(&consumer, found).await;
        // It would end by itself.
        let _ = stream.delete_consumer(&consumer.cached_info().name).await;
        return ids;
    }
}

async fn read(
    consumer: &async_nats::jetstream::consumer::PullConsumer,
    count: u64,
) -> Result<Vec<MessageId>, EngineError> {
    let failed = |error: &dyn std::fmt::Display| unanswered("reading message ids", error);
    let late = |_| failed(&"the server did not answer in time");
    let mut ids = Vec::new();
    let (mut read, mut pending) = (0, count);
    while read < count && pending > 0 {
        let most = usize::try_from(count - read).unwrap_or(usize::MAX).min(1024);
        // The client waits without end for an answer that was lost with a connection.
        let batch = timeout(TIMEOUT, consumer.fetch().max_messages(most).messages()).await;
        let mut batch = batch.map_err(late)?.map_err(|error| failed(&error))?;
        let before = read;
        while let Some(message) = timeout(TIMEOUT, batch.next()).await.map_err(late)? {
            let message = message.map_err(|error| failed(&error))?;
            let info = message.info().map_err(|error| failed(&error))?;
            read += 1;
            pending = info.pending;
            if info.consumer_sequence != read {
                return Err(failed(&"an answer was lost"));
            }
            ids.extend(id(message.headers.as_ref()));
        }
        if read == before {
            return Err(failed(&"an answer was lost, or messages were removed meanwhile"));
        }
    }
    Ok(ids)
}

/// Does the same with requests for single messages, by sequence: a stream of tasks admits no other
/// consumer of a subject. Looks at the last `count` sequences.
pub(super) async fn by_sequence(
    stream: &mut Stream,
    subject: &str,
    count: usize,
) -> Result<Vec<MessageId>, EngineError> {
    let state = state(stream).await?;
    if state.messages == 0 {
        return Ok(Vec::new());
    }
    let end = state.last_sequence + 1;
    let first = end.saturating_sub(count as u64).max(state.first_sequence);
    let stream = &*stream;
    let one = |sequence| async move {
        match stream.get_raw_message(sequence).await {
            Ok(message) if &*message.subject == subject => Ok(id(Some(&message.headers))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unanswered("reading message ids", error)),
        }
    };
    let ids = stream::iter(first..end).map(one).buffered(AT_ONCE);
    ids.try_filter_map(|id| async move { Ok(id) }).try_collect().await
}

async fn state(stream: &mut Stream) -> Result<async_nats::jetstream::stream::State, EngineError> {
    let info = stream.info().await.map_err(|error| unanswered("the state of the stream", error))?;
    Ok(info.state.clone())
}

fn id(headers: Option<&HeaderMap>) -> Option<MessageId> {
    headers?.get(NATS_MESSAGE_ID)?.as_str().parse().ok()
}

/// Returns the id of the last message that the stream stored, also if it is not there any more. A message
/// that expects an impossible one before it is never stored, and the refusal names the last one.
pub(super) async fn last_stored(
    context: &Context,
    subject: &Subject,
) -> Result<Option<MessageId>, EngineError> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, "none");
    let probe = PublishMessage::build().headers(headers);
    let failed = |error: &dyn std::fmt::Display| unanswered("the last message id", error);
    let ack = context.send_publish(subject.clone(), probe).await.map_err(|error| failed(&error))?;
    let Err(error) = ack.await else {
        return Err(EngineError::Refused(
            "the stream stored a message that it should have refused; update the server".into(),
        ));
    };
    match error.kind() {
        PublishErrorKind::WrongLastMessageId => {
            let text = std::error::Error::source(&error).map(ToString::to_string);
            let text = text.unwrap_or_default();
            Ok(text.split([' ', ',']).find_map(|word| word.parse().ok()))
        }
        _ => Err(failed(&error)),
    }
}

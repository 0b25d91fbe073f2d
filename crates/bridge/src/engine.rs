//! What the bridge needs of an engine that stores messages: the traits that `nats` implements, and that
//! the tests implement in memory.

use std::future::Future;

use bytes::Bytes;

use crate::message_id::MessageId;

/// A message to be stored.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The id by which the engine recognises a message that it has stored already.
    pub id: MessageId,
    /// The message after which alone it may be stored; `None` for any.
    pub after: Option<MessageId>,
    /// The schema number of the channel; 0 for none.
    pub schema: u64,
    /// The message.
    pub payload: Bytes,
}

/// What the engine has stored of a subject.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    /// The ids of the last messages of the subject.
    pub ids: Vec<MessageId>,
    /// The id of the last message that was stored, whether or not it is still there. It is known only
    /// where nothing but this route is stored, and is `None` if it is not of this kind.
    pub last: Option<MessageId>,
}

/// A message that the engine delivered.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The place of the message in the stream.
    pub sequence: u64,
    /// The number of this delivery since the start, from 1.
    pub delivery: u64,
    /// The number of messages that were in the stream behind it at the time of the delivery.
    pub behind: u64,
    /// The schema number that came with it; 0 for none.
    pub schema: u64,
    /// The message.
    pub payload: Bytes,
}

/// Where the messages of an incoming route come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// A number that another stream of the same name does not have.
    pub identity: u64,
    /// The sequence up to which the engine knows that messages are acknowledged; `None` if it has no
    /// record of this route.
    pub floor: Option<u64>,
    /// The sequence of the last message that was stored.
    pub end: u64,
}

/// Stores the messages of one outgoing route.
pub trait Outlet: Send {
    /// The acknowledgement of one message, in the future.
    type Stored: Future<Output = Result<(), PublishError>> + Send + Unpin;

    /// Publishes a message, whose acknowledgement is awaited later. Messages arrive in the order of the
    /// calls.
    fn publish(
        &mut self,
        message: Outgoing,
    ) -> impl Future<Output = Result<Self::Stored, PublishError>> + Send;

    /// Returns what is stored: the last messages of the subject, at least `count` if there are so many.
    fn recall(
        &mut self,
        count: usize,
    ) -> impl Future<Output = Result<Recalled, EngineError>> + Send;

    /// Waits until the connection has been lost since the last call of `recall`: acknowledgements that are
    /// awaited may never come.
    fn disrupted(&mut self) -> impl Future<Output = ()> + Send;
}

/// Delivers the messages of one incoming route.
pub trait Inlet: Send {
    /// Looks for the stream, and for the place where the route is.
    fn locate(&mut self) -> impl Future<Output = Result<Source, EngineError>> + Send;

    /// Starts anew with the first message behind the sequence `after`. Returns the number of messages there.
    fn start(&mut self, after: u64) -> impl Future<Output = Result<u64, EngineError>> + Send;

    /// Returns the next delivery. A future that is dropped before it is ready has taken none.
    fn next(&mut self) -> impl Future<Output = Result<Incoming, EngineError>> + Send;

    /// Acknowledges all deliveries that `next` returned.
    fn acknowledge(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Does the same, and waits until the acknowledgements are on their way.
    fn settle(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Stores a message that the channel cannot take under another subject, and waits until it is stored.
    fn reject(
        &mut self,
        message: &Incoming,
        subject: &str,
        reason: &str,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// The reason why a message is not known to be stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Another message than the expected one was stored before it. It was not stored.
    #[error("another message is stored where {expected} was expected")]
    OutOfOrder {
        /// The message that was expected.
        expected: MessageId,
    },
    /// The engine did not take it, or it is not known whether it did.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The reason why an engine did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The server cannot be reached, or does not answer. It may answer later.
    #[error("{0}")]
    Unreachable(String),
    /// The server refused. It may accept later.
    #[error("{0}")]
    Refused(String),
    /// The routes file does not fit what is on the server. Trying again does not help.
    #[error("{0}")]
    Misconfigured(String),
}

//! Why a route stopped.

use sysvring::{Error, Fault, RecvError, SendError};

use crate::engine::{EngineError, PublishError};
use crate::state_file::StateError;

/// The reason why a route stopped. The bridge tries again, unless it
/// [is permanent](RouteError::is_permanent).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A call on the channel failed.
    #[error("channel: {0}")]
    Channel(Error),
    /// The engine did not do what it was asked to.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine stored a message out of order.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The file of the route in the state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The channel cannot take a message, and no subject is set for those.
    #[error(
        "message {sequence} of stream {stream:?} does not fit the channel: {reason}; set reject_to, \
             correct the channel, or remove the message"
    )]
    Rejected {
        /// The stream.
        stream: String,
        /// The sequence of the message.
        sequence: u64,
        /// Why it does not fit.
        reason: String,
    },
    /// Messages are not acknowledged although the bridge is to end.
    #[error(
        "{messages} messages were not acknowledged in time; they stay in the channel, and the next start \
             publishes those that the server has not stored"
    )]
    Unacknowledged {
        /// The number of messages.
        messages: usize,
    },
}

impl RouteError {
    /// Returns whether another attempt is of no use before an operator has changed something.
    pub fn is_permanent(&self) -> bool {
        match self {
            RouteError::Engine(EngineError::Misconfigured(_)) => true,
            RouteError::Publish(PublishError::Engine(EngineError::Misconfigured(_))) => true,
            RouteError::Channel(error) => matches!(
                error,
                Error::InvalidOption { .. }
                    | Error::TypeMismatch { .. }
                    | Error::LayoutVersion { .. }
            ),
            _ => false,
        }
    }

    /// Returns whether the channel was removed, which ends a handle in normal operation.
    pub fn is_removal(&self) -> bool {
        use RouteError::Channel;
        matches!(
            self,
            Channel(
                Error::Fault(Fault::Removed)
                    | Error::Send(SendError::Fault(Fault::Removed))
                    | Error::Recv(RecvError::Fault(Fault::Removed))
            )
        )
    }
}

impl From<Error> for RouteError {
    fn from(error: Error) -> RouteError {
        RouteError::Channel(error)
    }
}

impl From<SendError> for RouteError {
    fn from(error: SendError) -> RouteError {
        RouteError::Channel(error.into())
    }
}

impl From<RecvError> for RouteError {
    fn from(error: RecvError) -> RouteError {
        RouteError::Channel(error.into())
    }
}

//! Messages that are published and whose acknowledgements are awaited, in the order of publishing.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::FutureExt;

use crate::engine::{EngineError, Outlet, PublishError};

/// The outcomes of the messages of a batch, from its first one on.
#[derive(Debug)]
pub struct Window<O: Outlet>(VecDeque<Outcome<O::Stored>>);

#[derive(Debug)]
enum Outcome<S> {
    Awaited(S),
    Known(Result<(), PublishError>),
}

impl<S: Future<Output = Result<(), PublishError>> + Unpin> Outcome<S> {
    /// Returns the outcome, if it is known by now.
    fn poll(&mut self) -> Option<&Result<(), PublishError>> {
        if let Outcome::Awaited(ack) = self {
            *self = Outcome::Known(ack.now_or_never()?);
        }
        match self {
            Outcome::Known(outcome) => Some(outcome),
            Outcome::Awaited(_) => None,
        }
    }
}

impl<O: Outlet> Window<O> {
    /// Returns a window without messages.
    pub fn with_capacity(messages: usize) -> Window<O> {
        Window(VecDeque::with_capacity(messages))
    }

    /// Returns the number of messages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a message that was published.
    pub fn push(&mut self, ack: O::Stored) {
        self.0.push_back(Outcome::Awaited(ack));
    }

    /// Adds a message that is known to be stored.
    pub fn push_stored(&mut self) {
        self.0.push_back(Outcome::Known(Ok(())));
    }

    /// Waits until the first message is stored. Returns how many of the first ones are by then, and
    /// forgets these.
    ///
    /// # Errors
    /// Why the first message is not known to be stored.
    pub async fn advance(&mut self, outlet: &mut O) -> Result<usize, PublishError> {
        if let Some(first) = self.0.front_mut()
            && let Outcome::Awaited(ack) = first
        {
            let disrupted = pin!(outlet.disrupted());
            let outcome = tokio::select! {
                biased;
                outcome = ack => outcome,
                () = disrupted => return Err(lost()),
            };
            *first = Outcome::Known(outcome);
        }
        let mut stored = 0;
        while let Some(outcome) = self.0.get_mut(stored).and_then(Outcome::poll) {
            match outcome {
                Ok(()) => stored += 1,
                Err(error) if stored == 0 => return Err(error.clone()),
                // The next call returns it.
                Err(_) => break,
            }
        }
        self.0.drain(..stored);
        Ok(stored)
    }

    /// Returns which messages are known to be stored by now, from the first one on.
    pub fn outcomes(&mut self) -> impl Iterator<Item = bool> {
        self.0.iter_mut().map(|outcome| matches!(outcome.poll(), Some(Ok(()))))
    }
}

fn lost() -> PublishError {
    EngineError::Unreachable("the connection was lost before all messages were acknowledged".into())
        .into()
}

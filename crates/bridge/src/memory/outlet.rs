//! Storing in memory.

use std::future::{Ready, ready};

use super::Stream;
use crate::engine::{EngineError, Outgoing, Outlet, PublishError, Recalled};

/// Stores the messages of a route in a stream.
#[derive(Debug)]
pub struct MemoryOutlet {
    /// The stream.
    pub stream: Stream,
    /// Whether the last message id is known, as with strict order.
    pub is_strict: bool,
}

fn unreachable() -> EngineError {
    EngineError::Unreachable("the test has it so".into())
}

impl Outlet for MemoryOutlet {
    type Stored = Ready<Result<(), PublishError>>;

    async fn publish(&mut self, message: Outgoing) -> Result<Self::Stored, PublishError> {
        let mut contents = self.stream.contents();
        if contents.fails(40) {
            return Err(unreachable().into()); // It was not sent.
        }
        if contents.is_full || contents.fails(20) {
            return Ok(ready(Err(unreachable().into()))); // It did not arrive.
        }
        let recent = contents.messages.iter().rev().take(contents.window);
        if !recent.clone().any(|stored| stored.id == Some(message.id)) {
            let last = contents.messages.last().and_then(|stored| stored.id);
            if let Some(expected) = message.after
                && last != message.after
            {
                return Ok(ready(Err(PublishError::OutOfOrder { expected })));
            }
            contents.add(Some(message.id), message.schema, &message.payload);
        }
        if contents.fails(20) {
            return Ok(ready(Err(unreachable().into()))); // The acknowledgement did not arrive.
        }
        Ok(ready(Ok(())))
    }

    async fn recall(&mut self, count: usize) -> Result<Recalled, EngineError> {
        let mut contents = self.stream.contents();
        if contents.fails(4) {
            return Err(unreachable());
        }
        let first = contents.messages.len().saturating_sub(count);
        let ids = contents.messages[first..].iter().filter_map(|stored| stored.id).collect();
        let last = contents.messages.last().and_then(|stored| stored.id);
        Ok(Recalled { ids, last: last.filter(|_| self.is_strict) })
    }

    async fn disrupted(&mut self) {
        std::future::pending().await
    }
}

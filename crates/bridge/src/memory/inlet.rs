//! Delivering from memory.

use bytes::Bytes;

use super::{Stored, Stream};
use crate::engine::{EngineError, Incoming, Inlet, Source};

/// Delivers the messages of a stream.
#[derive(Debug)]
pub struct MemoryInlet {
    stream: Stream,
    /// The sequence of the last message that was delivered, and the number of deliveries.
    at: u64,
    deliveries: u64,
}

impl MemoryInlet {
    /// Returns an inlet of a stream.
    pub fn new(stream: &Stream) -> MemoryInlet {
        MemoryInlet { stream: stream.clone(), at: 0, deliveries: 0 }
    }
}

fn unreachable() -> EngineError {
    EngineError::Unreachable("the test has it so".into())
}

impl Inlet for MemoryInlet {
    async fn locate(&mut self) -> Result<Source, EngineError> {
        let contents = self.stream.contents();
        let end = contents.messages.len() as u64;
        Ok(Source { identity: contents.identity, floor: contents.floor, end })
    }

    async fn start(&mut self, after: u64) -> Result<u64, EngineError> {
        let mut contents = self.stream.contents();
        // The old consumer is gone, also if the new one is not made.
        contents.floor = None;
        if contents.fails(4) {
            return Err(unreachable());
        }
        contents.floor = Some(after);
        (self.at, self.deliveries) = (after, 0);
        Ok((contents.messages.len() as u64).saturating_sub(after))
    }

    async fn next(&mut self) -> Result<Incoming, EngineError> {
        if self.stream.contents().messages.len() as u64 == self.at {
            return std::future::pending().await;
        }
        let mut contents = self.stream.contents();
        let count = contents.messages.len() as u64;
        if contents.fails(50) {
            return Err(unreachable());
        }
        if contents.fails(20) {
            self.at = self.at.saturating_sub(2); // Some are delivered again.
        }
        if contents.fails(20) && self.at + 1 < count {
            (self.at, self.deliveries) = (self.at + 1, self.deliveries + 1); // One is lost.
        }
        (self.at, self.deliveries) = (self.at + 1, self.deliveries + 1);
        let Stored { schema, payload, .. } = contents.messages[self.at as usize - 1].clone();
        let payload = Bytes::from(payload);
        let (sequence, delivery, behind) = (self.at, self.deliveries, count - self.at);
        Ok(Incoming { sequence, delivery, behind, schema, payload })
    }

    async fn acknowledge(&mut self) -> Result<(), EngineError> {
        let mut contents = self.stream.contents();
        if contents.fails(3) {
            return Ok(()); // It is lost.
        }
        contents.floor = contents.floor.max(Some(self.at));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), EngineError> {
        self.acknowledge().await
    }

    async fn reject(
        &mut self,
        message: &Incoming,
        _subject: &str,
        _reason: &str,
    ) -> Result<(), EngineError> {
        let mut contents = self.stream.contents();
        if contents.fails(2) {
            return Err(unreachable());
        }
        contents.rejected.push(message.payload.to_vec());
        Ok(())
    }
}

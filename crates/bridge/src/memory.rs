//! An engine in memory, whose failures the tests choose.

mod inlet;
mod outlet;

use std::sync::{Arc, Mutex, MutexGuard};

pub use self::inlet::MemoryInlet;
pub use self::outlet::MemoryOutlet;
use crate::message_id::MessageId;

/// A stream with one subject.
#[derive(Clone, Debug, Default)]
pub struct Stream(Arc<Mutex<Contents>>);

/// What a stream holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The messages, the first with sequence 1.
    pub messages: Vec<Stored>,
    /// The messages under the subject for rejected ones.
    pub rejected: Vec<Vec<u8>>,
    /// The sequence up to which messages are acknowledged; `None` without a consumer.
    pub floor: Option<u64>,
    /// A number that another stream does not have.
    pub identity: u64,
    /// Ids that are recognised: the last so many messages.
    pub window: usize,
    /// Whether nothing is stored.
    pub is_full: bool,
    /// The random numbers of failures.
    pub random: Option<fastrand::Rng>,
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id; `None` for one of someone else.
    pub id: Option<MessageId>,
    /// Its schema number.
    pub schema: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Stream {
    /// Returns an empty stream whose failures follow from a seed; `None` for no failures.
    pub fn new(seed: Option<u64>) -> Stream {
        let random = seed.map(fastrand::Rng::with_seed);
        Stream(Arc::new(Mutex::new(Contents {
            random,
            window: 4,
            identity: 1,
            ..Contents::default()
        })))
    }

    /// Returns what it holds.
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    /// Returns the numbers that its messages are.
    pub fn numbers(&self) -> Vec<u64> {
        let number = |message: &Stored| u64::from_ne_bytes(message.payload[..].try_into().unwrap());
        self.contents().messages.iter().map(number).collect()
    }
}

impl Contents {
    /// Returns true once in so many calls, if there are failures.
    pub fn fails(&mut self, once_in: u32) -> bool {
        self.random.as_mut().is_some_and(|random| random.u32(..once_in) == 0)
    }

    /// Adds a message.
    pub fn add(&mut self, id: Option<MessageId>, schema: u64, payload: &[u8]) {
        self.messages.push(Stored { id, schema, payload: payload.into() });
    }
}

//! What the routes count, and its text for Prometheus.

mod server;
mod text;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

pub use self::server::serve;
pub use self::text::text;

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one route counts since the bridge started.
#[derive(Debug, Default)]
pub struct RouteCounts {
    /// Messages that left the channel, as the engine has stored them, or were sent into it.
    pub messages: Counter,
    /// Bytes of these messages.
    pub bytes: Counter,
    /// Times that a message was found to have arrived before, and was acknowledged only.
    pub duplicates: Counter,
    /// Messages that the channel could not take, and that were stored elsewhere.
    pub rejected: Counter,
    /// Messages of a broadcast channel that were overwritten before they were received.
    pub missed: Counter,
    /// Attempts that failed and are made again.
    pub failures: Counter,
    /// Messages that are published or delivered and not acknowledged.
    pub in_flight: Counter,
    /// 1 while the route works, 0 while it waits or tries again.
    pub up: Counter,
}

/// The counts of one route, with its name and direction.
#[derive(Clone, Debug)]
pub struct Route {
    /// `out` or `in`.
    pub direction: &'static str,
    /// The name of the route.
    pub name: String,
    /// The counts.
    pub counts: Arc<RouteCounts>,
}

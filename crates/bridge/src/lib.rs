//! Carries the messages of sysvring channels from one machine to another over NATS JetStream.
//!
//! A route goes out, from a channel to a subject ([`out`]), or in, from a subject to a channel
//! ([`inward`]). Both are generic over the engine that stores messages ([`engine`]); [`nats`] is the one
//! that there is. [`bridge`] runs the routes of a [`config::Config`].

#![deny(missing_docs, missing_debug_implementations)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable),
    deny(clippy::todo, clippy::dbg_macro)
)]

pub mod arguments;
mod backoff;
pub mod bridge;
mod channel;
mod check;
pub mod config;
pub mod engine;
pub mod inward;
pub mod log;
#[cfg(test)]
mod memory;
mod message_id;
pub mod metrics;
pub mod nats;
pub mod out;
mod place;
mod record;
mod resume;
mod route_error;
mod state_file;
mod stop;
mod stored;
mod supervise;
#[cfg(test)]
mod testing;
mod window;

pub use message_id::{MessageId, NotAnId};

pub use route_error::RouteError;
pub use state_file::StateError;
pub use stop::{Stop, Stopper, channel as stop_channel};

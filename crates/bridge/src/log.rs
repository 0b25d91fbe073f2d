//! The log on standard error.

use std::io;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::prelude::*;

use crate::arguments::LogFormat;

/// What is logged if nothing is chosen. The client logs what this program logs with its route.
const DEFAULT: &str = "info,async_nats=error";

/// Starts the log with the directives of the command line, or those of `RUST_LOG`.
///
/// # Errors
/// What is wrong with the directives.
pub fn start(directives: Option<&str>, format: LogFormat) -> Result<(), String> {
    let chosen = directives.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok());
    let filter = EnvFilter::try_new(chosen.as_deref().unwrap_or(DEFAULT));
    let filter = filter.map_err(|error| error.to_string())?.and(filter_fn(is_safe));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            registry.with(layer.with_ansi(false).with_target(false).with_filter(filter)).init();
        }
        LogFormat::Json => registry.with(layer.json().with_filter(filter)).init(),
    }
    Ok(())
}

/// Returns whether an event may be logged: in its details, the client logs tokens and passwords.
fn is_safe(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("async_nats") || *event.level() <= Level::INFO
}

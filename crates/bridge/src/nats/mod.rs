//! NATS JetStream as the engine.

mod connect;
mod header;
mod inlet;
mod outlet;
mod recall;

use std::time::Duration;

pub use self::connect::{ConnectError, Connection, connect};
pub use self::inlet::NatsInlet;
pub use self::outlet::NatsOutlet;
use crate::engine::EngineError;

/// The time within which the server must answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the error of a request that was not answered, or answered with an error.
fn unanswered(what: &str, error: impl std::fmt::Display) -> EngineError {
    let error = error.to_string();
    let remedy = match error.contains("requested JetStream resource does not exist") {
        true => "; start the server with --jetstream",
        false if error.contains("timed out") => {
            "; look whether the server runs, and permits this request to the user of the bridge"
        }
        false => "",
    };
    EngineError::Unreachable(format!("{what}: {error}{remedy}"))
}

/// Looks for a stream.
async fn find_stream(
    context: &async_nats::jetstream::Context,
    name: &str,
) -> Result<async_nats::jetstream::stream::Stream, EngineError> {
    use async_nats::jetstream::context::GetStreamErrorKind;
    context.get_stream(name).await.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(error) => EngineError::Refused(format!(
            "stream {name:?}: {error}; create the stream, or correct its name"
        )),
        _ => unanswered(&format!("stream {name:?}"), error),
    })
}

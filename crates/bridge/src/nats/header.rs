//! The headers of a message.

use async_nats::header::{HeaderMap, HeaderName};

/// The schema number of its channel, if it has one.
pub(super) const SCHEMA: HeaderName = HeaderName::from_static("Sysvring-Schema");
/// The label of the bridge that published it.
pub(super) const LABEL: HeaderName = HeaderName::from_static("Sysvring-Label");
/// Why a message was rejected.
pub(super) const REJECTED: HeaderName = HeaderName::from_static("Sysvring-Rejected");
/// The stream and the sequence of a message that was rejected.
pub(super) const ORIGIN: HeaderName = HeaderName::from_static("Sysvring-Origin");

/// Returns the schema number that came with a message; 0 for none.
pub(super) fn schema(headers: Option<&HeaderMap>) -> u64 {
    headers
        .and_then(|headers| headers.get(SCHEMA))
        .and_then(|schema| schema.as_str().parse().ok())
        .unwrap_or(0)
}

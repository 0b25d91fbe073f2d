//! How times are serialised: as seconds since 1970, with a fraction.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// Writes a time as a number of seconds, rounded to a microsecond: as exact as 64 bits hold it.
pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(seconds(*time))
}

/// Does the same for a time that may be missing.
pub(crate) fn serialize_option<S: Serializer>(
    time: &Option<SystemTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(seconds).serialize(to)
}

/// Returns 0 for a clock that is set to a time before 1970.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    ((since.as_nanos() + 500) / 1000) as f64 / 1e6
}

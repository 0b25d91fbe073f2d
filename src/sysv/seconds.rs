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

fn seconds(time: SystemTime) -> f64 {
    let micros = |time: std::time::Duration| (time.as_nanos() + 500) / 1000;
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since) as f64 / 1e6,
        Err(before) => -(micros(before.duration()) as f64) / 1e6,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_a_decimal_of_six_digits() {
        for (nanos, text) in [
            (0, "0"),
            (1_796_025_600_123_456_000, "1796025600.123456"),
            (1_796_025_600_123_456_499, "1796025600.123456"),
            (1_796_025_600_123_456_501, "1796025600.123457"),
            (1_796_025_600_999_999_999, "1796025601"),
            (1_796_025_600_000_001_000, "1796025600.000001"),
        ] {
            let after = UNIX_EPOCH + Duration::from_nanos(nanos);
            assert_eq!(seconds(after).to_string(), text);
            if nanos != 0 {
                let before = UNIX_EPOCH - Duration::from_nanos(nanos);
                assert_eq!(seconds(before).to_string(), format!("-{text}"));
            }
        }
    }
}

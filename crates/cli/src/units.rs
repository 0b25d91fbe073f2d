//! Sizes, numbers, times and rates: as people read them, and as they write them.

use std::time::{Duration, SystemTime};

/// Returns a size, as `lsipc` prints sizes: powers of 1024, at most one decimal.
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "K", "M", "G", "T", "P", "E"])
}

/// Returns a number, with `k`, `M` and so on for thousands.
pub fn number(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        n => scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"]),
    }
}

/// Returns a number in full, with a word that fits it.
pub fn counted(n: u64, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

/// Returns a number of events a second.
pub fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".into(),
        r if r < 10.0 => format!("{r:.1}"),
        r => scaled(r, 1000.0, &["", "k", "M", "G", "T"]),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, 0);
    // What would be rounded to the next unit is shown in that unit.
    while value >= base - 0.05 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let text = if unit == 0 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{}{}", text.strip_suffix(".0").unwrap_or(&text), units[unit])
}

/// Returns a duration in its largest unit, with the next one if it is small: `5.2s`, `3m`, `2h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() == 0 => format!("{}us", duration.as_micros()),
        0 => format!("{}ms", duration.as_millis()),
        1..10 => {
            let text = format!("{:.1}", (duration.as_millis() / 100) as f64 / 10.0);
            format!("{}s", text.strip_suffix(".0").unwrap_or(&text))
        }
        10..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns how long ago a time was. A time in the future was now: clocks are set.
pub fn age(then: SystemTime) -> String {
    duration(then.elapsed().unwrap_or_default())
}

/// Returns a time in UTC, as RFC 3339 writes it, to the millisecond.
pub fn time(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => "?".into(),
    }
}

/// Reads a duration: `500ms`, `1.5s`, `2m`, `1h`, `1d`; a number alone is seconds, as for
/// timeout(1).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err("the unit must be us, ms, s, m, h or d".into()),
    };
    let number: f64 = digits.parse().map_err(|_| "it must be a number, such as 5s or 500ms")?;
    Duration::try_from_secs_f64(number * scale)
        .map_err(|_| "it must be a duration that is not negative".into())
}

/// Reads a number of bytes: `4096`, `64K`, `1M`, `2G`, also `KiB` and so on.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err("the unit must be K, M or G".into()),
    };
    let number: usize = digits.parse().map_err(|_| "it must be a number, such as 4096 or 64K")?;
    number.checked_mul(1 << shift).ok_or_else(|| "it is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_short() {
        let sizes = [0, 1023, 1024, 69_888, 1 << 20, (1 << 20) - 1, 3 << 29, u64::MAX];
        let shown = ["0B", "1023B", "1K", "68.2K", "1M", "1M", "1.5G", "16E"];
        assert_eq!(sizes.map(size), shown);
        assert_eq!(
            [9_999, 10_000, 999_950, 12_345_678].map(number),
            ["9999", "10k", "1M", "12.3M"]
        );
        assert_eq!([0.0, 0.25, 9.94, 950.0, 1.25e6].map(rate), ["0", "0.2", "9.9", "950", "1.2M"]);
    }

    #[test]
    fn one_thing_is_not_many() {
        let messages = |n| counted(n, "message", "messages");
        assert_eq!([0, 1, 2].map(messages), ["0 messages", "1 message", "2 messages"]);
    }

    #[test]
    fn durations_have_one_unit() {
        let shown = |seconds: f64| duration(Duration::from_secs_f64(seconds));
        assert_eq!([0.000_05, 0.25, 5.25, 60.0].map(shown), ["50us", "250ms", "5.2s", "60s"]);
        assert_eq!(shown(2.0), "2s");
        assert_eq!([600.0, 7_200.0, 200_000.0].map(shown), ["10m", "2h", "2d"]);
        assert_eq!(age(SystemTime::now() + Duration::from_secs(9)), "0us");
    }

    #[test]
    fn a_time_is_written_as_in_rfc_3339() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(time(then), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn durations_and_sizes_are_read() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("5"), Ok(5.0));
        assert_eq!(seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("1.5m"), Ok(90.0));
        for wrong in ["", "s", "-1", "5x", "1e400", "nan"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        for wrong in ["", "K", "1x", "-1", "99999999999G", "1.5K"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}

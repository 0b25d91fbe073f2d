//! The amount of work, as the command line sets it.

use std::sync::OnceLock;
use std::time::Duration;

/// The watchdog of one test.
const WATCHDOG: Duration = Duration::from_secs(8 * 3_600);

#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The duration of scribbling for each kind of channel.
    pub seconds: u64,
    /// One of this many pairs of bits is flipped. With 1, all pairs are flipped and bytes get all
    /// values.
    pub every: u64,
}

impl Scale {
    /// Returns whether bytes get all values instead of some.
    pub fn all_values(self) -> bool {
        self.every == 1
    }
}

static SCALE: OnceLock<Scale> = OnceLock::new();

/// Returns the scale of this run.
pub fn scale() -> Scale {
    *SCALE.get().expect("set up first")
}

/// Takes the numbers off the command line. Returns the watchdog.
pub fn set_up(arguments: &mut Vec<String>) -> Result<Duration, String> {
    // Primes, so that no periodic pattern of the layout is missed.
    let every = if cfg!(debug_assertions) { 10_007 } else { 997 };
    let mut scale = Scale { seconds: 2, every };
    let mut rest = Vec::new();
    let mut given = arguments.drain(..);
    while let Some(argument) = given.next() {
        let number = match argument.as_str() {
            "--seconds" => &mut scale.seconds,
            "--every" => &mut scale.every,
            _ => {
                rest.push(argument);
                continue;
            }
        };
        let text = given.next().ok_or(format!("{argument}: a number is missing"))?;
        *number = text.parse().map_err(|error| format!("{argument} {text}: {error}"))?;
    }
    drop(given);
    if scale.every == 0 {
        return Err("--every 0: it must be at least 1".into());
    }
    *arguments = rest;
    SCALE.set(scale).expect("set up once");
    Ok(WATCHDOG)
}

//! The amount of work, as the command line sets it.

use std::sync::OnceLock;
use std::time::Duration;

use sysvring_support::scale::take;

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

/// Takes the numbers off the command line. Returns the watchdog of one test.
pub fn set_up(arguments: &mut Vec<String>) -> Result<Duration, String> {
    let [seconds, every] = take(arguments, ["--seconds", "--every"])?;
    // Primes, so that no periodic pattern of the layout is missed.
    let every = every.unwrap_or(if cfg!(debug_assertions) { 20_011 } else { 997 });
    if every == 0 {
        return Err("--every 0: it must be at least 1".into());
    }
    SCALE.set(Scale { seconds: seconds.unwrap_or(2), every }).expect("set up once");
    Ok(Duration::from_secs(8 * 3_600))
}

//! How much of everything, by the command line.

use std::sync::OnceLock;
use std::time::Duration;

/// Of one test.
pub const WATCHDOG: Duration = Duration::from_secs(8 * 3_600);

#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Of scribbling, for each kind of channel.
    pub seconds: u64,
    /// Of the pairs of bits every so manieth is flipped. 1 stands for all of them, and for all values
    /// of a byte.
    pub every: u64,
}

impl Scale {
    /// Whether bytes get every value, not some.
    pub fn all_values(self) -> bool {
        self.every == 1
    }
}

static SCALE: OnceLock<Scale> = OnceLock::new();

/// The scale of this run.
pub fn scale() -> Scale {
    *SCALE.get().expect("set up first")
}

/// Takes the numbers off the command line.
pub fn set_up(arguments: &mut Vec<String>) -> Result<(), String> {
    // Primes: no pattern of the layout hides behind them.
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
    Ok(())
}

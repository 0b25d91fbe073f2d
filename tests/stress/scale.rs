//! The amount of work, as the command line sets it.

use std::sync::OnceLock;
use std::time::Duration;

use sysvring_support::scale::take;

/// What a test must reach before it is over.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The duration of random kills.
    pub seconds: u64,
    pub kills: u64,
    pub messages: u64,
    /// The number of deaths without parked waiters.
    pub deaths: u64,
    /// The number of times that all members are killed during creation.
    pub cycles: u64,
    /// The number of streams of each flavor.
    pub rounds: u64,
}

static SCALE: OnceLock<Scale> = OnceLock::new();

/// Returns the scale of this run.
pub fn scale() -> Scale {
    *SCALE.get().expect("set up first")
}

/// Takes the numbers off the command line. Returns the watchdog of one test.
pub fn set_up(arguments: &mut Vec<String>) -> Result<Duration, String> {
    let options = ["--seconds", "--kills", "--messages", "--deaths", "--cycles", "--rounds"];
    let [seconds, kills, messages, deaths, cycles, rounds] = take(arguments, options)?;
    let scale = Scale {
        seconds: seconds.unwrap_or(if cfg!(debug_assertions) { 5 } else { 8 }),
        kills: kills.unwrap_or(400),
        messages: messages.unwrap_or(100_000),
        deaths: deaths.unwrap_or(6_000),
        cycles: cycles.unwrap_or(400),
        rounds: rounds.unwrap_or(200),
    };
    SCALE.set(scale).expect("set up once");
    Ok(Duration::from_secs(4 * 3_600))
}

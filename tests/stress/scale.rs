//! The amount of work, as the command line sets it.

use std::sync::OnceLock;
use std::time::Duration;

/// The watchdog of one test.
pub const WATCHDOG: Duration = Duration::from_secs(4 * 3_600);

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
}

static SCALE: OnceLock<Scale> = OnceLock::new();

/// Returns the scale of this run.
pub fn scale() -> Scale {
    *SCALE.get().expect("set up first")
}

/// Takes the numbers off the command line.
pub fn set_up(arguments: &mut Vec<String>) -> Result<(), String> {
    let mut scale = Scale { seconds: 8, kills: 400, messages: 100_000, deaths: 6_000, cycles: 400 };
    let mut rest = Vec::new();
    let mut given = arguments.drain(..);
    while let Some(argument) = given.next() {
        let number = match argument.as_str() {
            "--seconds" => &mut scale.seconds,
            "--kills" => &mut scale.kills,
            "--messages" => &mut scale.messages,
            "--deaths" => &mut scale.deaths,
            "--cycles" => &mut scale.cycles,
            _ => {
                rest.push(argument);
                continue;
            }
        };
        let text = given.next().ok_or(format!("{argument}: a number is missing"))?;
        *number = text.parse().map_err(|error| format!("{argument} {text}: {error}"))?;
    }
    drop(given);
    *arguments = rest;
    SCALE.set(scale).expect("set up once");
    Ok(())
}

//! The amount of work, as the command line sets it.

use std::sync::OnceLock;
use std::time::Duration;

use sysvring_support::scale::take;

/// What the random kills must reach, over all flavors, before they are over.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub kills: u64,
    pub messages: u64,
}

static SCALE: OnceLock<Scale> = OnceLock::new();

/// Returns the scale of this run.
pub fn scale() -> Scale {
    *SCALE.get().expect("set up first")
}

/// Takes the numbers off the command line. Returns the watchdog of one test.
pub fn set_up(arguments: &mut Vec<String>) -> Result<Duration, String> {
    let [kills, messages] = take(arguments, ["--kills", "--messages"])?;
    let is_long = kills.is_some() || messages.is_some();
    let scale = Scale { kills: kills.unwrap_or(60), messages: messages.unwrap_or(30_000) };
    SCALE.set(scale).expect("set up once");
    Ok(Duration::from_secs(if is_long { 4 * 3_600 } else { 170 }))
}

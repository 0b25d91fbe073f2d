//! Joining the channel of a route, which may not exist yet.

use std::time::Duration;

use sysvring::{Address, Error, Options};
use tracing::info;

use crate::stop::Stop;

/// The pause between two looks for a channel that does not exist.
const LOOK: Duration = Duration::from_millis(100);

/// Joins a channel; waits for one that does not exist. Returns `None` if the bridge is to end.
///
/// # Errors
/// The error of the attempt, which may succeed later.
pub async fn join<T>(
    channel: &Address,
    stop: &mut Stop,
    attach: impl Fn() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut is_reported = false;
    loop {
        match attach() {
            Ok(handle) => return Ok(Some(handle)),
            Err(Error::NotFound { .. }) if !is_reported => {
                info!(
                    channel = %channel,
                    "waiting for the channel, which does not exist; give owner in the route if it \
                     belongs to another user"
                );
                is_reported = true;
            }
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        if stop.pause(LOOK).await {
            return Ok(None);
        }
    }
}

/// Returns the options of a member with this label, which does not hold up others while it opens.
pub fn options(channel: &Address, label: &str) -> Options {
    Options::address(channel.clone()).label(label).open_timeout(Duration::from_millis(200))
}

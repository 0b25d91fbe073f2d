//! What survivors look at in channels of all kinds.

use std::time::{Duration, Instant};

use sysvring::Error;

use crate::steps::kernel;
use crate::steps::scene::Opened;
use crate::steps::violation::{Kind, Violation, no};

/// Opening waits for nobody dead: it takes a part of a millisecond on an idle machine.
const OPENED: Duration = Duration::from_millis(100);
/// Longer than anybody looks at a process.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// What came of opening: an end, at once.
pub fn opened<H>(result: Result<Opened<H>, Error>) -> Result<(H, Duration), Violation> {
    match result {
        Ok(Opened(_, time, watch)) if time > OPENED && time > OPENED + watch.excuse() => {
            no(Kind::Shut, format!("opening takes {time:?}"))
        }
        Ok(Opened(handle, time, _)) => Ok((handle, time)),
        Err(error) => no(Kind::Shut, format!("opening: {error}")),
    }
}

/// Nothing is in the kernel's tables that was not there before.
pub fn nothing_left(before: &[String]) -> Result<(), Violation> {
    let start = Instant::now();
    loop {
        let mut left = kernel::marked();
        left.retain(|line| !before.contains(line));
        if left.is_empty() {
            return Ok(());
        }
        // The memory of the dead lives on while somebody looks at it, as `ps` does.
        if start.elapsed() > LOOKED_AT {
            return no(Kind::Left, left.join("; "));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

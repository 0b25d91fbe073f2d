//! What survivors check in channels of all kinds.

use std::time::{Duration, Instant};

use sysvring::Error;

use crate::steps::kernel;
use crate::steps::peer::Peer;
use crate::steps::report::peer;
use crate::steps::scenario::{Opened, Scene};
use crate::steps::violation::{Kind, Moment, Violation, no};

/// The maximum time of an open, which never waits for a dead process. It takes a fraction of a
/// millisecond on an idle host.
const OPENED: Duration = Duration::from_millis(100);
/// Longer than any process inspects another one.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Checks that an open succeeded within a short time.
pub fn opened<H>(result: Result<Opened<H>, Error>) -> Result<(H, Duration), Violation> {
    match result {
        Ok(Opened(_, time, watch)) if time > OPENED && time > OPENED + watch.excuse() => {
            no(Kind::Shut, format!("opening takes {time:?}"))
        }
        Ok(Opened(handle, time, _)) => Ok((handle, time)),
        Err(error) => no(Kind::Shut, format!("opening: {error}")),
    }
}

/// Removes what is left of a channel that another process was removing.
pub fn remove_again(scene: &Scene) -> Result<(), Violation> {
    match sysvring::remove(scene.address()) {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => no(Kind::Left, format!("removing again: {error}")),
    }
}

/// Checks that a waiter parked in a channel wakes when it is removed, and gets that error.
pub fn told_of_removal(scene: &Scene, peer: Option<Peer>) -> Result<(), Violation> {
    let Some(peer) = peer else { return Ok(()) };
    let board = &scene.board;
    let moment = Moment::now(Some(&peer));
    if !moment.is_followed_by(|| board.peer.get() >= peer::SUCCEEDED) {
        return no(Kind::Asleep, "the waiter stays parked in a removed channel");
    }
    peer.fork.finish();
    match board.peer.get() {
        peer::REMOVED => Ok(()),
        how => no(Kind::Told, format!("the waiter got {how} {}", board.peer_text.get())),
    }
}

/// Checks that the kernel's tables contain nothing that was not there before.
pub fn nothing_left(before: &[String]) -> Result<(), Violation> {
    let start = Instant::now();
    loop {
        let mut left = kernel::marked();
        left.retain(|line| !before.contains(line));
        if left.is_empty() {
            return Ok(());
        }
        // The memory of a dead process persists while another process inspects it, as `ps` does.
        if start.elapsed() > LOOKED_AT {
            return no(Kind::Left, left.join("; "));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

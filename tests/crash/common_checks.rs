//! What survivors check in channels of all kinds.

use std::time::{Duration, Instant};

use sysvring::Error;
use sysvring_support::raw_ipc::{Object, marked, queues};
use sysvring_support::scheduler_noise::Watch;

use crate::steps::peer::Peer;
use crate::steps::report::peer;
use crate::steps::scenario::Scenario;
use crate::steps::violation::{Kind, Moment, Violation, no};

/// The maximum time of an open, which never waits for a dead process. It takes a fraction of a
/// millisecond on an idle host.
const OPENED: Duration = Duration::from_millis(100);
/// Longer than it takes to notice that a segment was removed.
const NOTICED: Duration = Duration::from_millis(1_300);
/// Longer than any process inspects another one.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Opens a handle as a survivor does, which must succeed within a short time. Returns that time,
/// too.
pub fn opened<H>(open: impl FnOnce() -> Result<H, Error>) -> Result<(H, Duration), Violation> {
    let (watch, start) = (Watch::start(&[]), Instant::now());
    let (opened, time) = (open(), start.elapsed());
    match opened {
        Ok(_) if time > OPENED && time > OPENED + watch.allowance() => {
            no(Kind::CannotOpen, format!("opening takes {time:?}"))
        }
        Ok(handle) => Ok((handle, time)),
        Err(error) => no(Kind::CannotOpen, format!("opening: {error}")),
    }
}

/// Removes what is left of a channel that another process was removing.
pub fn remove_again(scenario: &Scenario) -> Result<(), Violation> {
    match sysvring::remove(scenario.address()) {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => no(Kind::Leaked, format!("removing again: {error}")),
    }
}

/// Checks that a waiter parked in a channel wakes when it is removed, and gets that error.
pub fn notified_of_removal(scenario: &Scenario, peer: Option<Peer>) -> Result<(), Violation> {
    let Some(peer) = peer else { return Ok(()) };
    let shared = &scenario.shared;
    let moment = Moment::now(Some(&peer));
    let mut has_returned = moment.is_followed_by(|| shared.peer.get() >= peer::SUCCEEDED);
    if !has_returned && scenario.other.is_armed() {
        // The process that removed the segment was killed before it rang, and nobody else can: then
        // it is as if the segment had been removed by hand.
        let start = Instant::now();
        while !has_returned && start.elapsed() < NOTICED + moment.allowance() {
            std::thread::sleep(Duration::from_millis(1));
            has_returned = shared.peer.get() >= peer::SUCCEEDED;
        }
    }
    if !has_returned {
        return no(Kind::NotWoken, "the waiter stays parked in a removed channel");
    }
    peer.fork.finish();
    match shared.peer.get() {
        peer::REMOVED => Ok(()),
        how => no(Kind::WrongResult, format!("the waiter got {how} {}", shared.peer_text.get())),
    }
}

/// Returns all objects of this crate, and its message queues if there can be any.
pub fn objects(with_queues: bool) -> Vec<Object> {
    let mut all = marked();
    if with_queues {
        // A driver has its own namespace, so none of another test is among them.
        for name in queues().unwrap_or_default() {
            let number = name.rsplit('.').next().unwrap_or_default();
            let number = u64::from_str_radix(number, 16).unwrap_or(0);
            let (key, id) = ((number >> 32) as i32, number as i32);
            all.push(Object { table: "mqueue", key, id, mode: 0, owner: 0 });
        }
    }
    all
}

/// Checks that the kernel's tables contain nothing that was not there before.
pub fn nothing_left(before: &[Object], with_queues: bool) -> Result<(), Violation> {
    let start = Instant::now();
    loop {
        let mut left = objects(with_queues);
        left.retain(|line| !before.contains(line));
        if left.is_empty() {
            return Ok(());
        }
        // The memory of a dead process persists while another process inspects it, as `ps` does.
        if start.elapsed() > LOOKED_AT {
            return no(
                Kind::Leaked,
                left.iter().map(Object::to_string).collect::<Vec<_>>().join("; "),
            );
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

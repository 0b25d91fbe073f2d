//! What others find in an MPMC channel while the victim is stopped.

use std::time::Duration;

use sysvring::mpmc::{Receiver, Sender};
use sysvring::{Error, Options};
use sysvring_support::ipc;

use crate::steps::kernel::{self, LIFECYCLE, Memory, Side};
use crate::steps::messages::Load;
use crate::steps::peer::{Peer, order};
use crate::steps::report::peer;
use crate::steps::scenario::{Other, Scene};
use crate::steps::slots;
use crate::steps::violation::{Kind, Violation, no};

/// Checks that no process treats the victim as dead, and that it blocks other processes only while
/// it holds the lifecycle semaphore. Returns whether it holds anything.
pub fn meet(scene: &Scene, victim: u32, peer: Option<&Peer>) -> Result<bool, Violation> {
    let Some(values) = kernel::set(scene.key).map(ipc::values) else { return Ok(false) };
    let builds = values[LIFECYCLE] != 0;
    if !builds && values[scene.side.count()] == 0 {
        return Ok(false);
    }
    let options = scene.options().open_timeout(Duration::from_millis(1));
    // A receiver that joins and leaves takes no message.
    let met = match scene.side {
        Side::Sender => join(options, |tx: &Sender<Load>| tx.deaths()),
        Side::Receiver => join(options, |rx: &Receiver<Load>| rx.deaths()),
    };
    match met {
        Ok(dead) if !builds && !dead.contains(&victim) => {}
        Err(Error::Busy { pid, .. }) if builds && pid == victim => {}
        other => return no(Kind::Told, format!("joining: {other:?} ({values:?})")),
    }
    let board = &scene.board;
    let told = board.peer.get();
    // A receiver that joined while there was a message, and waits for the next one: there is no
    // sender, and the victim could not leave it any message.
    let is_end = (scene.other, scene.side) == (Other::Fellow, Side::Receiver)
        && values[Side::Sender.count()] == 0
        && !slots::holds_messages(&Memory::of(scene.segment));
    let may = |told| match told {
        peer::DISCONNECTED => is_end,
        told => [peer::HERE, peer::SUCCEEDED].contains(&told),
    };
    if scene.other.sleeps() && !may(told) {
        return no(Kind::Told, format!("the waiter got {told} {}", board.peer_text.get()));
    }
    if let Some(peer) = peer.filter(|_| !scene.other.sleeps()) {
        peer.order(scene, order::LOOK);
        let found = board.peer_text.get();
        if !found.starts_with("Ok(") || found.contains(&victim.to_string()) {
            return no(Kind::Told, format!("its peer was notified of the deaths {found}"));
        }
    }
    Ok(true)
}

/// Joins for a moment. Returns the deaths that it is notified of.
fn join<H: sysvring::Handle>(
    options: Options,
    deaths: impl Fn(&H) -> Result<Vec<sysvring::mpmc::Death>, sysvring::Fault>,
) -> Result<Vec<u32>, Error> {
    let handle: H = options.open()?;
    let deaths = deaths(&handle)?;
    Ok(deaths.into_iter().map(|death| death.pid).collect())
}

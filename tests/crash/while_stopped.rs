//! What others find while the victim is stopped.

use std::time::Duration;

use sysvring::Error;
use sysvring_support::raw_ipc::{self, LIFECYCLE, Segment};

use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::peer::{Peer, order};
use crate::steps::report::peer;
use crate::steps::scenario::Scenario;
use crate::steps::slots;
use crate::steps::violation::{Kind, Violation, no};

/// Checks that no process treats the victim as dead. In an SPSC channel no other process gets its seat;
/// in an MPMC channel it blocks other processes only while it holds the lifecycle semaphore. Returns
/// whether it holds anything.
pub fn check_others(
    scenario: &Scenario,
    victim: u32,
    peer: Option<&Peer>,
) -> Result<bool, Violation> {
    let Some(values) = raw_ipc::set_of(scenario.key).map(raw_ipc::values) else { return Ok(false) };
    let builds = values[LIFECYCLE] != 0;
    let seated = values[scenario.side.count()] != 0;
    if !builds && !seated {
        return Ok(false);
    }
    let spsc = scenario.flavor == Flavor::Spsc;
    match join(scenario) {
        Ok(dead) if !spsc && !builds && !dead.contains(&victim) => {}
        Err(Error::SeatTaken { pid, .. }) if spsc && seated && pid == victim => {}
        Err(Error::Busy { pid, .. }) if builds && pid == victim => {}
        other => return no(Kind::WrongResult, format!("joining: {other:?} ({values:?})")),
    }
    if spsc && !seated {
        return Ok(true);
    }
    let shared = &scenario.shared;
    // A receiver that joined while there was a message, and waits for the next one: there is no
    // sender, and the victim could not leave it any message.
    let is_end = || {
        scenario.other.is_beside()
            && scenario.side == Side::Receiver
            && values[Side::Sender.count()] == 0
            && slots::messages(&Segment::attach(scenario.segment).expect("shmat")) == 0
    };
    let result = shared.peer.get();
    let may = match result {
        peer::DISCONNECTED => is_end(),
        result => [peer::HERE, peer::SUCCEEDED].contains(&result),
    };
    if scenario.other.sleeps() && !may {
        return no(
            Kind::WrongResult,
            format!("the waiter got {result} {}", shared.peer_text.get()),
        );
    }
    if let Some(peer) = peer.filter(|_| !scenario.other.sleeps()) {
        peer.order(scenario, order::REPORT);
        let news = shared.peer_text.get();
        let right = match scenario.flavor {
            Flavor::Spsc => news == format!("Ok(Present {{ pid: {victim} }})"),
            Flavor::Mpmc => news.starts_with("Ok(") && !news.contains(&victim.to_string()),
        };
        if !right {
            return no(Kind::WrongResult, format!("its peer knows {news}"));
        }
    }
    Ok(true)
}

/// Joins the victim's side for a moment; a receiver that does so takes no message. Returns the
/// deaths that it is notified of.
fn join(scenario: &Scenario) -> Result<Vec<u32>, Error> {
    let options = scenario.options().open_timeout(Duration::from_millis(1));
    match scenario.side {
        Side::Sender => Ok(Tx::reach(scenario.flavor, How::Open, options)?.deaths()?),
        Side::Receiver => Ok(Rx::reach(scenario.flavor, How::Open, options)?.deaths()?),
    }
}

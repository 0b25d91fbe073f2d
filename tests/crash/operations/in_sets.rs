//! Operations of members that wait in a set: adding, arming, being rung, and leaving. Ringing is in
//! the cases of other operations whose peer is `Armed`.

use std::mem::replace;
use std::time::Duration;

use sysvring::{Readiness, RecvError, SendError, Token, WaitSet};

use super::{Act, Cases, Handle, OPERATION, Operation, Victim, receiving, seated, sending, text};
use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::messages::*;
use crate::steps::scenario::Other::{Armed, ArmedBeside, Idle, Late, Nobody};
use crate::steps::scenario::Scenario;

/// Longer than any wait here.
const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A receiver and its set.
pub struct InSet {
    set: WaitSet,
    token: Token,
    rx: Rx,
    /// A sender of the same process.
    tx: Option<Tx>,
}

const QUIET: Cases = &[(EMPTY, Nobody), (LAST_LAP_EMPTY, Idle)];

/// States in which a receiver of the other side waits for a message, and a sender for room.
const FOR_MESSAGES: Cases = &[(EMPTY, Armed), (LAST_LAP_EMPTY, Armed)];
const FOR_ROOM: Cases = &[(FULL, Armed), (LAST_LAP_FULL, Armed)];

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let receiving = Operation { flavor, side: Side::Receiver, has_queues: true, ..OPERATION };
    let of = |call, setup, act: Act, cases| Operation { call, setup, act, cases, ..receiving };
    let mut all = vec![
        of("add", seated, add, QUIET),
        of("arm", added, arm, QUIET),
        of("arm_readiness", seated, arm_readiness, &[(EMPTY, Nobody)]),
        of("recv_in_set", added, recv, &[(EMPTY, Late), (LAST_LAP_EMPTY, Late)]),
        of("remove_from_set", armed, remove, QUIET),
        of("drop_set", armed, drop_set, &[(EMPTY, Nobody)]),
        of("leave_in_set", armed, leave, QUIET),
        Operation {
            side: Side::Sender,
            ..of("send_in_set", seated, send, &[(FULL, Late), (LAST_LAP_FULL, Late)])
        },
        of("recv_for_armed", seated, receiving::recv_batch, FOR_ROOM),
        of("recv_ref_for_armed", seated, receiving::guard, FOR_ROOM),
        of("add_for_armed", seated, add, FOR_ROOM),
    ];
    all.extend(
        [("send_to_armed", sending::send as Act), ("send_batch_to_armed", sending::send_batch)]
            .map(|(call, act)| Operation {
                side: Side::Sender,
                ..of(call, seated, act, FOR_MESSAGES)
            }),
    );
    if flavor == Flavor::Mpmc {
        let beside: Cases = &[(EMPTY, ArmedBeside), (WRAPPED_EMPTY, ArmedBeside)];
        all.extend([
            of("share_rings", with_sender, share, beside),
            of("leave_rung", with_sender, leave_rung, beside),
        ]);
    }
    all
}

fn new_set() -> Result<WaitSet, String> {
    WaitSet::new().map_err(text)
}

/// Adds the handle of the victim to a new set, and leaves both to the end of the process.
fn add(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let set = new_set()?;
    match &victim.handle {
        Handle::Rx(rx) => rx.add_to(&set),
        Handle::Tx(tx) => tx.add_to(&set),
        _ => panic!("the victim has no handle"),
    }
    .map_err(text)?;
    std::mem::forget(set);
    Ok(())
}

/// Returns a receiver in a set.
fn added(scenario: &Scenario) -> Handle {
    let Handle::Rx(rx) = seated(scenario) else { panic!("the victim is not a receiver") };
    let set = WaitSet::new().expect("a set");
    let token = rx.add_to(&set).expect("added");
    Handle::InSet(Box::new(InSet { set, token, rx, tx: None }))
}

/// Returns the same, armed.
fn armed(scenario: &Scenario) -> Handle {
    let mut victim = Victim::new(added(scenario));
    arm(scenario, &mut victim).expect("empty");
    victim.handle
}

/// Returns the same with a sender, for messages to itself and to others of its side.
fn with_sender(scenario: &Scenario) -> Handle {
    let Handle::InSet(mut own) = armed(scenario) else { unreachable!("made above") };
    own.tx = Some(scenario.tx(How::Open).expect("a sender"));
    let mut victim = Victim::new(Handle::InSet(own));
    // It has joined, and has rung.
    let own = in_set(&mut victim);
    own.set.wait(Some(Duration::ZERO)).expect("a set");
    arm(scenario, &mut victim).expect("empty");
    victim.handle
}

fn in_set(victim: &mut Victim) -> &mut InSet {
    let Handle::InSet(own) = &mut victim.handle else { panic!("the victim is in no set") };
    own
}

fn arm(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    match scenario.of_victim().receiving(&mut in_set(victim).rx, Rx::try_recv) {
        Err(RecvError::Empty) => Ok(()),
        other => Err(format!("{other:?} instead of Empty")),
    }
}

fn arm_readiness(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let readiness = match victim.rx() {
        Rx::Spsc(rx) => Readiness::of(rx),
        Rx::Mpmc(rx) => Readiness::of(rx),
    };
    let readiness = readiness.map_err(text)?;
    match scenario.of_victim().receiving(victim.rx(), Rx::try_recv) {
        Err(RecvError::Empty) => {}
        other => return Err(format!("{other:?} instead of Empty")),
    }
    drop(readiness);
    Ok(())
}

/// Receives a message by waits, as the peer does that is `Armed`.
pub fn recv_by_waits(set: &WaitSet, rx: &mut Rx) -> Result<Message, RecvError> {
    loop {
        match rx.try_recv() {
            Err(RecvError::Empty | RecvError::Behind { .. }) => {
                let events = set.wait(LONG).map_err(|_| RecvError::Interrupted)?;
                if events.is_empty() {
                    return Err(RecvError::Timeout);
                }
            }
            other => return other,
        }
    }
}

/// Sends a message in the same way.
pub fn send_by_waits(set: &WaitSet, tx: &mut Tx, message: &Message) -> Result<(), SendError> {
    loop {
        match tx.try_send(message) {
            Err(SendError::Full | SendError::Behind { .. }) => {
                let events = set.wait(LONG).map_err(|_| SendError::Interrupted)?;
                if events.is_empty() {
                    return Err(SendError::Timeout);
                }
            }
            other => return other,
        }
    }
}

fn recv(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let InSet { set, rx, .. } = in_set(victim);
    scenario.of_victim().receiving(rx, |rx| recv_by_waits(set, rx)).map_err(text)
}

fn send(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let set = new_set()?;
    let message = victim.messages[0];
    let tx = victim.tx();
    tx.add_to(&set).map_err(text)?;
    scenario.of_victim().sending(|| send_by_waits(&set, tx, &message)).map_err(text)
}

fn remove(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let own = in_set(victim);
    if own.set.remove(own.token) { Ok(()) } else { Err("it was in the set".into()) }
}

fn drop_set(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let own = in_set(victim);
    drop(replace(&mut own.set, new_set()?));
    Ok(())
}

fn leave(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::InSet(own) = replace(&mut victim.handle, Handle::Nothing) else {
        panic!("the victim is in no set")
    };
    own.rx.close().map_err(text)
}

/// Sends two messages to its side, and receives one if it was rung.
fn share(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let messages = victim.messages.clone();
    let report = scenario.of_victim();
    let InSet { set, rx, tx, .. } = in_set(victim);
    let tx = tx.as_mut().expect("a sender");
    for message in &messages[..2] {
        report.sending(|| tx.try_send(message)).map_err(text)?;
    }
    let recv = |rx: &mut Rx| recv_by_waits(set, rx);
    report.receiving(rx, recv).map_err(text)
}

/// Sends one message to its side, and leaves the set whether it was rung or not.
fn leave_rung(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let message = victim.messages[0];
    let report = scenario.of_victim();
    let InSet { set, token, tx, .. } = in_set(victim);
    let tx = tx.as_mut().expect("a sender");
    report.sending(|| tx.try_send(&message)).map_err(text)?;
    if set.remove(*token) { Ok(()) } else { Err("it was in the set".into()) }
}

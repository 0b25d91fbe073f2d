//! Operations that send.

use std::mem::replace;
use std::time::Duration;

use sysvring::{SendError, mpmc};

use super::{Act, Cases, Handle, OPERATION, Operation, Victim, seated, text};
use crate::steps::handle::{Flavor, How, Tx};
use crate::steps::messages::*;
use crate::steps::scenario::Other::{Armed, Asleep, Idle, Late, Nobody, SameSide};
use crate::steps::scenario::Scenario;

/// States with free slots for three messages.
pub(super) const FREE: Cases = &[
    (EMPTY, Nobody),
    (EMPTY, Idle),
    (EMPTY, Asleep),
    (ONE, Nobody),
    (MIDDLE, Idle),
    (WRAPPED, Nobody),
    (WRAPPED_EMPTY, Asleep),
    (LAST_LAP, Nobody),
    (LAST_LAP, Idle),
    (LAST_LAP_EMPTY, Asleep),
    (LAST_POSITIONS, Nobody),
    (LAST_POSITIONS_EMPTY, Asleep),
];

/// States with fewer free slots, of which the peer makes more while the victim is parked.
pub(super) const FREE_LATER: Cases =
    &[(ALMOST, Late), (FULL, Late), (WRAPPED_FULL, Late), (LAST_LAP_FULL, Late)];

const NOT_FREE: Cases = &[
    (ALMOST, Nobody),
    (FULL, Nobody),
    (FULL, Idle),
    (WRAPPED_FULL, Nobody),
    (LAST_LAP_FULL, Idle),
];

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let sending = Operation { flavor, setup: seated, ..OPERATION };
    let of = |call, act: Act, cases| Operation { call, act, cases, ..sending };
    let flushed: Cases =
        &[(EMPTY, Nobody), (WRAPPED_EMPTY, Idle), (MIDDLE, Late), (LAST_LAP_FULL, Late)];
    let mut all = vec![
        of("send", send, FREE),
        of("send_waiting", send, FREE_LATER),
        of("send_interrupted", send_interrupted, FREE_LATER),
        of("try_send", try_send, FREE),
        of("try_send_full", try_send, NOT_FREE),
        of("loan", loan, FREE),
        of("loan_waiting", loan, FREE_LATER),
        of("send_batch", send_batch, FREE),
        of("send_batch_waiting", send_batch, FREE_LATER),
    ];
    match flavor {
        Flavor::Spsc => all.push(of("flush", flush, flushed)),
        Flavor::Mpmc => all.extend([
            of("flush", flush, &flushed[..3]),
            of("abandon", abandon, &[(EMPTY, Idle), (MIDDLE, Nobody), (LAST_LAP, Nobody)]),
            Operation {
                setup: claimed,
                ..of(
                    "commit",
                    commit,
                    &[
                        (EMPTY, Asleep),
                        (EMPTY, Nobody),
                        (WRAPPED_EMPTY, Asleep),
                        (LAST_LAP, Nobody),
                    ],
                )
            },
            Operation {
                setup: claimed_and_full,
                ..of(
                    "commit_beside",
                    commit,
                    &[(EMPTY, SameSide), (WRAPPED_EMPTY, SameSide), (LAST_LAP_EMPTY, SameSide)],
                )
            },
        ]),
    }
    all
}

/// Returns a claimed slot; behind it is a message of another sender.
fn claimed(scenario: &Scenario) -> Handle {
    let Handle::Tx(Tx::Mpmc(tx)) = seated(scenario) else { panic!("the victim is not a sender") };
    let tx: &'static mpmc::Sender<Message> = Box::leak(Box::new(tx));
    let loan = tx.loan().expect("a free slot");
    let mut other = scenario.tx(How::Open).expect("a member");
    assert!(scenario.shared.ledger.send_old(&mut other), "no free slot");
    Handle::Loan(loan)
}

/// Does the same in a ring without another free slot.
fn claimed_and_full(scenario: &Scenario) -> Handle {
    let loan = claimed(scenario);
    let mut other = scenario.tx(How::Open).expect("a member");
    while scenario.shared.ledger.send_old(&mut other) {}
    loan
}

pub(super) fn send(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let message = victim.messages[0];
    let tx = victim.tx();
    scenario.of_victim().sending(|| tx.send(&message)).map_err(text)
}

/// A call that would block returns an interrupt, and the next one waits while it watches for another.
fn send_interrupted(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    victim.tx().interrupter().interrupt();
    for n in 0..3 {
        let message = victim.messages[n];
        let tx = victim.tx();
        match scenario.of_victim().sending(|| tx.send(&message)) {
            // There was a free slot.
            Ok(()) => {}
            Err(SendError::Interrupted) => {
                return scenario.of_victim().sending(|| tx.send(&message)).map_err(text);
            }
            Err(error) => return Err(text(error)),
        }
    }
    Err("not interrupted".into())
}

pub(super) fn try_send(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    for n in 0..2 {
        let message = victim.messages[n];
        let tx = victim.tx();
        match scenario.of_victim().sending(|| tx.try_send(&message)) {
            // The receiver that was parked has received enough and left.
            Ok(()) | Err(SendError::Full | SendError::Disconnected) => {}
            Err(error) => return Err(text(error)),
        }
    }
    Ok(())
}

fn loan(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let message = victim.messages[0];
    let report = scenario.of_victim();
    match victim.tx() {
        Tx::Spsc(tx) => {
            let mut loan = tx.loan().map_err(text)?;
            *loan = message;
            report.sending(|| loan.commit()).map_err(text)
        }
        Tx::Mpmc(tx) => {
            let mut loan = tx.loan().map_err(text)?;
            *loan = message;
            report.sending(|| loan.commit()).map_err(text)
        }
    }
}

fn abandon(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let message = victim.messages[0];
    let Tx::Mpmc(tx) = victim.tx() else { panic!("an SPSC sender") };
    let mut loan = tx.loan().map_err(text)?;
    *loan = message;
    drop(loan);
    Ok(())
}

fn commit(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let message = victim.messages[0];
    let Handle::Loan(mut loan) = replace(&mut victim.handle, Handle::Nothing) else {
        panic!("the victim has no loan")
    };
    *loan = message;
    scenario.of_victim().sending(|| loan.commit()).map_err(text)
}

fn flush(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    victim.tx().flush(Duration::from_secs(20)).map_err(text)
}

pub(super) fn send_batch(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Victim { handle: Handle::Tx(tx), messages, .. } = victim else { panic!("not a sender") };
    let reported = scenario.of_victim().sent;
    reported.begin(3);
    let result = tx.send_batch(&messages[..3]);
    let sent = result.as_ref().map_or_else(|error| error.sent as u64, |()| 3);
    reported.end(3, sent);
    match result {
        // The first message woke the parked receiver, which has received enough and left.
        Err(error)
            if sent > 0
                && matches!(scenario.other, Asleep | Armed)
                && scenario.flavor == Flavor::Spsc
                && matches!(error.error, SendError::Disconnected) =>
        {
            Ok(())
        }
        result => result.map_err(text),
    }
}

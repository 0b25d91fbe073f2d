//! Operations that move messages.

use std::time::Duration;

use sysvring::SendError;

use super::{End, Hands, OPERATION, Operation, receiver, sender, text};
use crate::steps::kernel::Side;
use crate::steps::messages::*;
use crate::steps::peer::receive;
use crate::steps::scenario::Other::{self, Asleep, Idle, Late, Nobody};
use crate::steps::scenario::Scene;

pub(super) const LONG: Duration = Duration::from_secs(20);

/// States with space for three messages.
pub(super) const ROOM: &[(State, Other)] = &[
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

/// States without that space.
pub(super) const NO_ROOM: &[(State, Other)] =
    &[(ALMOST, Late), (FULL, Late), (WRAPPED_FULL, Late), (LAST_LAP_FULL, Late)];

pub(super) const NO_WAY: &[(State, Other)] = &[
    (ALMOST, Nobody),
    (FULL, Nobody),
    (FULL, Idle),
    (WRAPPED_FULL, Nobody),
    (LAST_LAP_FULL, Idle),
];

pub(super) const MESSAGES: &[(State, Other)] = &[
    (ONE, Nobody),
    (MIDDLE, Nobody),
    (MIDDLE, Idle),
    (FULL, Nobody),
    (FULL, Idle),
    (FULL, Asleep),
    (WRAPPED, Nobody),
    (WRAPPED_FULL, Asleep),
    (LAST_LAP, Nobody),
    (LAST_LAP_FULL, Asleep),
    (LAST_POSITIONS, Idle),
];

pub(super) const NO_MESSAGES: &[(State, Other)] =
    &[(EMPTY, Late), (WRAPPED_EMPTY, Late), (LAST_LAP_EMPTY, Late), (LAST_POSITIONS_EMPTY, Late)];

pub(super) fn operations() -> Vec<Operation> {
    let sending = || Operation { setup: sender, ..OPERATION };
    let receiving = || Operation { side: Side::Receiver, setup: receiver, ..OPERATION };
    vec![
        Operation { name: "send", act: one_send, cases: ROOM, ..sending() },
        Operation { name: "send_waiting", act: one_send, cases: NO_ROOM, ..sending() },
        Operation { name: "try_send", act: try_send, cases: ROOM, ..sending() },
        Operation { name: "try_send_full", act: try_send, cases: NO_WAY, ..sending() },
        Operation { name: "loan", act: loan, cases: ROOM, ..sending() },
        Operation { name: "loan_waiting", act: loan, cases: NO_ROOM, ..sending() },
        Operation { name: "send_batch", act: send_batch, cases: ROOM, ..sending() },
        Operation { name: "send_batch_waiting", act: send_batch, cases: NO_ROOM, ..sending() },
        Operation {
            name: "flush",
            act: |_, hands| hands.tx().flush(LONG).map_err(text),
            cases: &[(EMPTY, Nobody), (WRAPPED_EMPTY, Idle), (MIDDLE, Late), (LAST_LAP_FULL, Late)],
            ..sending()
        },
        Operation { name: "recv", act: one_recv, cases: MESSAGES, ..receiving() },
        Operation { name: "recv_waiting", act: one_recv, cases: NO_MESSAGES, ..receiving() },
        Operation { name: "recv_ref", act: guard, cases: MESSAGES, ..receiving() },
        Operation { name: "recv_ref_waiting", act: guard, cases: NO_MESSAGES, ..receiving() },
        Operation { name: "recv_batch", act: recv_batch, cases: MESSAGES, ..receiving() },
        Operation {
            name: "recv_batch_waiting",
            act: recv_batch,
            cases: NO_MESSAGES,
            ..receiving()
        },
        Operation { name: "try_recv", act: try_recv, cases: MESSAGES, ..receiving() },
        Operation {
            name: "try_recv_empty",
            act: try_recv,
            cases: &[(EMPTY, Nobody), (EMPTY, Idle), (LAST_LAP_EMPTY, Idle)],
            ..receiving()
        },
    ]
}

fn one_send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    scene.board.sent.begin(1);
    let result = hands.tx().send(&load);
    scene.board.sent.end(1, result.is_ok().into());
    result.map_err(text)
}

fn try_send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    for n in 0..2 {
        let load = hands.loads[n];
        scene.board.sent.begin(1);
        let result = hands.tx().try_send(&load);
        scene.board.sent.end(1, result.is_ok().into());
        match result {
            // The receiver that was parked has received enough and left.
            Ok(()) | Err(SendError::Full | SendError::Disconnected) => {}
            Err(error) => return Err(text(error)),
        }
    }
    Ok(())
}

fn loan(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let mut loan = hands.tx().loan().map_err(text)?;
    *loan = load;
    scene.board.sent.begin(1);
    loan.commit();
    scene.board.sent.end(1, 1);
    Ok(())
}

fn send_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::Sender(tx), loads, .. } = hands else {
        panic!("the victim has no sender")
    };
    scene.board.sent.begin(3);
    let result = tx.send_batch(&loads[..3]);
    let sent = result.as_ref().map_or_else(|error| error.sent as u64, |()| 3);
    scene.board.sent.end(3, sent);
    match result {
        // The first message woke the parked receiver, which has received enough and left.
        Err(error)
            if sent > 0
                && scene.other == Asleep
                && matches!(error.error, SendError::Disconnected) =>
        {
            Ok(())
        }
        result => result.map_err(text),
    }
}

fn one_recv(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    receive(scene, hands.rx()).map_err(text)
}

fn guard(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let guard = hands.rx().recv_ref().map_err(text)?;
    if *guard != load(guard.position()) {
        scene.board.wrong.set(1);
    }
    scene.board.taken.begin(1);
    drop(guard);
    scene.board.taken.end(1, 1);
    Ok(())
}

fn recv_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::Receiver(rx), got, .. } = hands else {
        panic!("the victim has no receiver")
    };
    let first = rx.position();
    scene.board.taken.begin(6);
    let result = rx.recv_batch(got, 6);
    scene.board.taken.end(6, *result.as_ref().unwrap_or(&0) as u64);
    result.map_err(text)?;
    if !(0..).zip(got.iter()).all(|(n, got)| *got == load(first.wrapping_add(n))) {
        scene.board.wrong.set(1);
    }
    Ok(())
}

/// Receives all messages and tries once more, so that it finds the ring empty.
fn try_recv(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    loop {
        let position = hands.rx().position();
        scene.board.taken.begin(1);
        let result = hands.rx().try_recv();
        scene.board.taken.end(1, result.is_ok().into());
        match result {
            Ok(got) if got == load(position) => {}
            Ok(_) => scene.board.wrong.set(1),
            Err(sysvring::RecvError::Empty | sysvring::RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(text(error)),
        }
    }
}

//! Operations that receive from MPMC channels.

use std::time::Duration;

use sysvring::RecvError;
use sysvring::mpmc::{Guard, Receiver};

use super::{End, Hands, OF_MANY, Operation, receiver, seated, text};
use crate::steps::kernel::Side;
use crate::steps::ledger::{Report, note};
use crate::steps::messages::*;
use crate::steps::operations::moving::{MESSAGES, NO_MESSAGES};
use crate::steps::scenario::Other::Fellow;
use crate::steps::scenario::Scene;

pub(super) fn operations() -> Vec<Operation> {
    let receiving = || Operation { side: Side::Receiver, setup: receiver, ..OF_MANY };
    vec![
        Operation { name: "many_recv", act: recv, cases: MESSAGES, ..receiving() },
        Operation { name: "many_recv_waiting", act: recv, cases: NO_MESSAGES, ..receiving() },
        Operation { name: "many_recv_into", act: recv_into, cases: MESSAGES, ..receiving() },
        Operation { name: "many_recv_ref", act: guard, cases: MESSAGES, ..receiving() },
        Operation { name: "many_recv_ref_waiting", act: guard, cases: NO_MESSAGES, ..receiving() },
        Operation { name: "many_recv_batch", act: recv_batch, cases: MESSAGES, ..receiving() },
        Operation {
            name: "many_recv_batch_waiting",
            act: recv_batch,
            cases: NO_MESSAGES,
            ..receiving()
        },
        Operation { name: "many_try_recv", act: try_recv, cases: MESSAGES, ..receiving() },
        Operation {
            name: "many_acknowledge",
            setup: held,
            act: acknowledge,
            cases: &[(ONE, Fellow), (MIDDLE, Fellow), (WRAPPED, Fellow), (LAST_LAP, Fellow)],
            ..receiving()
        },
    ]
}

/// Has all messages in flight.
fn held(scene: &Scene) -> End {
    let rx: &'static Receiver<Load> = Box::leak(Box::new(seated(scene)));
    let (board, report) = (&scene.board, scene.board.many.victim);
    let held = (0..scene.state.fill).map(|_| rx.recv_ref().expect("a message"));
    let held: Vec<Guard<'_, Load>> = held.collect();
    report.held.begin(held.len() as u64);
    held.iter().for_each(|guard| note(board, report.seen, guard));
    End::Held(held)
}

fn recv(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    scene.board.many.victim.receiving(&scene.board, || rx.recv()).map_err(text)
}

fn recv_into(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    let recv = || {
        let mut message = [0; 6];
        rx.recv_into(&mut message).map(|()| message)
    };
    scene.board.many.victim.receiving(&scene.board, recv).map_err(text)
}

/// Receives under a guard. A message that is read but not acknowledged is redelivered if this
/// process dies meanwhile.
pub(super) fn guard(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let report = scene.board.many.victim;
    report.held.begin(1);
    let guard = match hands.many_rx().recv_ref() {
        Ok(guard) => guard,
        Err(error) => {
            report.held.end(1, 0);
            return Err(text(error));
        }
    };
    note(&scene.board, report.seen, &guard);
    done(scene, &report, guard);
    Ok(())
}

#[inline(always)]
pub(super) fn done(scene: &Scene, report: &Report, guard: Guard<'_, Load>) {
    let message = *guard;
    report.taken.begin(1);
    drop(guard);
    note(&scene.board, report.got, &message);
    report.taken.end(1, 1);
    report.held.end(1, 1);
}

fn acknowledge(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let report = scene.board.many.victim;
    let End::Held(held) = &mut hands.end else { panic!("the victim has no guards") };
    for guard in held.drain(..) {
        done(scene, &report, guard);
    }
    Ok(())
}

fn recv_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::ManyReceiver(rx), got, .. } = hands else {
        panic!("the victim has no receiver")
    };
    let report = scene.board.many.victim;
    report.held.begin(6);
    report.taken.begin(6);
    let result = rx.recv_batch(got, 6);
    let taken = *result.as_ref().unwrap_or(&0) as u64;
    got.iter().for_each(|got| note(&scene.board, report.got, got));
    report.taken.end(6, taken);
    report.held.end(6, taken);
    result.map(drop).map_err(text)
}

/// Receives all messages and tries once more, so that it finds the ring empty.
fn try_recv(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    all(scene, &scene.board.many.victim, || rx.try_recv())
}

/// Does the same, and also takes orphaned messages.
pub(super) fn drain(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    all(scene, &scene.board.many.victim, || rx.recv_timeout(Duration::ZERO))
}

/// Receives what is available.
pub(super) fn all(
    scene: &Scene,
    report: &Report,
    recv: impl Fn() -> Result<Load, RecvError>,
) -> Result<(), String> {
    loop {
        match report.receiving(&scene.board, &recv) {
            Ok(()) => {}
            Err(RecvError::Empty | RecvError::Timeout | RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(text(error)),
        }
    }
}

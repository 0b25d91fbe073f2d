//! Operations that move messages of many-to-many channels, and what is done about the dead there.

use std::time::Duration;

use sysvring::mpmc::{Guard, Receiver, Sender};
use sysvring::{RecvError, SendError};

use super::moving::{LONG, MESSAGES, NO_MESSAGES, NO_ROOM, NO_WAY, ROOM};
use super::{End, Hands, OPERATION, Operation, text};
use crate::steps::kernel::Side;
use crate::steps::load::*;
use crate::steps::many::ledger::{Report, note};
use crate::steps::many::{FAR, NEAR, open};
use crate::steps::scene::Other::{self, Asleep, Fellow, Idle, Late, Nobody};
use crate::steps::scene::{Before, Flavor, Scene};

/// Usual for operations on a many-to-many channel that is there.
pub const OF_MANY: Operation = Operation { flavor: Flavor::Many, ..OPERATION };

/// With something that a dead one had in hand.
const ORPHANED: &[(State, Other)] = &[
    (ONE, Nobody),
    (MIDDLE, Nobody),
    (MIDDLE, Idle),
    (FULL, Nobody),
    (WRAPPED, Nobody),
    (LAST_LAP, Nobody),
    (LAST_LAP_FULL, Idle),
];

const FULL_ORPHANED: &[(State, Other)] =
    &[(FULL, Nobody), (WRAPPED_FULL, Nobody), (LAST_LAP_FULL, Idle)];

pub(super) fn operations() -> Vec<Operation> {
    let sending = || Operation { setup: sender, ..OF_MANY };
    let receiving = || Operation { side: Side::Receiver, setup: receiver, ..OF_MANY };
    let after = |dead, seat| Before::Dead(dead, seat);
    vec![
        Operation { name: "many_send", act: send, cases: ROOM, ..sending() },
        Operation { name: "many_send_waiting", act: send, cases: NO_ROOM, ..sending() },
        Operation { name: "many_try_send", act: try_send, cases: ROOM, ..sending() },
        Operation { name: "many_try_send_full", act: try_send, cases: NO_WAY, ..sending() },
        Operation { name: "many_loan", act: loan, cases: ROOM, ..sending() },
        Operation { name: "many_loan_waiting", act: loan, cases: NO_ROOM, ..sending() },
        Operation {
            name: "many_abandon",
            act: abandon,
            cases: &[(EMPTY, Idle), (MIDDLE, Nobody), (LAST_LAP, Nobody)],
            ..sending()
        },
        Operation {
            name: "many_commit",
            setup: lent,
            act: commit,
            cases: &[(EMPTY, Asleep), (EMPTY, Nobody), (WRAPPED_EMPTY, Asleep), (LAST_LAP, Nobody)],
            ..OF_MANY
        },
        Operation {
            name: "many_commit_beside",
            setup: lent_full,
            act: commit,
            cases: &[(EMPTY, Fellow), (WRAPPED_EMPTY, Fellow), (LAST_LAP_EMPTY, Fellow)],
            ..OF_MANY
        },
        Operation {
            name: "many_flush",
            act: |_, hands| hands.many_tx().flush(LONG).map_err(text),
            cases: &[(EMPTY, Nobody), (WRAPPED_EMPTY, Idle), (MIDDLE, Late)],
            ..sending()
        },
        Operation { name: "many_send_batch", act: send_batch, cases: ROOM, ..sending() },
        Operation { name: "many_send_batch_waiting", act: send_batch, cases: NO_ROOM, ..sending() },
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
        Operation {
            name: "many_repair",
            before: after(Side::Sender, FAR),
            act: drain,
            cases: ORPHANED,
            ..receiving()
        },
        Operation {
            name: "many_repair_full",
            before: after(Side::Sender, FAR),
            act: try_send,
            cases: FULL_ORPHANED,
            ..sending()
        },
        Operation {
            name: "many_take_over",
            before: after(Side::Receiver, FAR),
            act: drain,
            cases: ORPHANED,
            ..receiving()
        },
        Operation {
            name: "many_full_orphaned",
            before: after(Side::Receiver, FAR),
            act: try_send,
            cases: FULL_ORPHANED,
            ..sending()
        },
        Operation {
            name: "many_seat_of_sender",
            before: after(Side::Sender, NEAR),
            cases: &[(MIDDLE, Nobody), (LAST_LAP_FULL, Nobody)],
            ..super::find_in(super::many_life::operations(), "many_succeed_receiver")
        },
        Operation {
            name: "many_seat_of_receiver",
            before: after(Side::Receiver, NEAR),
            cases: &[(MIDDLE, Nobody), (LAST_LAP_FULL, Nobody)],
            ..super::find_in(super::many_life::operations(), "many_succeed_receiver")
        },
    ]
}

/// In half of the states the victim's seat is one that survivors do not get: they ask whether its
/// holder is dead when they meet what it left. In the others its next holder clears it up.
fn seated<H: sysvring::Handle>(scene: &Scene) -> H {
    let apart = scene.state.base != 0;
    let _company: Vec<H> = (0..if apart { 2 } else { 0 }).map(|_| open(scene)).collect();
    open(scene)
}

pub(super) fn sender(scene: &Scene) -> End {
    End::ManySender(seated(scene))
}

pub(super) fn receiver(scene: &Scene) -> End {
    End::ManyReceiver(seated(scene))
}

/// Has a slot in hand; behind it is a message of another sender.
fn lent(scene: &Scene) -> End {
    let tx: &'static Sender<Load> = Box::leak(Box::new(seated(scene)));
    let loan = tx.loan().expect("room");
    let other: Sender<Load> = open(scene);
    other.send(&load(scene.board.many.next_old())).expect("room");
    End::Lent(loan)
}

/// The same in a ring without another slot.
fn lent_full(scene: &Scene) -> End {
    let End::Lent(loan) = lent(scene) else { unreachable!("just lent") };
    let other: Sender<Load> = open(scene);
    while other.try_send(&load(scene.board.many.next_old())).is_ok() {}
    // The last one was not sent.
    scene.board.many.old.set(scene.board.many.old.get() - 1);
    End::Lent(loan)
}

/// Has all messages in hand.
fn held(scene: &Scene) -> End {
    let rx: &'static Receiver<Load> = Box::leak(Box::new(seated(scene)));
    let (board, report) = (&scene.board, scene.board.many.victim);
    let held = (0..scene.state.fill).map(|_| rx.recv_ref().expect("a message"));
    let held: Vec<Guard<'_, Load>> = held.collect();
    report.held.begin(held.len() as u64);
    held.iter().for_each(|guard| note(board, report.seen, guard));
    End::Held(held)
}

fn send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let tx = hands.many_tx();
    scene.board.many.victim.sending(|| tx.send(&load)).map_err(text)
}

fn try_send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    for n in 0..2 {
        let load = hands.loads[n];
        let tx = hands.many_tx();
        match scene.board.many.victim.sending(|| tx.try_send(&load)) {
            // The receiver that slept has what it wanted.
            Ok(()) | Err(SendError::Full | SendError::Disconnected) => {}
            Err(error) => return Err(text(error)),
        }
    }
    Ok(())
}

fn loan(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let mut loan = hands.many_tx().loan().map_err(text)?;
    *loan = load;
    scene.board.many.victim.sending(|| loan.commit()).map_err(text)
}

fn abandon(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let mut loan = hands.many_tx().loan().map_err(text)?;
    *loan = load;
    drop(loan);
    Ok(())
}

fn commit(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let End::Lent(mut loan) = std::mem::replace(&mut hands.end, End::Nothing) else {
        panic!("no loan")
    };
    *loan = load;
    scene.board.many.victim.sending(|| loan.commit()).map_err(text)
}

fn send_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::ManySender(tx), loads, .. } = hands else { panic!("no sender") };
    let sent = scene.board.many.victim.sent;
    sent.begin(3);
    let result = tx.send_batch(&loads[..3]);
    sent.end(3, result.as_ref().map_or_else(|error| error.sent as u64, |()| 3));
    result.map_err(text)
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

/// What is seen before it is acknowledged is seen again when this one dies meanwhile.
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
    let End::Held(held) = &mut hands.end else { panic!("no guards") };
    for guard in held.drain(..) {
        done(scene, &report, guard);
    }
    Ok(())
}

fn recv_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::ManyReceiver(rx), got, .. } = hands else { panic!("no receiver") };
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

/// As many as there are and one more, so that it finds the ring empty.
fn try_recv(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    all(scene, &scene.board.many.victim, || rx.try_recv())
}

/// The same, with a look at what the dead left.
pub(super) fn drain(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx = hands.many_rx();
    all(scene, &scene.board.many.victim, || rx.recv_timeout(Duration::ZERO))
}

/// Receives what is there.
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

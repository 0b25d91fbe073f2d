//! Operations that send to MPMC channels.

use sysvring::SendError;
use sysvring::mpmc::Sender;

use super::{End, Hands, OF_MANY, Operation, seated, sender, text};
use crate::steps::many::open;
use crate::steps::messages::*;
use crate::steps::operations::moving::{LONG, NO_ROOM, NO_WAY, ROOM};
use crate::steps::scenario::Other::{Asleep, Fellow, Idle, Late, Nobody};
use crate::steps::scenario::Scene;

pub(super) fn operations() -> Vec<Operation> {
    let sending = || Operation { setup: sender, ..OF_MANY };
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
    ]
}

/// Has claimed a slot; behind it is a message of another sender.
fn lent(scene: &Scene) -> End {
    let tx: &'static Sender<Load> = Box::leak(Box::new(seated(scene)));
    let loan = tx.loan().expect("a free slot");
    let other: Sender<Load> = open(scene);
    other.send(&load(scene.board.many.next_old())).expect("a free slot");
    End::Lent(loan)
}

/// Does the same in a ring without another free slot.
fn lent_full(scene: &Scene) -> End {
    let End::Lent(loan) = lent(scene) else { unreachable!("just lent") };
    let other: Sender<Load> = open(scene);
    while other.try_send(&load(scene.board.many.next_old())).is_ok() {}
    // The last message was not sent.
    scene.board.many.old.set(scene.board.many.old.get() - 1);
    End::Lent(loan)
}

fn send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let load = hands.loads[0];
    let tx = hands.many_tx();
    scene.board.many.victim.sending(|| tx.send(&load)).map_err(text)
}

pub(super) fn try_send(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    for n in 0..2 {
        let load = hands.loads[n];
        let tx = hands.many_tx();
        match scene.board.many.victim.sending(|| tx.try_send(&load)) {
            // The receiver that was parked has received enough and left.
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
        panic!("the victim has no loan")
    };
    *loan = load;
    scene.board.many.victim.sending(|| loan.commit()).map_err(text)
}

fn send_batch(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let Hands { end: End::ManySender(tx), loads, .. } = hands else {
        panic!("the victim has no sender")
    };
    let sent = scene.board.many.victim.sent;
    sent.begin(3);
    let result = tx.send_batch(&loads[..3]);
    sent.end(3, result.as_ref().map_or_else(|error| error.sent as u64, |()| 3));
    result.map_err(text)
}

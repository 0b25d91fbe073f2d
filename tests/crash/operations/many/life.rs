//! Operations that make, join and leave MPMC channels.

use std::mem::replace;
use std::time::Duration;

use sysvring::Lifetime::LastMember;
use sysvring::SendError;
use sysvring::mpmc::{Receiver, Sender};

use super::receiving::all;
use super::{End, Hands, OF_MANY, Operation, receiver, sender, text};
use crate::steps::kernel::Side;
use crate::steps::many::open;
use crate::steps::messages::*;
use crate::steps::operations::After;
use crate::steps::operations::life::KEPT;
use crate::steps::scenario::Other::{Asleep, Idle, Nobody};
use crate::steps::scenario::{Before, Scene};

pub(super) fn operations() -> Vec<Operation> {
    let coming = || Operation { after: After::Coming, ..OF_MANY };
    let receiver_side = Side::Receiver;
    vec![
        Operation {
            name: "many_create",
            before: Before::Nothing,
            act: open_tx,
            cases: &[(EMPTY, Nobody)],
            ..coming()
        },
        Operation {
            name: "many_join",
            act: open_tx,
            cases: &[(EMPTY, Nobody), (EMPTY, Idle), (EMPTY, Asleep), (LAST_LAP, Idle)],
            ..coming()
        },
        Operation {
            name: "many_join_receiver",
            side: receiver_side,
            act: open_rx,
            cases: &[(MIDDLE, Nobody), (MIDDLE, Idle), (FULL, Asleep), (LAST_LAP_FULL, Asleep)],
            ..coming()
        },
        Operation { name: "many_succeed", act: succeed, cases: KEPT, ..coming() },
        Operation {
            name: "many_succeed_receiver",
            side: receiver_side,
            act: succeed_receiver,
            cases: KEPT,
            ..coming()
        },
        Operation {
            name: "many_leave",
            setup: sender,
            act: leave,
            cases: &[(EMPTY, Asleep), (EMPTY, Idle), (MIDDLE, Nobody), (LAST_LAP, Idle)],
            ..OF_MANY
        },
        Operation {
            name: "many_leave_receiver",
            side: receiver_side,
            setup: receiver,
            act: leave,
            cases: &[(MIDDLE, Nobody), (FULL, Idle), (FULL, Asleep), (LAST_LAP_FULL, Asleep)],
            ..OF_MANY
        },
        Operation {
            name: "many_leave_last",
            before: Before::Nothing,
            lifetime: LastMember,
            setup: with_messages,
            act: leave,
            after: After::Gone,
            cases: &[(EMPTY, Nobody)],
            ..OF_MANY
        },
        Operation {
            name: "many_close",
            setup: sender,
            act: close,
            cases: &[(EMPTY, Asleep), (MIDDLE, Idle)],
            ..OF_MANY
        },
        Operation {
            name: "many_close_receiver",
            side: receiver_side,
            setup: receiver,
            act: close,
            cases: &[(FULL, Asleep), (MIDDLE, Idle)],
            ..OF_MANY
        },
    ]
}

fn open_tx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    hands.end = End::ManySender(scene.options().open().map_err(text)?);
    Ok(())
}

fn open_rx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    hands.end = End::ManyReceiver(scene.options().open().map_err(text)?);
    Ok(())
}

/// Opens, and sends if there is a free slot. It reports separately, because it may follow another
/// victim.
fn succeed(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let tx: Sender<Load> = scene.options().open().map_err(text)?;
    let report = scene.board.many.peer;
    let load = load(report.first);
    let result = report.sending(|| tx.try_send(&load));
    hands.end = End::ManySender(tx);
    match result {
        Ok(()) | Err(SendError::Full) => Ok(()),
        Err(error) => Err(text(error)),
    }
}

/// Opens, and receives what is available.
fn succeed_receiver(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let rx: Receiver<Load> = scene.options().open().map_err(text)?;
    let result = all(scene, &scene.board.many.peer, || rx.recv_timeout(Duration::ZERO));
    hands.end = End::ManyReceiver(rx);
    result
}

fn leave(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    drop(replace(&mut hands.end, End::Nothing));
    Ok(())
}

fn close(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    match replace(&mut hands.end, End::Nothing) {
        End::ManySender(tx) => tx.close().map_err(text),
        End::ManyReceiver(rx) => rx.close().map_err(text),
        _ => panic!("the victim has no handle to close"),
    }
}

/// Returns the only member of a channel that ends with its last member.
fn with_messages(scene: &Scene) -> End {
    let tx: Sender<Load> = open(scene);
    for _ in 0..2 {
        tx.send(&load(scene.board.many.next_old())).expect("a free slot");
    }
    End::ManySender(tx)
}

//! Operations that make, join, leave and remove channels.

use std::mem::replace;

use sysvring::Lifetime::LastMember;
use sysvring::spsc::{Receiver, Sender};
use sysvring::{Handle, Options, SendError};

use super::{After, End, Hands, OPERATION, Operation, nothing, receiver, sender, text};
use crate::steps::kernel::Side;
use crate::steps::messages::*;
use crate::steps::peer::{receive, send};
use crate::steps::scenario::Other::{self, Asleep, Idle, Nobody};
use crate::steps::scenario::{Before, Scene};

const NEW: &[(State, Other)] = &[(EMPTY, Nobody)];

/// A channel without members.
pub(super) const KEPT: &[(State, Other)] = &[
    (EMPTY, Nobody),
    (MIDDLE, Nobody),
    (FULL, Nobody),
    (LAST_LAP, Nobody),
    (LAST_POSITIONS, Nobody),
];

pub(super) fn operations() -> Vec<Operation> {
    let new =
        || Operation { before: Before::Nothing, cases: NEW, after: After::Coming, ..OPERATION };
    let coming = || Operation { after: After::Coming, ..OPERATION };
    let leaving = || Operation { setup: sender, ..OPERATION };
    let removing = || Operation { act: remove, ..OPERATION };
    let receiver_side = Side::Receiver;
    vec![
        Operation { name: "create", act: create, ..new() },
        Operation {
            name: "create_reap",
            act: create,
            lifetime: LastMember,
            after: After::Reap,
            ..new()
        },
        Operation { name: "create_private", act: create_private, after: After::Reap, ..new() },
        Operation { name: "create_half_made", act: open_tx, before: Before::HalfMade, ..new() },
        Operation { name: "open", act: open_tx, cases: KEPT, ..coming() },
        Operation {
            name: "open_receiver",
            side: receiver_side,
            act: open_rx,
            cases: KEPT,
            ..coming()
        },
        Operation {
            name: "open_without_set",
            before: Before::WithoutSet,
            act: open_tx,
            cases: &[(MIDDLE, Nobody)],
            ..coming()
        },
        Operation {
            name: "join",
            act: attach_tx,
            cases: &[(EMPTY, Idle), (EMPTY, Asleep), (MIDDLE, Idle), (LAST_LAP, Idle)],
            ..coming()
        },
        Operation {
            name: "join_receiver",
            side: receiver_side,
            act: attach_rx,
            cases: &[(MIDDLE, Idle), (FULL, Asleep), (LAST_LAP_FULL, Asleep)],
            ..coming()
        },
        Operation {
            name: "join_private",
            before: Before::Private,
            act: attach_tx,
            cases: &[(EMPTY, Idle)],
            ..coming()
        },
        Operation { name: "succeed", act: succeed, cases: KEPT, ..coming() },
        Operation {
            name: "succeed_receiver",
            side: receiver_side,
            act: succeed_receiver,
            cases: KEPT,
            ..coming()
        },
        Operation {
            name: "leave",
            act: leave,
            cases: &[(EMPTY, Asleep), (EMPTY, Idle), (MIDDLE, Nobody), (LAST_LAP, Idle)],
            ..leaving()
        },
        Operation {
            name: "leave_receiver",
            side: receiver_side,
            setup: receiver,
            act: leave,
            cases: &[(MIDDLE, Nobody), (FULL, Idle), (FULL, Asleep), (LAST_LAP_FULL, Asleep)],
            ..leaving()
        },
        Operation {
            name: "leave_last",
            before: Before::Nothing,
            lifetime: LastMember,
            setup: with_messages,
            act: leave,
            after: After::Gone,
            cases: NEW,
            ..OPERATION
        },
        Operation {
            name: "leave_private",
            before: Before::Nothing,
            setup: private,
            act: leave,
            after: After::Reap,
            cases: NEW,
            ..OPERATION
        },
        Operation {
            name: "close",
            act: close,
            cases: &[(EMPTY, Asleep), (MIDDLE, Idle)],
            ..leaving()
        },
        Operation {
            name: "close_receiver",
            side: receiver_side,
            setup: receiver,
            act: close,
            cases: &[(FULL, Asleep), (MIDDLE, Idle)],
            ..leaving()
        },
        Operation {
            name: "remove",
            after: After::Removed,
            cases: &[(MIDDLE, Nobody), (EMPTY, Asleep)],
            ..removing()
        },
        Operation {
            name: "remove_again",
            after: After::RemovedAgain,
            cases: &[(MIDDLE, Nobody), (EMPTY, Asleep)],
            ..removing()
        },
        Operation {
            name: "remove_sender",
            side: receiver_side,
            after: After::Removed,
            cases: &[(FULL, Asleep)],
            ..removing()
        },
        Operation {
            name: "reap",
            before: Before::Leftovers,
            setup: nothing,
            act: |_, _| sysvring::reap().map(drop).map_err(text),
            after: After::Reap,
            cases: &[(MIDDLE, Nobody)],
            ..OPERATION
        },
    ]
}

fn take_place<H: Handle>(
    hands: &mut Hands,
    opened: Result<H, sysvring::Error>,
    end: fn(H) -> End,
) -> Result<(), String> {
    hands.end = end(opened.map_err(text)?);
    Ok(())
}

fn create(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, scene.options().create(), End::Sender)
}

fn create_private(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, Options::private().capacity(CAPACITY as usize).create(), End::Sender)
}

fn open_tx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, scene.options().open(), End::Sender)
}

fn open_rx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, scene.options().open(), End::Receiver)
}

fn attach_tx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, scene.options().attach(), End::Sender)
}

fn attach_rx(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    take_place(hands, scene.options().attach(), End::Receiver)
}

/// Opens, continues where the last sender ended, and sends if there is a free slot.
fn succeed(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let mut tx: Sender<Load> = scene.options().open().map_err(text)?;
    scene.goes_on_at(scene.board.sent, tx.position());
    let load = load(tx.position());
    scene.board.sent.begin(1);
    let result = tx.try_send(&load);
    scene.board.sent.end(1, result.is_ok().into());
    hands.end = End::Sender(tx);
    match result {
        Ok(()) | Err(SendError::Full) => Ok(()),
        Err(error) => Err(text(error)),
    }
}

/// Opens, continues where the last receiver ended, and receives what is available.
fn succeed_receiver(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let mut rx: Receiver<Load> = scene.options().open().map_err(text)?;
    scene.goes_on_at(scene.board.taken, rx.position());
    while !rx.is_empty() {
        receive(scene, &mut rx).map_err(text)?;
    }
    hands.end = End::Receiver(rx);
    Ok(())
}

fn leave(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    drop(replace(&mut hands.end, End::Nothing));
    Ok(())
}

fn close(_: &Scene, hands: &mut Hands) -> Result<(), String> {
    match replace(&mut hands.end, End::Nothing) {
        End::Sender(tx) => tx.close().map_err(text),
        End::Receiver(rx) => rx.close().map_err(text),
        _ => Ok(()),
    }
}

fn remove(scene: &Scene, _: &mut Hands) -> Result<(), String> {
    sysvring::remove(scene.address()).map_err(text)
}

/// Returns the only member of a channel that ends with its last member.
fn with_messages(scene: &Scene) -> End {
    let mut tx = scene.sender();
    for _ in 0..2 {
        send(scene, &mut tx).expect("a free slot");
    }
    End::Sender(tx)
}

/// Returns the only member of a private channel.
fn private(_: &Scene) -> End {
    let options = Options::private().capacity(CAPACITY as usize);
    End::Receiver(options.create().expect("a private channel"))
}

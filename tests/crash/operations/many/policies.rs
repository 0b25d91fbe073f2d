//! Operations on MPMC channels that redeliver a dead receiver's messages never or only a few times,
//! operations on private channels, and operations that remove channels.

use std::mem::replace;
use std::time::Duration;

use sysvring::mpmc::Receiver;
use sysvring::{Options, RecvError, Redelivery};

use super::receiving::{done, drain, guard};
use super::{End, Hands, OF_MANY, Operation, receiver, text};
use crate::steps::kernel::Side;
use crate::steps::ledger::note;
use crate::steps::many::{FAR, MEMBERS};
use crate::steps::messages::*;
use crate::steps::operations::After;
use crate::steps::operations::moving::MESSAGES;
use crate::steps::scenario::Other::{self, Asleep, Idle, Nobody};
use crate::steps::scenario::{Before, Scene};

/// States with messages that a dead receiver had in flight.
const ORPHANED: &[(State, Other)] =
    &[(ONE, Nobody), (MIDDLE, Idle), (FULL, Nobody), (WRAPPED, Nobody), (LAST_LAP_FULL, Idle)];

pub(super) fn operations() -> Vec<Operation> {
    let receiving = || Operation { side: Side::Receiver, setup: receiver, ..OF_MANY };
    let inheriting =
        || Operation { before: Before::Dead(Side::Receiver, FAR), cases: ORPHANED, ..receiving() };
    let private = || Operation { before: Before::Private, ..OF_MANY };
    let removing = || Operation { act: remove, ..OF_MANY };
    vec![
        Operation {
            name: "many_never_again",
            redelivery: Redelivery::Never,
            act: guard,
            cases: MESSAGES,
            ..receiving()
        },
        Operation { name: "many_drop", redelivery: Redelivery::Never, act: drain, ..inheriting() },
        Operation {
            name: "many_second_is_last",
            redelivery: Redelivery::UpTo(2),
            act: guards,
            ..inheriting()
        },
        Operation {
            name: "many_set_aside",
            redelivery: Redelivery::UpTo(1),
            act: drain,
            ..inheriting()
        },
        Operation {
            name: "many_create_private",
            before: Before::Nothing,
            act: |_, hands| {
                hands.end = End::ManySender(own().create().map_err(text)?);
                Ok(())
            },
            after: After::Reap,
            cases: &[(EMPTY, Nobody)],
            ..OF_MANY
        },
        Operation {
            name: "many_join_private",
            act: |scene, hands| {
                hands.end = End::ManySender(scene.options().attach().map_err(text)?);
                Ok(())
            },
            after: After::Coming,
            cases: &[(EMPTY, Idle)],
            ..private()
        },
        Operation {
            name: "many_leave_private",
            before: Before::Nothing,
            setup: |_| End::ManyReceiver(own().create::<Receiver<Load>>().expect("a channel")),
            act: |_, hands| {
                drop(replace(&mut hands.end, End::Nothing));
                Ok(())
            },
            after: After::Reap,
            cases: &[(EMPTY, Nobody)],
            ..OF_MANY
        },
        Operation {
            name: "many_remove",
            after: After::Removed,
            cases: &[(MIDDLE, Nobody), (EMPTY, Asleep)],
            ..removing()
        },
        Operation {
            name: "many_remove_again",
            after: After::RemovedAgain,
            cases: &[(MIDDLE, Nobody), (EMPTY, Asleep)],
            ..removing()
        },
        Operation {
            name: "many_remove_sender",
            side: Side::Receiver,
            after: After::Removed,
            cases: &[(FULL, Asleep)],
            ..removing()
        },
    ]
}

/// Returns options for a private channel.
fn own() -> Options {
    Options::private().capacity(CAPACITY as usize).max_members(MEMBERS)
}

fn remove(scene: &Scene, _: &mut Hands) -> Result<(), String> {
    sysvring::remove(scene.address()).map_err(text)
}

/// Processes all messages in place, including orphaned ones.
fn guards(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let report = scene.board.many.victim;
    loop {
        report.held.begin(1);
        match hands.many_rx().recv_ref_timeout(Duration::ZERO) {
            Ok(guard) => {
                note(&scene.board, report.seen, &guard);
                done(scene, &report, guard);
            }
            Err(error) => {
                report.held.end(1, 0);
                return match error {
                    RecvError::Timeout | RecvError::Disconnected => Ok(()),
                    error => Err(text(error)),
                };
            }
        }
    }
}

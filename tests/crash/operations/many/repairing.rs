//! Recovery in MPMC channels.

use super::receiving::drain;
use super::sending::try_send;
use super::{OF_MANY, Operation, find_in, life, receiver, sender};
use crate::steps::kernel::Side;
use crate::steps::many::{FAR, NEAR};
use crate::steps::messages::*;
use crate::steps::scenario::Before;
use crate::steps::scenario::Other::{self, Idle, Nobody};

/// States with a slot or messages that a dead member had in flight.
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
            ..find_in(life::operations(), "many_succeed_receiver")
        },
        Operation {
            name: "many_seat_of_receiver",
            before: after(Side::Receiver, NEAR),
            cases: &[(MIDDLE, Nobody), (LAST_LAP_FULL, Nobody)],
            ..find_in(life::operations(), "many_succeed_receiver")
        },
    ]
}

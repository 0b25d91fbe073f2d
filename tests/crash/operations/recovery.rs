//! Recovery in MPMC channels, and what becomes of a dead receiver's messages.

use sysvring::Redelivery;

use super::receiving::{MESSAGES, drain, drain_in_place, guard};
use super::sending::try_send;
use super::{Act, Cases, Handle, OPERATION, Operation, find_in, lifecycle, seated};
use crate::steps::handle::{Flavor, How, Rx, Side};
use crate::steps::messages::*;
use crate::steps::scenario::Other::{Idle, Nobody};
use crate::steps::scenario::{Before, FAR, NEAR, Scenario};

/// States with a slot or messages that a dead member had in flight.
const ORPHANED: Cases = &[
    (ONE, Nobody),
    (MIDDLE, Nobody),
    (MIDDLE, Idle),
    (FULL, Nobody),
    (WRAPPED, Nobody),
    (LAST_LAP, Nobody),
    (LAST_LAP_FULL, Idle),
];

const FULL_ORPHANED: Cases = &[(FULL, Nobody), (WRAPPED_FULL, Nobody), (LAST_LAP_FULL, Idle)];

/// States with messages that a dead receiver had in flight.
const IN_FLIGHT: Cases =
    &[(ONE, Nobody), (MIDDLE, Idle), (FULL, Nobody), (WRAPPED, Nobody), (LAST_LAP_FULL, Idle)];

const BY_NEXT: Cases = &[(MIDDLE, Nobody), (LAST_LAP_FULL, Nobody)];

/// States in which all slots but those of a dead receiver are in use, or free a lap later.
const HELD: Cases = &[(FULL, Nobody), (WRAPPED_FULL, Nobody), (LAST_LAP_FULL, Idle)];

/// Receives everything that the dead receiver did not have in flight.
fn receive_rest(scenario: &Scenario, rx: &mut Rx) {
    for _ in scenario.shared.ledger.orphans.get()..scenario.state.fill {
        scenario.of_victim().receiving(rx, Rx::try_recv).expect("a message");
    }
}

/// Returns a sender that has to step over the slots of a dead receiver.
fn before_held(scenario: &Scenario) -> Handle {
    let tx = seated(scenario);
    receive_rest(scenario, &mut scenario.rx(How::Open).expect("a member"));
    tx
}

/// Returns a receiver that finds the slots of a dead receiver, which were stepped over.
fn beside_held(scenario: &Scenario) -> Handle {
    let Handle::Rx(mut rx) = seated(scenario) else { panic!("the victim is not a receiver") };
    receive_rest(scenario, &mut rx);
    let mut tx = scenario.tx(How::Open).expect("a member");
    while scenario.shared.ledger.send_old(&mut tx) {}
    Handle::Rx(rx)
}

pub(super) fn operations() -> Vec<Operation> {
    let sending = Operation { flavor: Flavor::Mpmc, setup: seated, ..OPERATION };
    let receiving = Operation { side: Side::Receiver, ..sending };
    let after = |dead| Before::Dead(dead, FAR);
    let finding = |call, dead| Operation {
        call,
        before: after(dead),
        act: drain,
        cases: ORPHANED,
        ..receiving
    };
    let needing = |call, dead| Operation {
        call,
        before: after(dead),
        act: try_send,
        cases: FULL_ORPHANED,
        ..sending
    };
    let inheriting = |call, act: Act, redelivery| Operation {
        call,
        before: after(Side::Receiver),
        act,
        redelivery,
        cases: IN_FLIGHT,
        ..receiving
    };
    let succeeding = |call, dead| Operation {
        call,
        before: Before::Dead(dead, NEAR),
        cases: BY_NEXT,
        ..find_in(lifecycle::operations(Flavor::Mpmc), "mpmc_succeed_receiver")
    };
    vec![
        finding("recover", Side::Sender),
        needing("recover_full", Side::Sender),
        finding("take_over", Side::Receiver),
        Operation { setup: before_held, cases: HELD, ..needing("step_over", Side::Receiver) },
        Operation { setup: beside_held, cases: HELD, ..finding("take_over_held", Side::Receiver) },
        needing("full_orphaned", Side::Receiver),
        succeeding("seat_of_sender", Side::Sender),
        succeeding("seat_of_receiver", Side::Receiver),
        Operation {
            call: "no_redelivery",
            redelivery: Redelivery::Never,
            act: guard,
            cases: MESSAGES,
            ..receiving
        },
        inheriting("drop", drain, Redelivery::Never),
        inheriting("last_delivery", drain_in_place, Redelivery::Discard { after: 2 }),
        inheriting("discard", drain, Redelivery::Discard { after: 1 }),
    ]
}

//! Operations that make, join, leave and remove channels.

use std::mem::replace;

use sysvring::Lifetime::LastMember;
use sysvring::SendError;

use super::receiving::receive_all;
use super::{Act, After, Cases, Handle, OPERATION, Operation, Victim, reach, seated, text};
use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::messages::*;
use crate::steps::scenario::Other::{Armed, Asleep, Idle, Nobody};
use crate::steps::scenario::{Before, Scenario};

const NEW: Cases = &[(EMPTY, Nobody)];

/// A channel without members.
const KEPT: Cases = &[
    (EMPTY, Nobody),
    (MIDDLE, Nobody),
    (FULL, Nobody),
    (LAST_LAP, Nobody),
    (LAST_POSITIONS, Nobody),
];

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let any = Operation { flavor, ..OPERATION };
    let coming = Operation { after: After::Coming, ..any };
    let new = Operation { before: Before::Nothing, cases: NEW, ..coming };
    let of = |call, act: Act, cases| Operation { call, act, cases, ..coming };
    let leaving = |call, act: Act, cases| Operation { call, act, cases, setup: seated, ..any };
    let removing = |call, after, cases| Operation { call, act: remove, after, cases, ..any };
    let receiver = |operation| Operation { side: Side::Receiver, ..operation };
    let removed: Cases = &[(MIDDLE, Nobody), (EMPTY, Asleep)];
    let mut all = vec![
        Operation { call: "create_private", act: create_private, after: After::Reap, ..new },
        Operation { before: Before::Private, ..of("join_private", attach, &[(EMPTY, Idle)]) },
        of("succeed", succeed, KEPT),
        receiver(of("succeed_receiver", succeed_receiver, KEPT)),
        leaving(
            "leave",
            leave,
            &[(EMPTY, Asleep), (EMPTY, Armed), (EMPTY, Idle), (MIDDLE, Nobody), (LAST_LAP, Idle)],
        ),
        receiver(leaving(
            "leave_receiver",
            leave,
            &[
                (MIDDLE, Nobody),
                (FULL, Idle),
                (FULL, Asleep),
                (FULL, Armed),
                (LAST_LAP_FULL, Asleep),
            ],
        )),
        Operation {
            call: "leave_last",
            lifetime: LastMember,
            setup: with_messages,
            act: leave,
            after: After::Gone,
            ..new
        },
        Operation {
            call: "leave_private",
            setup: private_receiver,
            act: leave,
            after: After::Reap,
            ..new
        },
        leaving("close", close, &[(EMPTY, Asleep), (MIDDLE, Idle)]),
        receiver(leaving("close_receiver", close, &[(FULL, Asleep), (MIDDLE, Idle)])),
        removing("remove", After::Removed, &[(MIDDLE, Nobody), (EMPTY, Asleep), (EMPTY, Armed)]),
        removing("remove_again", After::RemovedAgain, removed),
        receiver(removing("remove_sender", After::Removed, &[(FULL, Asleep)])),
    ];
    match flavor {
        Flavor::Spsc => all.extend([
            Operation { call: "create", act: create, ..new },
            Operation {
                call: "create_reap",
                act: create,
                lifetime: LastMember,
                after: After::Reap,
                ..new
            },
            Operation { call: "create_incomplete", act: open, before: Before::HalfMade, ..new },
            of("open", open, KEPT),
            receiver(of("open_receiver", open, KEPT)),
            Operation {
                before: Before::WithoutSet,
                ..of("open_without_set", open, &[(MIDDLE, Nobody)])
            },
            of(
                "join",
                attach,
                &[(EMPTY, Idle), (EMPTY, Asleep), (EMPTY, Armed), (MIDDLE, Idle), (LAST_LAP, Idle)],
            ),
            receiver(of(
                "join_receiver",
                attach,
                &[(MIDDLE, Idle), (FULL, Asleep), (FULL, Armed), (LAST_LAP_FULL, Asleep)],
            )),
            Operation {
                call: "reap",
                before: Before::Leftovers,
                act: |_, _| sysvring::reap().map(drop).map_err(text),
                after: After::Reap,
                cases: &[(MIDDLE, Nobody)],
                ..any
            },
        ]),
        Flavor::Mpmc => all.extend([
            Operation { call: "create", act: open, ..new },
            of(
                "join",
                open,
                &[
                    (EMPTY, Nobody),
                    (EMPTY, Idle),
                    (EMPTY, Asleep),
                    (EMPTY, Armed),
                    (LAST_LAP, Idle),
                ],
            ),
            receiver(of(
                "join_receiver",
                open,
                &[
                    (MIDDLE, Nobody),
                    (MIDDLE, Idle),
                    (FULL, Asleep),
                    (FULL, Armed),
                    (LAST_LAP_FULL, Asleep),
                ],
            )),
        ]),
    }
    all
}

fn get(how: How, scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    victim.handle = reach(scenario, how).map_err(text)?;
    Ok(())
}

fn create(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    get(How::Create, scenario, victim)
}

fn open(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    get(How::Open, scenario, victim)
}

fn attach(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    get(How::Attach, scenario, victim)
}

fn create_private(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let tx = Tx::reach(scenario.flavor, How::Create, scenario.private());
    victim.handle = Handle::Tx(tx.map_err(text)?);
    Ok(())
}

/// Opens, continues where the last sender ended, and sends if there is a free slot. In an MPMC
/// channel it reports separately, because it may follow another victim.
fn succeed(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let mut tx = scenario.tx(How::Open).map_err(text)?;
    let report = scenario.of_peer();
    scenario.continue_at(report.sent, tx.position());
    let next = report.next(&tx);
    let result = report.sending(|| tx.try_send(&next));
    victim.handle = Handle::Tx(tx);
    match result {
        Ok(()) | Err(SendError::Full) => Ok(()),
        Err(error) => Err(text(error)),
    }
}

/// Opens, continues where the last receiver ended, and receives what is available.
fn succeed_receiver(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let mut rx = scenario.rx(How::Open).map_err(text)?;
    let report = scenario.of_peer();
    scenario.continue_at(report.taken, rx.position());
    let result = receive_all(report, &mut rx, Rx::recv_available);
    victim.handle = Handle::Rx(rx);
    result
}

fn leave(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    drop(replace(&mut victim.handle, Handle::Nothing));
    Ok(())
}

fn close(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    match replace(&mut victim.handle, Handle::Nothing) {
        Handle::Tx(tx) => tx.close().map_err(text),
        Handle::Rx(rx) => rx.close().map_err(text),
        _ => panic!("the victim has no handle to close"),
    }
}

fn remove(scenario: &Scenario, _: &mut Victim) -> Result<(), String> {
    sysvring::remove(scenario.address()).map_err(text)
}

/// Returns the only member of a channel that ends with its last member.
fn with_messages(scenario: &Scenario) -> Handle {
    let mut tx = scenario.tx(How::Open).expect("a sender");
    for _ in 0..2 {
        assert!(scenario.shared.ledger.send_old(&mut tx), "no free slot");
    }
    Handle::Tx(tx)
}

/// Returns the only member of a private channel.
fn private_receiver(scenario: &Scenario) -> Handle {
    let rx = Rx::reach(scenario.flavor, How::Create, scenario.private());
    Handle::Rx(rx.expect("a private channel"))
}

//! Operations that change the state of the stream: finishing, and the ways in which a sender joins.

use std::mem::replace;

use sysvring::RecvError;
use sysvring_support::raw_ipc::{self, DIED, FINISHED};

use super::{Act, After, Cases, Handle, OPERATION, Operation, Victim, seated, text};
use crate::steps::common_checks::opened;
use crate::steps::handle::{Flavor, How};
use crate::steps::messages::*;
use crate::steps::peer::Peer;
use crate::steps::scenario::Other::{Armed, Asleep, Idle, Nobody};
use crate::steps::scenario::{Before, Scenario};
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

/// The cases of a sender that joins.
const JOINING: Cases = &[(EMPTY, Nobody), (MIDDLE, Nobody)];

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let any = Operation { flavor, ..OPERATION };
    let joining = |call, act: Act, before, after| {
        let after = After::By(after);
        Operation { call, act, before, after, cases: JOINING, ..any }
    };
    let mut all = vec![
        Operation {
            call: "finish",
            setup: seated,
            act: finish,
            after: After::By(|survivor, peer| check(survivor, peer, &[DEAD, OVER])),
            cases: &[
                (EMPTY, Asleep),
                (EMPTY, Armed),
                (EMPTY, Nobody),
                (MIDDLE, Nobody),
                (LAST_LAP, Idle),
            ],
            ..any
        },
        joining("join_first", join, Before::Channel, |survivor, peer| {
            check(survivor, peer, &[OPEN, DEAD])
        }),
        joining("join_heir", join, Before::Died, |survivor, peer| check(survivor, peer, &[DEAD])),
        joining("join_next", join, Before::Ended, |survivor, peer| {
            check(survivor, peer, &[OVER, DEAD])
        }),
    ];
    if flavor == Flavor::Mpmc {
        all.push(Operation {
            setup: seated,
            // The two of them die together.
            ..joining("join_beside", join, Before::Channel, |survivor, peer| {
                check(survivor, peer, &[DEAD, (0, 2)])
            })
        });
    }
    all
}

/// States of a stream without senders: whether a sender has finished, and how many died.
const OPEN: (u16, u16) = (0, 0);
const OVER: (u16, u16) = (1, 0);
const DEAD: (u16, u16) = (0, 1);

fn finish(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    match replace(&mut victim.handle, Handle::Nothing) {
        Handle::Tx(tx) => tx.finish().map_err(text),
        _ => panic!("the victim is not a sender"),
    }
}

/// Joins. A process that comes to its end all the same dies as a member, with what it had.
fn join(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let tx = scenario.tx(How::Open).map_err(text)?;
    std::mem::forget((tx, replace(&mut victim.handle, Handle::Nothing)));
    Ok(())
}

/// Checks that the stream is in one of these states, that a receiver which joins only now gets
/// `Disconnected` if it has ended and otherwise waits, and that the channel is consistent.
fn check(
    survivor: &mut Survivor<'_>,
    mut peer: Option<Peer>,
    allowed: &[(u16, u16)],
) -> Result<(), Violation> {
    let scenario = survivor.scenario;
    let values = raw_ipc::values(raw_ipc::set_of(scenario.key).expect("a set"));
    let state = (values[FINISHED], values[DIED]);
    if !allowed.contains(&state) {
        return no(Kind::WrongResult, format!("finished and died are {state:?}: {values:?}"));
    }
    survivor.peer(After::Stream, &mut peer)?;
    if let Some(mut peer) = peer {
        peer.fork.kill_and_wait();
    }
    if scenario.state.fill == 0 {
        let (mut late, _) = opened(|| scenario.rx(How::Open))?;
        let wanted = if state == OVER { RecvError::Disconnected } else { RecvError::Empty };
        let found = late.try_recv();
        if found != Err(wanted) {
            return no(Kind::WrongResult, format!("in {state:?}, a late receiver gets {found:?}"));
        }
    }
    survivor.channel(None)
}

//! Operations that receive.

use std::time::Duration;

use sysvring::mpmc::{Guard, Receiver};
use sysvring::spsc;
use sysvring::{DeadLetter, Options, RecvError, Redelivery};

use super::{Act, After, Cases, Handle, OPERATION, Operation, Victim, seated, text};
use crate::steps::handle::{Flavor, How, Rx, Side};
use crate::steps::ledger::Report;
use crate::steps::messages::*;
use crate::steps::peer::Peer;
use crate::steps::scenario::Other::{Asleep, Idle, Late, Nobody, SameSide};
use crate::steps::scenario::Scenario;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

pub(super) const MESSAGES: Cases = &[
    (ONE, Nobody),
    (MIDDLE, Nobody),
    (MIDDLE, Idle),
    (FULL, Nobody),
    (FULL, Idle),
    (FULL, Asleep),
    (WRAPPED, Nobody),
    (WRAPPED_FULL, Asleep),
    (LAST_LAP, Nobody),
    (LAST_LAP_FULL, Asleep),
    (LAST_POSITIONS, Idle),
];

/// States without messages, in which the peer sends some while the victim is parked.
pub(super) const MESSAGES_LATER: Cases =
    &[(EMPTY, Late), (WRAPPED_EMPTY, Late), (LAST_LAP_EMPTY, Late), (LAST_POSITIONS_EMPTY, Late)];

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let receiving = Operation { flavor, side: Side::Receiver, setup: seated, ..OPERATION };
    let of = |call, act: Act, cases| Operation { call, act, cases, ..receiving };
    let mut all = vec![
        of("recv", recv, MESSAGES),
        of("recv_waiting", recv, MESSAGES_LATER),
        of("recv_interrupted", recv_interrupted, MESSAGES_LATER),
        of("recv_ref", guard, MESSAGES),
        of("recv_ref_waiting", guard, MESSAGES_LATER),
        of("recv_batch", recv_batch, MESSAGES),
        of("recv_batch_waiting", recv_batch, MESSAGES_LATER),
        of("try_recv", try_recv, MESSAGES),
        of("release", release, MESSAGES),
        of("reject", reject, MESSAGES),
        Operation {
            setup: after_a_letter,
            redelivery: Redelivery::DeadLetter { after: 15 },
            after: After::By(letters_of_a_courier),
            ..of(
                "reject_to_letters",
                reject,
                &[(MIDDLE, Nobody), (FULL, Nobody), (WRAPPED, Nobody), (LAST_LAP, Nobody)],
            )
        },
    ];
    match flavor {
        Flavor::Spsc => {
            let empty: Cases = &[(EMPTY, Nobody), (EMPTY, Idle), (LAST_LAP_EMPTY, Idle)];
            all.push(of("try_recv_empty", try_recv, empty));
        }
        Flavor::Mpmc => all.extend([
            of("recv_into", recv_into, MESSAGES),
            Operation {
                setup: held,
                ..of(
                    "acknowledge",
                    acknowledge,
                    &[
                        (ONE, SameSide),
                        (MIDDLE, SameSide),
                        (WRAPPED, SameSide),
                        (LAST_LAP, SameSide),
                    ],
                )
            },
            Operation { setup: stepped_over, ..of("acknowledge_held", acknowledge, HELD) },
            Operation { setup: stepped_over, ..of("return_held", give_back, HELD) },
        ]),
    }
    all
}

/// Returns all messages, in flight.
fn held(scenario: &Scenario) -> Handle {
    let Handle::Rx(Rx::Mpmc(rx)) = seated(scenario) else { panic!("the victim is not a receiver") };
    let rx: &'static Receiver<Message> = Box::leak(Box::new(rx));
    let report = scenario.of_victim();
    let held = (0..scenario.state.fill).map(|_| rx.recv_ref().expect("a message"));
    let held: Vec<Guard<'_, Message>> = held.collect();
    report.held.begin(held.len() as u64);
    held.iter().for_each(|guard| report.read(guard));
    Handle::Guards(held)
}

/// States in which every message is received, and only the last one or two stay in flight.
const HELD: Cases = &[(MIDDLE, Nobody), (FULL, Nobody), (WRAPPED_FULL, Idle), (LAST_LAP, Nobody)];

/// Returns the first two messages, in flight. Their slots were stepped over: all others are
/// received, and the ring is full again.
fn stepped_over(scenario: &Scenario) -> Handle {
    let Handle::Rx(Rx::Mpmc(rx)) = seated(scenario) else { panic!("the victim is not a receiver") };
    let rx: &'static Receiver<Message> = Box::leak(Box::new(rx));
    let report = scenario.of_victim();
    let held: Vec<_> = (0..2).map(|_| rx.recv_ref().expect("a message")).collect();
    report.held.begin(2);
    held.iter().for_each(|guard| report.read(guard));
    let mut other = scenario.rx(How::Open).expect("a member");
    for _ in 2..scenario.state.fill {
        report.receiving(&mut other, Rx::try_recv).expect("a message");
    }
    let mut tx = scenario.tx(How::Open).expect("a member");
    while scenario.shared.ledger.send_old(&mut tx) {}
    for _ in 2..CAPACITY {
        report.receiving(&mut other, Rx::try_recv).expect("a message");
    }
    assert!(scenario.shared.ledger.send_old(&mut tx), "the slots of the ring are free");
    Handle::Guards(held)
}

/// Returns all messages in flight.
fn give_back(_: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::Guards(held) = &mut victim.handle else { panic!("the victim has no guards") };
    held.drain(..).try_for_each(|guard| guard.release().map_err(text))
}

fn recv(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    scenario.of_victim().receiving(victim.rx(), Rx::recv).map_err(text)
}

/// A call that would block returns an interrupt, and the next one waits while it watches for another.
fn recv_interrupted(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    victim.rx().interrupter().interrupt();
    match scenario.of_victim().receiving(victim.rx(), Rx::recv) {
        Err(RecvError::Interrupted) => recv(scenario, victim),
        other => Err(format!("{other:?} instead of an interrupt")),
    }
}

fn recv_into(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let recv = |rx: &mut Rx| {
        let Rx::Mpmc(rx) = rx else { panic!("an SPSC receiver") };
        let mut message = [0; 6];
        rx.recv_into(&mut message).map(|()| message)
    };
    scenario.of_victim().receiving(victim.rx(), recv).map_err(text)
}

/// Receives under a guard. In an MPMC channel, a message that is read but not acknowledged is
/// redelivered if this process dies meanwhile.
pub(super) fn guard(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let report = scenario.of_victim();
    match victim.rx() {
        Rx::Spsc(rx) => {
            let guard = rx.recv_ref().map_err(text)?;
            report.received(Some(guard.position()), &guard);
            report.taken.begin(1);
            guard.ack().map_err(text)?;
            report.taken.end(1, 1);
            Ok(())
        }
        Rx::Mpmc(rx) => process(report, || rx.recv_ref()).map_err(text),
    }
}

/// Returns a message that it received.
fn release(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let report = scenario.of_victim();
    match victim.rx() {
        Rx::Spsc(rx) => rx.recv_ref().and_then(spsc::Guard::release).map_err(text),
        Rx::Mpmc(rx) => {
            // It is redelivered, whether this process dies or not.
            report.held.begin(1);
            let guard = rx.recv_ref().map_err(text)?;
            report.read(&guard);
            guard.release().map_err(text)
        }
    }
}

/// Gives a message up that it received.
fn reject(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let report = scenario.of_victim();
    match victim.rx() {
        Rx::Spsc(rx) => {
            let guard = rx.recv_ref().map_err(text)?;
            report.received(Some(guard.position()), &guard);
            report.taken.begin(1);
            guard.reject().map_err(text)?;
            report.taken.end(1, 1);
        }
        Rx::Mpmc(rx) => {
            report.held.begin(1);
            let guard = rx.recv_ref().map_err(text)?;
            report.read(&guard);
            let message = *guard;
            report.taken.begin(1);
            guard.reject().map_err(text)?;
            report.received(None, &message);
            report.taken.end(1, 1);
            report.held.end(1, 1);
        }
    }
    Ok(())
}

/// Has rejected a message, so that the dead-letter channel is known. It has few slots, because a
/// courier looks at all of them when it leaves.
fn after_a_letter(scenario: &Scenario) -> Handle {
    let letters = Options::named(scenario.letters())
        .slot_size(DeadLetter::slot_size(size_of::<Message>()))
        .capacity(2 * CAPACITY as usize);
    drop(letters.open::<Receiver<DeadLetter>>().expect("a channel for the letters"));
    let mut victim = Victim::new(seated(scenario));
    reject(scenario, &mut victim).expect("a letter");
    victim.handle
}

/// The dead letters are complete, and the victim does not count as one of their senders.
fn letters_of_a_courier(survivor: &mut Survivor, peer: Option<Peer>) -> Result<(), Violation> {
    let letters = open_letters(&survivor.scenario.letters())?;
    match letters.stat() {
        Ok(stat) if stat.lost_senders == 0 => {}
        other => {
            return no(Kind::WrongCount, format!("a sender of the letters was lost: {other:?}"));
        }
    }
    drop(letters);
    letters_are_complete(survivor, peer)
}

fn open_letters(name: &str) -> Result<Receiver<DeadLetter>, Violation> {
    let cannot = |error| no(Kind::CannotOpen, format!("the dead letters: {error}"));
    Options::named(name).attach().or_else(cannot)
}

/// Every message that was acknowledged is in the dead-letter channel; the last one may be in both.
pub fn letters_are_complete(survivor: &mut Survivor, peer: Option<Peer>) -> Result<(), Violation> {
    survivor.open(Side::Receiver)?;
    let left = survivor.rx.as_ref().expect("open").len() as u64;
    let acknowledged = survivor.scenario.state.fill - left;
    let name = survivor.scenario.letters();
    let letters = open_letters(&name)?;
    let count = letters.len() as u64;
    drop(letters);
    sysvring::remove(name.as_str()).or_else(|e| no(Kind::Leaked, format!("letters: {e}")))?;
    if !(acknowledged..=acknowledged + 1).contains(&count) {
        let what = format!("{acknowledged} messages are acknowledged, and {count} were moved");
        return no(Kind::WrongCount, what);
    }
    survivor.channel(peer)
}

/// Receives a message under a guard, reads and acknowledges it.
pub(super) fn process<'a>(
    report: &Report,
    recv: impl FnOnce() -> Result<Guard<'a, Message>, RecvError>,
) -> Result<(), RecvError> {
    report.held.begin(1);
    match recv() {
        Ok(guard) => {
            report.read(&guard);
            done(report, guard);
            Ok(())
        }
        Err(error) => {
            report.held.end(1, 0);
            Err(error)
        }
    }
}

#[inline(always)]
fn done(report: &Report, guard: Guard<'_, Message>) {
    let message = *guard;
    report.taken.begin(1);
    guard.ack().expect("this member has its seat");
    report.received(None, &message);
    report.taken.end(1, 1);
    report.held.end(1, 1);
}

fn acknowledge(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let report = scenario.of_victim();
    let Handle::Guards(held) = &mut victim.handle else { panic!("the victim has no guards") };
    held.drain(..).for_each(|guard| done(report, guard));
    Ok(())
}

pub(super) fn recv_batch(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Victim { handle: Handle::Rx(rx), got, .. } = victim else { panic!("not a receiver") };
    let report = scenario.of_victim();
    let first = rx.position();
    if first.is_none() {
        report.held.begin(6);
    }
    report.taken.begin(6);
    let result = rx.recv_batch(got, 6);
    let taken = *result.as_ref().unwrap_or(&0) as u64;
    for (n, got) in (0..).zip(got.iter()) {
        report.received(first.map(|first| first.wrapping_add(n)), got);
    }
    report.taken.end(6, taken);
    if first.is_none() {
        report.held.end(6, taken);
    }
    result.map(drop).map_err(text)
}

/// Receives all messages and tries once more, so that it finds the ring empty.
fn try_recv(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    receive_all(scenario.of_victim(), victim.rx(), Rx::try_recv)
}

/// MPMC: does the same, and also takes orphaned messages.
pub(super) fn drain(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    receive_all(scenario.of_victim(), victim.rx(), Rx::recv_available)
}

/// MPMC: processes all messages in place, including orphaned ones.
pub(super) fn drain_in_place(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let report = scenario.of_victim();
    let Rx::Mpmc(rx) = victim.rx() else { panic!("an SPSC receiver") };
    let error = loop {
        if let Err(error) = process(report, || rx.recv_ref_timeout(Duration::ZERO)) {
            break error;
        }
    };
    at_the_end(error)
}

/// Receives what is available.
pub fn receive_all(
    report: &Report,
    rx: &mut Rx,
    recv: impl Fn(&mut Rx) -> Result<Message, RecvError>,
) -> Result<(), String> {
    let error = loop {
        if let Err(error) = report.receiving(rx, &recv) {
            break error;
        }
    };
    at_the_end(error)
}

/// Returns whether the error is that there is no further message.
fn at_the_end(error: RecvError) -> Result<(), String> {
    match error {
        RecvError::Empty | RecvError::Timeout | RecvError::Disconnected => Ok(()),
        error => Err(text(error)),
    }
}

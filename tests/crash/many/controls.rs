//! Mutation tests of MPMC channels, like those of `controls.rs` above.

use std::hint::black_box;
use std::sync::atomic::Ordering::{AcqRel, Release};

use sysvring_support::tests;

use crate::steps::controls::{Raw, attach, control};
use crate::steps::every_instruction::Plan;
use crate::steps::kernel::{FIRST_SEAT, Memory, Side, USERS, at, op, semop};
use crate::steps::messages::*;
use crate::steps::operations::{After, End, Hands, Operation, find, many::OF_MANY};
use crate::steps::scenario::Other::{Asleep, Fellow, Nobody};
use crate::steps::scenario::Scene;
use crate::steps::slots::{Phase, message, swap, word};
use crate::steps::violation::Kind;

tests![
    a_word_before_its_message_is_detected,
    a_claim_without_recovery_is_detected,
    a_message_without_take_over_is_detected,
    a_death_without_a_post_is_detected,
    a_death_without_a_post_to_its_own_side_is_detected,
];

/// The mutation: the slot's word is stored before its message.
fn a_word_before_its_message_is_detected() {
    control("many_early", Plan::Points(500), Kind::Wrong);
}

/// The mutation: no member steps over a slot that a dead sender claimed.
fn a_claim_without_recovery_is_detected() {
    control("many_no_repair", Plan::Points(500), Kind::Count);
}

/// The mutation: no member takes over a dead receiver's messages.
fn a_message_without_take_over_is_detected() {
    control("many_no_take_over", Plan::Points(500), Kind::Count);
}

/// The mutation: no post to the other side is registered for the moment of death.
fn a_death_without_a_post_is_detected() {
    // Each one that is found takes as long as a parked waiter has to wake.
    control("many_no_post", Plan::Points(60), Kind::Asleep);
}

/// The mutation: no post to the victim's own side is registered for the moment of death.
fn a_death_without_a_post_to_its_own_side_is_detected() {
    control("many_no_own_post", Plan::Points(30), Kind::Asleep);
}

/// Seats of victims: the second seat, behind a peer, or the first.
const SECOND: usize = 1;
const FIRST: usize = 0;

pub fn operation(name: &str) -> Operation {
    match name {
        "many_early" => Operation {
            name: "many_early",
            setup: sender_without_post,
            act: |scene, hands| send(scene, hands, put_early),
            cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
            ..OF_MANY
        },
        "many_no_repair" => Operation {
            name: "many_no_repair",
            after: After::Unrepaired,
            cases: &[(EMPTY, Nobody), (WRAPPED, Nobody)],
            ..find("many_commit")
        },
        "many_no_take_over" => Operation {
            name: "many_no_take_over",
            after: After::Unrepaired,
            cases: &[(ONE, Nobody), (WRAPPED, Nobody)],
            ..find("many_recv_ref")
        },
        "many_no_post" => Operation {
            name: "many_no_post",
            setup: sender_without_post,
            act: |scene, hands| send(scene, hands, put),
            cases: &[(EMPTY, Asleep)],
            ..OF_MANY
        },
        "many_no_own_post" => Operation {
            name: "many_no_own_post",
            side: Side::Receiver,
            setup: receiver_without_own_post,
            act: acknowledge,
            cases: &[(ONE, Fellow)],
            ..OF_MANY
        },
        other => panic!("{other} is not a control"),
    }
}

/// Takes a seat and fills its line of the members' table.
fn sit(raw: &Raw, side: Side, seat: usize) {
    semop(raw.set, &mut [USERS, side.count(), FIRST_SEAT + seat].map(|n| op(n, 1, true)));
    let line = at::MEMBERS + at::MEMBER * seat;
    raw.memory.half(line + at::ROLE).store(1 + side as u32, Release);
    raw.memory.half(line + at::JOINED).store(1, Release);
    raw.memory.half(line + at::STATE).store(1, Release);
    let parking = if side == Side::Sender { at::SENDERS } else { at::RECEIVERS };
    raw.memory.half(parking + at::JOINS).fetch_add(1, AcqRel);
}

fn sender_without_post(scene: &Scene) -> End {
    let End::Raw(raw) = attach(scene) else { unreachable!("just made") };
    sit(&raw, Side::Sender, SECOND);
    raw.wake();
    End::Raw(raw)
}

/// A receiver that has the only message in flight. The senders would be notified of its death.
fn receiver_without_own_post(scene: &Scene) -> End {
    let End::Raw(raw) = attach(scene) else { unreachable!("just made") };
    sit(&raw, Side::Receiver, FIRST);
    let senders = Side::Sender.wake();
    semop(raw.set, &mut [op(senders, 1, false), op(senders, -1, true)]);
    let base = scene.state.base;
    let reading = word(base, Phase::Reading, 1, FIRST as u64);
    assert!(swap(&raw.memory, base, word(base, Phase::Full, 0, 0), reading), "a message");
    End::Raw(raw)
}

fn acknowledge(scene: &Scene, hands: &mut Hands) -> Result<(), String> {
    let End::Raw(raw) = &hands.end else { panic!("the victim is not raw") };
    let (base, report) = (scene.state.base, scene.board.many.victim);
    let got = black_box(message(&raw.memory, base));
    report.held.begin(1);
    report.taken.begin(1);
    let free = word(base.wrapping_add(CAPACITY), Phase::Free, 0, 0);
    swap(&raw.memory, base, word(base, Phase::Reading, 1, FIRST as u64), free);
    crate::steps::ledger::note(&scene.board, report.got, &got);
    report.taken.end(1, 1);
    report.held.end(1, 1);
    Ok(())
}

/// Sends one message and reports it.
fn send(scene: &Scene, hands: &mut Hands, put: fn(&Raw, u64, &Load)) -> Result<(), String> {
    let End::Raw(raw) = &hands.end else { panic!("the victim is not raw") };
    let report = scene.board.many.victim;
    let position = scene.state.base.wrapping_add(scene.state.fill);
    let load = load(report.first);
    report.sending(|| {
        put(raw, position, &load);
        Ok(())
    })
}

fn claimed(position: u64) -> u64 {
    word(position, Phase::Claimed, 0, SECOND as u64)
}

fn claim(raw: &Raw, position: u64) {
    swap(&raw.memory, position, word(position, Phase::Free, 0, 0), claimed(position));
}

fn publish(raw: &Raw, position: u64) {
    swap(&raw.memory, position, claimed(position), word(position, Phase::Full, 0, 0));
}

fn write(raw: &Raw, position: u64, load: &Load) {
    for (i, part) in load.iter().enumerate() {
        // Stores word by word; no store is reordered with another.
        let at = Memory::slot(position) + 8 * (1 + i);
        raw.memory.word(at).store(black_box(*part), Release);
    }
}

fn put(raw: &Raw, position: u64, load: &Load) {
    claim(raw, position);
    write(raw, position, load);
    publish(raw, position);
    raw.wake();
}

fn put_early(raw: &Raw, position: u64, load: &Load) {
    claim(raw, position);
    publish(raw, position);
    write(raw, position, load);
}

//! Mutation tests with victims and survivors that violate the protocol, which the harness must
//! detect. Each leaves out one thing that the crate does for the sake of crashes; the crate has no
//! switches for that.

use std::hint::black_box;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use sysvring_support::worker::{Orders, say};
use sysvring_support::{tests, workers};

use crate::steps::case::Case;
use crate::steps::driver::{self, OVER};
use crate::steps::every_instruction::{Plan, recorded};
use crate::steps::kernel::{self, FIRST_SEAT, Memory, PARKED, SENDERS, Side, USERS, at, op, semop};
use crate::steps::many;
use crate::steps::messages::*;
use crate::steps::operations::{After, End, Hands, OPERATION, Operation, find};
use crate::steps::peer::Peer;
use crate::steps::report::Board;
use crate::steps::scenario::Other::{Asleep, Nobody};
use crate::steps::scenario::Scene;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

workers![walk_through];

tests![
    a_word_before_its_message_is_detected,
    a_seat_without_undo_is_detected,
    a_death_without_a_post_is_detected,
    a_successor_without_recovery_is_detected,
];

/// A channel that is used without the crate.
pub struct Raw {
    pub memory: Memory,
    pub set: i32,
}

/// The mutation: the slot's word is stored before its message.
fn a_word_before_its_message_is_detected() {
    control("early_word", Plan::Every(1), Kind::Wrong);
}

/// The mutation: the seat has no `SEM_UNDO`.
fn a_seat_without_undo_is_detected() {
    control("no_undo", Plan::Every(1), Kind::Held);
}

/// The mutation: no post is registered for the moment of death.
fn a_death_without_a_post_is_detected() {
    // Each one that is found takes as long as a parked waiter has to wake.
    control("no_post", Plan::Points(100), Kind::Asleep);
}

/// The mutation: a new sender does not check what its predecessor left incomplete.
fn a_successor_without_recovery_is_detected() {
    control("no_repair", Plan::Every(1), Kind::Count);
}

pub fn control(name: &str, plan: Plan, kind: Kind) {
    let report = driver::drive("controls::walk_through", &[&name, &plan, &(kind as u8)]);
    report.must_be_clean();
    let [killed, found, others] = [0, 1, 2].map(|at| report.sum(at));
    println!(
        "control {name:<17}{killed:>6} killed {found:>6} found, as {kind:?} {others:>3} others"
    );
    assert!(found > 0, "the harness does not detect the mutation");
    assert_eq!(others, 0, "found for another reason");
}

/// Walks one control. Reports for each case the number of victims, the number for which the
/// expected kind of violation was found, and the number for which another kind was found.
fn walk_through(orders: &mut Orders) {
    driver::begin(orders);
    let (name, plan, kind): (String, Plan, u8) = (orders.next(), orders.next(), orders.next());
    let operation = operation(&name);
    let board = Board::new();
    for case in operation.cases {
        let mut case = Case::new(&operation, *case, board);
        // Undisturbed, it behaves as the unmodified protocol does.
        let Some(way) = recorded(&mut case) else { continue };
        let points = plan.points(&way);
        let (mut found, mut others) = (0, 0);
        for point in &points {
            if let Err(violation) = case.kill_at(&way, *point) {
                let expected = violation.0 as u8 == kind;
                found += u32::from(expected);
                others += u32::from(!expected);
                if !expected {
                    eprintln!("{}, {point:?}: {violation}", case.name());
                }
                case.clean_up();
            }
        }
        say(format!("{} {found} {others}", points.len()));
    }
    say(OVER);
}

fn operation(name: &str) -> Operation {
    match name {
        "early_word" => Operation {
            name: "early_word",
            setup: attach,
            act: |scene, hands| send(scene, hands, Raw::put_early),
            cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
            ..OPERATION
        },
        "no_undo" => Operation {
            name: "no_undo",
            act: |scene, _| {
                let set = kernel::set(scene.key).expect("a set");
                sit(set, false);
                // It leaves as it joined, so an undisturbed run ends correctly.
                semop(set, &mut [USERS, SENDERS, FIRST_SEAT].map(|n| op(n, -1, false)));
                Ok(())
            },
            cases: &[(MIDDLE, Nobody)],
            ..OPERATION
        },
        "no_post" => Operation {
            name: "no_post",
            setup: join_without_post,
            act: |scene, hands| send(scene, hands, Raw::put),
            cases: &[(EMPTY, Asleep)],
            ..OPERATION
        },
        "no_repair" => Operation {
            name: "no_repair",
            after: After::By(succeed_without_repair),
            cases: &[(EMPTY, Asleep), (WRAPPED_EMPTY, Asleep)],
            ..find("send")
        },
        other => many::controls::operation(other),
    }
}

pub fn attach(scene: &Scene) -> End {
    let set = kernel::set(scene.key).expect("a set");
    End::Raw(Raw { memory: Memory::of(scene.segment), set })
}

fn sit(set: i32, undo: bool) {
    semop(set, &mut [USERS, SENDERS, FIRST_SEAT].map(|n| op(n, 1, undo)));
}

/// Takes a seat and notifies the receiver.
fn join_without_post(scene: &Scene) -> End {
    let End::Raw(raw) = attach(scene) else { unreachable!("just made") };
    sit(raw.set, true);
    raw.memory.half(at::SENDERS + at::JOINS).fetch_add(1, AcqRel);
    raw.wake();
    End::Raw(raw)
}

/// Sends one message and reports it.
fn send(scene: &Scene, hands: &mut Hands, put: fn(&Raw)) -> Result<(), String> {
    let End::Raw(raw) = &hands.end else { panic!("the victim is not raw") };
    scene.board.sent.begin(1);
    put(raw);
    scene.board.sent.end(1, 1);
    Ok(())
}

impl Raw {
    fn tail(&self) -> u64 {
        self.memory.word(at::TAIL).load(Relaxed)
    }

    fn announce(&self, position: u64) {
        self.memory.word(Memory::slot(position)).store(Memory::full(position), Release);
    }

    fn write(&self, position: u64) {
        for (i, word) in load(position).into_iter().enumerate() {
            // Stores word by word; no store is reordered with another.
            self.memory.word(Memory::slot(position) + 8 * (1 + i)).store(black_box(word), Release);
        }
    }

    fn put(&self) {
        self.put_at(self.tail());
    }

    fn put_at(&self, position: u64) {
        self.write(position);
        self.announce(position);
        self.memory.word(at::TAIL).store(position.wrapping_add(1), Release);
        self.wake();
    }

    fn put_early(&self) {
        let position = self.tail();
        self.announce(position);
        self.write(position);
        self.memory.word(at::TAIL).store(position.wrapping_add(1), Release);
    }

    pub fn wake(&self) {
        let parked = self.memory.half(at::RECEIVERS);
        if parked.load(Relaxed) & PARKED != 0 && parked.fetch_and(!PARKED, AcqRel) & PARKED != 0 {
            semop(self.set, &mut [op(Side::Receiver.wake(), 1, false)]);
        }
    }
}

/// Continues at the position that its predecessor reported, whatever was published there.
fn succeed_without_repair(
    survivor: &mut Survivor<'_>,
    mut peer: Option<Peer>,
) -> Result<(), Violation> {
    let scene = survivor.scene;
    survivor.peer(After::Stream, &mut peer)?;
    let End::Raw(raw) = attach(scene) else { unreachable!("just made") };
    // The tail is where the predecessor began.
    raw.put_at(raw.tail() + scene.board.sent.get().0);
    let mut rx = scene.receiver();
    let next = load(rx.position());
    let got = rx.try_recv();
    drop((rx, raw));
    sysvring::remove(scene.address()).expect("removed");
    match got {
        Ok(got) if got == next => Ok(()),
        other => no(Kind::Count, format!("the successor's message is lost: {other:?}")),
    }
}

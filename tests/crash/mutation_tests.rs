//! Mutation tests with victims and survivors that violate the protocol, which the harness must
//! detect. Each leaves out one thing that the crate does for the sake of crashes; the crate has no
//! switches for that.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use sysvring_support::raw_ipc::{FIRST_SEAT, Segment, USERS, at, op, segment_of, semop, set_of};
use sysvring_support::suite::Test;
use sysvring_support::work;
use sysvring_support::worker::{Orders, say};

use crate::steps::account::Got;
use crate::steps::case::Case;
use crate::steps::driver::{self, OVER};
use crate::steps::every_instruction::{Plan, recorded};
use crate::steps::handle::{Flavor, How, Side};
use crate::steps::messages::*;
use crate::steps::one_for_each;
use crate::steps::operations::{After, Handle, OPERATION, Operation, Victim, find};
use crate::steps::peer::Peer;
use crate::steps::report::Shared;
use crate::steps::scenario::Other::{Asleep, Nobody, SameSide};
use crate::steps::scenario::Scenario;
use crate::steps::slots::{self, Phase};
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

/// The bit of a parking word that is set if the side has a parked waiter.
const PARKED: u32 = 1;

/// An operation, or a check after it, that leaves something out.
struct Mutation {
    name: &'static str,
    operation: Operation,
    plan: Plan,
    /// The kind of violation that it must be detected as.
    kind: Kind,
}

fn mutations() -> Vec<Mutation> {
    use Flavor::{Mpmc, Spsc};
    let of = |flavor| Operation { flavor, ..OPERATION };
    // Each one that is found as `Asleep` takes as long as a parked waiter has to wake.
    vec![
        Mutation {
            name: "a_slot_published_before_its_message_is_written",
            operation: Operation {
                setup: |scenario| Handle::Raw(Raw::attach(scenario)),
                act: |scenario, victim| send(scenario, victim, Order::PublishFirst),
                cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
                ..of(Spsc)
            },
            plan: Plan::Every(1),
            kind: Kind::WrongMessage,
        },
        Mutation {
            name: "a_seat_without_undo",
            operation: Operation {
                act: |scenario, _| {
                    let set = set_of(scenario.key).expect("a set");
                    let seat = [USERS, Side::Sender.count(), FIRST_SEAT];
                    semop(set, &mut seat.map(|n| op(n, 1, false)));
                    // It leaves as it joined, so an undisturbed run ends correctly.
                    semop(set, &mut seat.map(|n| op(n, -1, false)));
                    Ok(())
                },
                cases: &[(MIDDLE, Nobody)],
                ..of(Spsc)
            },
            plan: Plan::Every(1),
            kind: Kind::SemaphoreHeld,
        },
        Mutation {
            name: "a_death_without_a_post",
            operation: Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::WriteFirst),
                cases: &[(EMPTY, Asleep)],
                ..of(Spsc)
            },
            plan: Plan::Points(100),
            kind: Kind::NotWoken,
        },
        Mutation {
            name: "a_successor_without_recovery",
            operation: Operation {
                after: After::By(succeed_without_recovery),
                cases: &[(EMPTY, Asleep), (WRAPPED_EMPTY, Asleep)],
                ..find("send")
            },
            plan: Plan::Every(1),
            kind: Kind::WrongCount,
        },
        Mutation {
            name: "mpmc_a_slot_published_before_its_message_is_written",
            operation: Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::PublishFirst),
                cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
                ..of(Mpmc)
            },
            plan: Plan::Points(500),
            kind: Kind::WrongMessage,
        },
        // No member steps over a slot that a dead sender claimed.
        Mutation {
            name: "mpmc_a_claim_without_recovery",
            operation: Operation {
                after: After::By(receive_without_recovery),
                cases: &[(EMPTY, Nobody), (WRAPPED, Nobody)],
                ..find("mpmc_commit")
            },
            plan: Plan::Points(500),
            kind: Kind::WrongCount,
        },
        // No member takes over a dead receiver's messages.
        Mutation {
            name: "mpmc_a_message_without_take_over",
            operation: Operation {
                after: After::By(receive_without_recovery),
                cases: &[(ONE, Nobody), (WRAPPED, Nobody)],
                ..find("mpmc_recv_ref")
            },
            plan: Plan::Points(500),
            kind: Kind::WrongCount,
        },
        Mutation {
            name: "mpmc_a_death_without_a_post",
            operation: Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::WriteFirst),
                cases: &[(EMPTY, Asleep)],
                ..of(Mpmc)
            },
            plan: Plan::Points(60),
            kind: Kind::NotWoken,
        },
        Mutation {
            name: "mpmc_a_death_without_a_post_to_its_own_side",
            operation: Operation {
                side: Side::Receiver,
                setup: receiver_without_own_post,
                act: acknowledge,
                cases: &[(ONE, SameSide)],
                ..of(Mpmc)
            },
            plan: Plan::Points(30),
            kind: Kind::NotWoken,
        },
    ]
}

/// Returns one test for each mutation.
pub fn tests() -> Vec<Test> {
    let names = mutations().iter().map(|mutation| mutation.name.into()).collect();
    one_for_each(module_path!(), names, is_detected)
}

fn is_detected(name: &str) {
    let outcome = driver::drive("mutation_tests::kill_at_points", &[&name]);
    outcome.must_be_clean();
    let [killed, found, others] = [0, 1, 2].map(|at| outcome.sum(at));
    println!("mutation {name:<52}{killed:>6} killed {found:>6} found {others:>3} others");
    assert!(found > 0, "the harness does not detect the mutation");
    assert_eq!(others, 0, "found for another reason");
}

/// Reports for each case of a mutation the number of victims, the number for which the expected kind
/// of violation was found, and the number for which another kind was found.
#[work]
fn kill_at_points(orders: &mut Orders) {
    driver::begin(orders);
    let name: String = orders.next();
    let mutation = mutations().into_iter().find(|mutation| mutation.name == name);
    let Mutation { operation, plan, kind, .. } = mutation.expect("a mutation");
    let shared = Shared::new();
    for case in operation.cases {
        let mut case = Case::new(&operation, *case, shared);
        // Undisturbed, it behaves as the unmodified protocol does.
        let Some(trace) = recorded(&mut case) else { continue };
        let points = plan.points(&trace);
        let (mut found, mut others) = (0, 0);
        for point in &points {
            if let Err(violation) = case.kill_at(&trace, *point) {
                let expected = violation.0 == kind;
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

/// A channel that is used without the crate.
pub struct Raw {
    memory: Segment,
    set: i32,
    flavor: Flavor,
}

/// Whether a sender writes a message before it publishes its slot, or afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    WriteFirst,
    PublishFirst,
}

impl Raw {
    fn attach(scenario: &Scenario) -> Raw {
        let segment = segment_of(scenario.key).expect("a segment");
        Raw {
            memory: Segment::attach(segment).expect("shmat"),
            set: set_of(scenario.key).expect("a set"),
            flavor: scenario.flavor,
        }
    }

    /// Takes a seat.
    fn join(&self, side: Side, seat: usize) {
        let seats = [USERS, side.count(), FIRST_SEAT + seat];
        semop(self.set, &mut seats.map(|n| op(n, 1, true)));
        if self.flavor == Flavor::Mpmc {
            let line = at::MEMBERS + at::MEMBER * seat;
            self.memory.u32(line + at::ROLE).store(1 + side as u32, Release);
            self.memory.u32(line + at::JOINED).store(1, Release);
            self.memory.u32(line + at::STATE).store(1, Release);
        }
        let parking = if side == Side::Sender { at::SENDERS } else { at::RECEIVERS };
        self.memory.u32(parking + at::JOINS).fetch_add(1, AcqRel);
    }

    fn publish(&self, position: u64) {
        let full = slots::state(position, Phase::Full, 0, 0);
        match self.flavor {
            Flavor::Spsc => self.memory.u64(slots::slot(position)).store(full, Release),
            Flavor::Mpmc => _ = slots::swap(&self.memory, position, claimed(position), full),
        }
    }

    fn put(&self, position: u64, message: &Message, order: Order) {
        if self.flavor == Flavor::Mpmc {
            let free = slots::state(position, Phase::Free, 0, 0);
            slots::swap(&self.memory, position, free, claimed(position));
        }
        if order == Order::PublishFirst {
            self.publish(position);
        }
        slots::write(&self.memory, position, message);
        if order == Order::WriteFirst {
            self.publish(position);
        }
        if self.flavor == Flavor::Spsc {
            self.memory.u64(at::TAIL).store(position.wrapping_add(1), Release);
        }
        self.wake();
    }

    fn wake(&self) {
        let parked = self.memory.u32(at::RECEIVERS);
        if parked.load(Relaxed) & PARKED != 0 && parked.fetch_and(!PARKED, AcqRel) & PARKED != 0 {
            semop(self.set, &mut [op(Side::Receiver.wake(), 1, false)]);
        }
    }
}

/// The seat of an MPMC sender without the crate, behind its peer, and of a receiver.
const SECOND: usize = 1;
const FIRST: usize = 0;

fn claimed(position: u64) -> u64 {
    slots::state(position, Phase::Claimed, 0, SECOND as u64)
}

/// Takes a seat and notifies the receiver. Nobody is notified of its death.
fn sender_without_post(scenario: &Scenario) -> Handle {
    let raw = Raw::attach(scenario);
    raw.join(Side::Sender, if scenario.flavor == Flavor::Mpmc { SECOND } else { FIRST });
    raw.wake();
    Handle::Raw(raw)
}

/// A receiver that has the only message in flight. The senders would be notified of its death.
fn receiver_without_own_post(scenario: &Scenario) -> Handle {
    let raw = Raw::attach(scenario);
    raw.join(Side::Receiver, FIRST);
    let senders = Side::Sender.wake();
    semop(raw.set, &mut [op(senders, 1, false), op(senders, -1, true)]);
    let base = scenario.state.base;
    let full = slots::state(base, Phase::Full, 0, 0);
    assert!(slots::swap(&raw.memory, base, full, reading(base)), "a message");
    Handle::Raw(raw)
}

fn reading(position: u64) -> u64 {
    slots::state(position, Phase::Reading, 1, FIRST as u64)
}

fn acknowledge(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::Raw(raw) = &victim.handle else { panic!("the victim is not raw") };
    let (base, report) = (scenario.state.base, scenario.of_victim());
    let got = std::hint::black_box(slots::read(&raw.memory, base));
    report.held.begin(1);
    report.taken.begin(1);
    let free = slots::state(base.wrapping_add(CAPACITY), Phase::Free, 0, 0);
    slots::swap(&raw.memory, base, reading(base), free);
    report.received(None, &got);
    report.taken.end(1, 1);
    report.held.end(1, 1);
    Ok(())
}

/// Sends one message and reports it.
fn send(scenario: &Scenario, victim: &mut Victim, order: Order) -> Result<(), String> {
    let Handle::Raw(raw) = &victim.handle else { panic!("the victim is not raw") };
    let report = scenario.of_victim();
    let position = scenario.state.base.wrapping_add(scenario.state.fill);
    let next = match scenario.flavor {
        Flavor::Spsc => message(position),
        Flavor::Mpmc => message(report.first),
    };
    report.sending(|| {
        raw.put(position, &next, order);
        Ok(())
    })
}

/// SPSC: continues at the position that its predecessor reported, whatever was published there.
fn succeed_without_recovery(
    survivor: &mut Survivor<'_>,
    mut peer: Option<Peer>,
) -> Result<(), Violation> {
    let scenario = survivor.scenario;
    survivor.peer(After::Stream, &mut peer)?;
    let raw = Raw::attach(scenario);
    // The tail is where the predecessor began.
    let tail = raw.memory.u64(at::TAIL).load(Relaxed);
    let position = tail + scenario.shared.ledger.stream.sent.get().0;
    raw.put(position, &message(position), Order::WriteFirst);
    let mut rx = scenario.rx(How::Open).expect("a receiver");
    let next = message(rx.position().expect("SPSC"));
    let got = rx.try_recv();
    drop((rx, raw));
    sysvring::remove(scenario.address()).expect("removed");
    match got {
        Ok(got) if got == next => Ok(()),
        other => no(Kind::WrongCount, format!("the successor's message is lost: {other:?}")),
    }
}

/// MPMC: receives what is available without any recovery.
fn receive_without_recovery(survivor: &mut Survivor<'_>, _: Option<Peer>) -> Result<(), Violation> {
    let scenario = survivor.scenario;
    let memory = Segment::attach(scenario.segment).expect("shmat");
    for (place, got) in (0..).zip(slots::drain(&memory, scenario.state.base)) {
        if got != message(got[0]) {
            return no(Kind::WrongMessage, format!("a torn message: {got:x?}"));
        }
        survivor.got.push(Got { number: got[0], place, deliveries: 1 });
    }
    let account = survivor.account();
    survivor.remove()?;
    account
}

//! Mutation tests with victims and survivors that violate the protocol, which the harness must
//! detect. Each leaves out one thing that the crate does for the sake of crashes; the crate has no
//! switches for that.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use sysvring::{DeadLetter, Options, mpmc};
use sysvring_support::raw_ipc::{FIRST_SEAT, Segment, USERS, at, op, semop, set_of};
use sysvring_support::suite::Test;
use sysvring_support::work;
use sysvring_support::worker::{Args, print_line};

use crate::steps::account::Got;
use crate::steps::case::Case;
use crate::steps::driver::{self, OVER};
use crate::steps::every_instruction::{Plan, recorded};
use crate::steps::handle::{Flavor, How, Side};
use crate::steps::messages::*;
use crate::steps::one_for_each;
use crate::steps::operations::{
    After, Handle, OPERATION, Operation, Victim, find, letters_are_complete,
};
use crate::steps::peer::Peer;
use crate::steps::raw_member::{
    Order, Raw, acknowledge, receiver_without_own_post, send, sender_without_post,
};
use crate::steps::report::Shared;
use crate::steps::scenario::Other::{Asleep, Nobody, SameSide};
use crate::steps::scenario::Scenario;
use crate::steps::slots;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

/// The victim's own sender of dead letters.
static LETTERS: OnceLock<mpmc::Sender<DeadLetter>> = OnceLock::new();

fn with_letters(scenario: &Scenario) -> Handle {
    let handle = (find("reject_to_letters").setup)(scenario);
    let letters = Options::named(scenario.letters()).attach().expect("the dead letters");
    LETTERS.set(letters).expect("once in a process");
    handle
}

fn acknowledge_before_moving(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    (find("recv_ref").act)(scenario, victim)?;
    let letters = LETTERS.get().expect("open");
    letters.loan_with(48).and_then(mpmc::Loan::commit).map_err(|error| error.to_string())
}

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
    let any = |flavor| Operation { flavor, ..OPERATION };
    let of = |name, kind, plan, operation| Mutation { name, kind, plan, operation };
    // Each one that is found as `Asleep` takes as long as a parked waiter has to wake.
    vec![
        of(
            "a_slot_published_before_its_message_is_written",
            Kind::WrongMessage,
            Plan::Points(300),
            Operation {
                setup: |scenario| Handle::Raw(Raw::attach(scenario)),
                act: |scenario, victim| send(scenario, victim, Order::PublishFirst),
                cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
                ..any(Spsc)
            },
        ),
        of(
            "a_seat_without_undo",
            Kind::SemaphoreHeld,
            Plan::Points(300),
            Operation {
                act: |scenario, _| {
                    let set = set_of(scenario.key).expect("a set");
                    let seat = [USERS, Side::Sender.count(), FIRST_SEAT];
                    semop(set, &mut seat.map(|n| op(n, 1, false)));
                    // It leaves as it joined, so an undisturbed run ends correctly.
                    semop(set, &mut seat.map(|n| op(n, -1, false)));
                    Ok(())
                },
                cases: &[(MIDDLE, Nobody)],
                ..any(Spsc)
            },
        ),
        of(
            "a_death_without_a_post",
            Kind::NotWoken,
            Plan::Points(100),
            Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::WriteFirst),
                cases: &[(EMPTY, Asleep)],
                ..any(Spsc)
            },
        ),
        of(
            "a_successor_without_recovery",
            Kind::WrongCount,
            Plan::Points(300),
            Operation {
                after: After::By(succeed_without_recovery),
                cases: &[(EMPTY, Asleep), (WRAPPED_EMPTY, Asleep)],
                ..find("send")
            },
        ),
        of(
            "mpmc_a_slot_published_before_its_message_is_written",
            Kind::WrongMessage,
            Plan::Points(200),
            Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::PublishFirst),
                cases: &[(EMPTY, Nobody), (MIDDLE, Nobody)],
                ..any(Mpmc)
            },
        ),
        // No member steps over a slot that a dead sender claimed.
        of(
            "mpmc_a_claim_without_recovery",
            Kind::WrongCount,
            Plan::Points(200),
            Operation {
                after: After::By(receive_without_recovery),
                cases: &[(EMPTY, Nobody), (WRAPPED, Nobody)],
                ..find("mpmc_commit")
            },
        ),
        // A message is acknowledged before it is moved.
        of(
            "an_acknowledgement_before_the_letter",
            Kind::WrongCount,
            Plan::Points(500),
            Operation {
                setup: with_letters,
                act: acknowledge_before_moving,
                after: After::By(letters_are_complete),
                cases: &[(MIDDLE, Nobody)],
                ..find("reject_to_letters")
            },
        ),
        // No member takes over a dead receiver's messages.
        of(
            "mpmc_a_message_without_take_over",
            Kind::WrongCount,
            Plan::Points(200),
            Operation {
                after: After::By(receive_without_recovery),
                cases: &[(ONE, Nobody), (WRAPPED, Nobody)],
                ..find("mpmc_recv_ref")
            },
        ),
        of(
            "mpmc_a_death_without_a_post",
            Kind::NotWoken,
            Plan::Points(60),
            Operation {
                setup: sender_without_post,
                act: |scenario, victim| send(scenario, victim, Order::WriteFirst),
                cases: &[(EMPTY, Asleep)],
                ..any(Mpmc)
            },
        ),
        of(
            "mpmc_a_death_without_a_post_to_its_own_side",
            Kind::NotWoken,
            Plan::Points(30),
            Operation {
                side: Side::Receiver,
                setup: receiver_without_own_post,
                act: acknowledge,
                cases: &[(ONE, SameSide)],
                ..any(Mpmc)
            },
        ),
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
fn kill_at_points(args: &mut Args) {
    driver::begin(args);
    let name: String = args.next();
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
        print_line(format!("{} {found} {others}", points.len()));
    }
    print_line(OVER);
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

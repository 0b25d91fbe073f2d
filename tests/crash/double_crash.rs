//! Two crashes in a row. A victim is killed after a number of instructions, then the process that
//! takes over or cleans up is killed after a number of its own. A third process checks that
//! everything is as it should be.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use sysvring_support::rng::Rng;
use sysvring_support::single_step::Stepper;
use sysvring_support::worker::{Args, print_line};
use sysvring_support::{test, work};

use crate::steps::case::{Approach, Case, Pair, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::every_instruction::recorded;
use crate::steps::messages::EMPTY;
use crate::steps::operations::{After, Operation, find};
use crate::steps::report::{Shared, victim};
use crate::steps::scenario::{Other, Scenario};
use crate::steps::trace::Trace;
use crate::steps::violation::{Kind, Moment, Violation, no};

/// The number of pairs of all tests together, set by the command line.
pub static PAIRS: OnceLock<usize> = OnceLock::new();

/// The number of pairs killed in this run.
pub static KILLED: AtomicU64 = AtomicU64::new(0);

/// Recording a trace takes as long as some fifty pairs.
const PAIRS_OF_A_TRACE: usize = 100;

const FOLLOWERS: &[&str] = &["succeed", "succeed_receiver", "remove"];

#[test]
fn senders_and_their_successors() {
    pairs("senders", &["send", "try_send", "try_send_full", "loan", "send_batch"], FOLLOWERS);
}

#[test]
fn receivers_and_their_successors() {
    pairs("receivers", &["recv", "recv_ref", "recv_batch", "try_recv"], FOLLOWERS);
}

#[test]
fn members_in_sets_and_their_successors() {
    let first = ["add", "arm", "remove_from_set", "leave_in_set"];
    pairs("in sets", &first, FOLLOWERS);
    let first = ["mpmc_add", "mpmc_arm", "mpmc_leave_in_set"];
    pairs("MPMC, in sets", &first, FOLLOWERS_MPMC);
}

#[test]
fn openers_and_their_successors() {
    let openers =
        ["create", "create_incomplete", "open", "open_receiver", "open_without_set", "leave"];
    pairs("openers", &openers, FOLLOWERS);
}

#[test]
fn removers_and_their_successors() {
    let last = ["create_reap", "create_private", "leave_last", "leave_private", "reap"];
    pairs("removers", &last, &["reap"]);
    pairs("removers", &["remove"], &["succeed", "succeed_receiver", "remove"]);
    pairs("removers", &["mpmc_create_private", "mpmc_leave_last"], &["reap"]);
    pairs("removers", &["mpmc_remove"], &["mpmc_succeed", "mpmc_remove"]);
}

/// Operations after which the following receiver does not take over messages that were given up.
const GIVING_UP: &[&str] = &["mpmc_no_redelivery", "mpmc_drop", "mpmc_last_delivery"];

const FOLLOWERS_MPMC: &[&str] = &["mpmc_succeed", "mpmc_succeed_receiver"];

#[test]
fn mpmc_senders_and_their_successors() {
    let first = ["mpmc_send", "mpmc_try_send_full", "mpmc_loan", "mpmc_commit", "mpmc_send_batch"];
    pairs("MPMC, senders", &first, FOLLOWERS_MPMC);
}

#[test]
fn mpmc_receivers_and_their_successors() {
    let first = ["mpmc_recv", "mpmc_recv_ref", "mpmc_recv_batch", "mpmc_recover", "mpmc_take_over"];
    pairs("MPMC, receivers", &first, FOLLOWERS_MPMC);
    pairs("MPMC, giving up", GIVING_UP, FOLLOWERS_MPMC);
}

/// The number of calls of this function.
const GROUPS: usize = 12;

fn pairs(what: &str, first: &[&str], second: &[&str]) {
    let start = Instant::now();
    // Unoptimised traces take longer than all the rest.
    let few = if cfg!(debug_assertions) { 1 } else { usize::MAX };
    let [first, second] = [first, second].map(|all| &all[..all.len().min(few)]);
    let pairs = PAIRS.get().expect("set by main").div_ceil(GROUPS);
    let outcome =
        driver::drive("double_crash::kill_pairs", &[&first.join(","), &second.join(","), &pairs]);
    let [killed, diverged] = [0, 1].map(|at| outcome.sum(at));
    KILLED.fetch_add(killed, Relaxed);
    println!(
        "two crashes, {what:<15}{killed:>7} pairs {:>3} failures {diverged:>5} with one crash \
         only {:>6.1} s",
        outcome.failures.len(),
        start.elapsed().as_secs_f64()
    );
    outcome.must_be_clean();
    assert!(killed > 0, "nothing was tried");
}

/// Reports for each two operations the number of pairs killed, and of those whose second process
/// reached its end.
#[work]
fn kill_pairs(args: &mut Args) {
    driver::begin(args);
    let (first, second, pairs): (String, String, usize) = (args.next(), args.next(), args.next());
    let shared = Shared::new();
    let first: Vec<Operation> = first.split(',').map(find).collect();
    let second: Vec<Operation> = second.split(',').map(find).collect();
    let alone = |operation: &Operation| {
        operation.cases_to_try().filter(|(_, other)| *other == Other::Nobody).collect::<Vec<_>>()
    };
    let combinations: usize = first.iter().map(|one| alone(one).len() * second.len()).sum();
    let each = pairs.div_ceil(combinations);
    for one in &first {
        let mut firsts = Vec::new();
        for (mut state, other) in alone(one) {
            if one.call == "remove" {
                // A channel that is removed and made again begins at position zero.
                state = EMPTY;
            }
            let mut case = Case::new(one, (state, other), shared);
            let Some(trace) = recorded(&mut case) else { continue };
            firsts.push((case, trace));
        }
        for two in &second {
            let (killed, diverged) = kill_each(&mut firsts, two, each);
            print_line(format!("{killed} {diverged}"));
        }
    }
    print_line(OVER);
}

/// Kills `each` pairs for each case of the first operation.
fn kill_each(firsts: &mut [(Case<'_>, Trace)], two: &Operation, each: usize) -> (usize, usize) {
    let after = match two.after {
        After::Removed => After::RemovedAgain,
        other => other,
    };
    let two = Operation { after, ..*two };
    // The numbers are the same in each run, so that a pair can be repeated.
    let mut rng = Rng(two.name().len() as u64);
    let (mut killed, mut diverged) = (0, 0);
    let mut second = Trace::default();
    let len = firsts.len();
    // Some second processes reach their end first, and do not count.
    for n in 0..3 * each * len {
        if killed >= each * len {
            break;
        }
        let (first, trace) = &mut firsts[n % len];
        let k = rng.below(trace.len() as u64 + 1) as usize;
        // The trace of the second process depends on where the first one died. Each trace is used
        // for some pairs.
        let found_out = n % PAIRS_OF_A_TRACE != 0;
        let j = if found_out { rng.below(second.len().max(1) as u64) as usize } else { 0 };
        match follow(first, &two, trace, k, found_out.then_some((&second, j))) {
            Ok((_, found)) if !found_out => second = found,
            Ok((true, _)) => killed += 1,
            Ok((false, _)) => diverged += 1,
            Err(violation) => {
                let at = (trace.place(k), second.place(j));
                let (one, two) = (first.name(), two.name());
                print_line(fail(format!(
                    "{one} after {k}, {two} after {j}, at {at:?}: {violation}"
                )));
                first.clean_up();
            }
        }
    }
    (killed, diverged)
}

/// Kills the first process after `k` instructions, and the second one after a part of its recorded
/// trace, or else records its trace. Returns whether the second one was killed before its end.
fn follow(
    first: &mut Case<'_>,
    two: &Operation,
    trace: &Trace,
    k: usize,
    second: Option<(&Trace, usize)>,
) -> Result<(bool, Trace), Violation> {
    let mut pair = first.start()?;
    first.bring(&mut pair, trace, Point::After(k), Approach::Run)?;
    pair.victim.kill();
    let mut case =
        Case { operation: two, scenario: first.scenario, before: first.before.clone(), ..*first };
    case.scenario = Scenario { side: two.side, ..first.scenario };
    let scenario = &case.scenario;
    scenario.shared.victim.set(victim::AT_WORK);
    let victim = match Stepper::start(|| two.run_as_victim(scenario)) {
        Ok(victim) => victim,
        Err(stop) => {
            return no(Kind::Unusable, format!("the second process did not start: {stop:?}"));
        }
    };
    let mut pair = Pair { victim, peer: None };
    let (there, found) = match second {
        Some((trace, j)) => {
            (case.bring(&mut pair, trace, Point::After(j), Approach::Run)?, Trace::default())
        }
        None => (false, case.record_from(&mut pair)?),
    };
    pair.victim.kill();
    case.survive(None, Moment::now(None))?;
    Ok((there, found))
}

//! Two crashes in a row. A victim is killed after a number of instructions, then the process that
//! takes over or cleans up is killed after a number of its own. A third process checks that
//! everything is as it should be.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use sysvring_support::step::Stepper;
use sysvring_support::worker::{Orders, say};
use sysvring_support::{tests, workers};

use crate::steps::case::{Case, Pace, Pair, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::every_instruction::recorded;
use crate::steps::messages::EMPTY;
use crate::steps::operations::{After, Operation, find};
use crate::steps::report::{Board, victim};
use crate::steps::scenario::{Other, Scene};
use crate::steps::trace::Way;
use crate::steps::violation::{Kind, Moment, Violation, no};

workers![kill_pairs];

tests![
    senders_and_their_successors,
    receivers_and_their_successors,
    openers_and_their_successors,
    mpmc_senders_and_their_successors,
    mpmc_receivers_and_their_successors,
    removers_and_their_successors
];

/// The number of pairs of all tests together, set by the command line.
pub static PAIRS: OnceLock<usize> = OnceLock::new();

/// The number of pairs killed in this run.
pub static KILLED: AtomicU64 = AtomicU64::new(0);

/// Recording a trace takes as long as some fifty pairs.
const PAIRS_OF_A_WAY: usize = 100;

const FOLLOWERS: &[&str] = &["succeed", "succeed_receiver", "remove"];

fn senders_and_their_successors() {
    pairs("senders", &["send", "try_send", "try_send_full", "loan", "send_batch"], FOLLOWERS);
}

fn receivers_and_their_successors() {
    pairs("receivers", &["recv", "recv_ref", "recv_batch", "try_recv"], FOLLOWERS);
}

fn openers_and_their_successors() {
    let openers =
        ["create", "create_half_made", "open", "open_receiver", "open_without_set", "leave"];
    pairs("openers", &openers, FOLLOWERS);
}

fn removers_and_their_successors() {
    let last = ["create_reap", "create_private", "leave_last", "leave_private", "reap"];
    pairs("removers", &last, &["reap"]);
    pairs("removers", &["remove"], &["succeed", "succeed_receiver", "remove"]);
    pairs("removers", &["many_create_private", "many_leave_last"], &["reap"]);
    pairs("removers", &["many_remove"], &["many_succeed", "many_remove"]);
}

/// Operations after which the following receiver does not take over messages that were given up.
const GIVING_UP: &[&str] = &["many_never_again", "many_drop", "many_second_is_last"];

const FOLLOWERS_OF_MANY: &[&str] = &["many_succeed", "many_succeed_receiver"];

fn mpmc_senders_and_their_successors() {
    let first = ["many_send", "many_try_send_full", "many_loan", "many_commit", "many_send_batch"];
    pairs("many, senders", &first, FOLLOWERS_OF_MANY);
}

fn mpmc_receivers_and_their_successors() {
    let first = ["many_recv", "many_recv_ref", "many_recv_batch", "many_repair", "many_take_over"];
    pairs("many, receivers", &first, FOLLOWERS_OF_MANY);
    pairs("many, giving up", GIVING_UP, FOLLOWERS_OF_MANY);
}

/// The number of calls of this function.
const GROUPS: usize = 10;

fn pairs(what: &str, first: &[&str], second: &[&str]) {
    let start = Instant::now();
    // Unoptimised traces take longer than all the rest.
    let few = if cfg!(debug_assertions) { 1 } else { usize::MAX };
    let [first, second] = [first, second].map(|all| &all[..all.len().min(few)]);
    let pairs = PAIRS.get().expect("set by main").div_ceil(GROUPS);
    let report =
        driver::drive("double_crash::kill_pairs", &[&first.join(","), &second.join(","), &pairs]);
    let [killed, strayed] = [0, 1].map(|at| report.sum(at));
    KILLED.fetch_add(killed, Relaxed);
    println!(
        "two crashes, {what:<15}{killed:>7} pairs {:>3} failures {strayed:>5} with one crash \
         only {:>6.1} s",
        report.failures.len(),
        start.elapsed().as_secs_f64()
    );
    report.must_be_clean();
    assert!(killed > 0, "nothing was tried");
}

/// Reports for each two operations the number of pairs killed, and of those whose second process
/// reached its end.
fn kill_pairs(orders: &mut Orders) {
    driver::begin(orders);
    let (first, second, pairs): (String, String, usize) =
        (orders.next(), orders.next(), orders.next());
    let board = Board::new();
    let first: Vec<Operation> = first.split(',').map(find).collect();
    let second: Vec<Operation> = second.split(',').map(find).collect();
    let alone = |operation: &Operation| {
        operation.walked().filter(|(_, other)| *other == Other::Nobody).collect::<Vec<_>>()
    };
    let combinations: usize = first.iter().map(|one| alone(one).len() * second.len()).sum();
    let each = pairs.div_ceil(combinations);
    for one in &first {
        let mut firsts = Vec::new();
        for (mut state, other) in alone(one) {
            if one.name.ends_with("remove") {
                // A channel that is removed and made again begins at position zero.
                state = EMPTY;
            }
            let mut case = Case::new(one, (state, other), board);
            let Some(way) = recorded(&mut case) else { continue };
            firsts.push((case, way));
        }
        for two in &second {
            let (killed, strayed) = kill_each(&mut firsts, two, each);
            say(format!("{killed} {strayed}"));
        }
    }
    say(OVER);
}

/// Kills `each` pairs for each case of the first operation.
fn kill_each(firsts: &mut [(Case<'_>, Way)], two: &Operation, each: usize) -> (usize, usize) {
    let after = match two.after {
        After::Removed => After::RemovedAgain,
        other => other,
    };
    let two = Operation { after, ..*two };
    let mut dice = Dice(two.name.len() as u64);
    let (mut killed, mut strayed) = (0, 0);
    let mut second = Way::default();
    let len = firsts.len();
    // Some second processes reach their end first, and do not count.
    for n in 0..3 * each * len {
        if killed >= each * len {
            break;
        }
        let (first, way) = &mut firsts[n % len];
        let k = dice.below(way.len() + 1);
        // The trace of the second process depends on where the first one died. Each trace is used
        // for some pairs.
        let found_out = n % PAIRS_OF_A_WAY != 0;
        let j = if found_out { dice.below(second.len().max(1)) } else { 0 };
        match follow(first, &two, way, k, found_out.then_some((&second, j))) {
            Ok((_, found)) if !found_out => second = found,
            Ok((true, _)) => killed += 1,
            Ok((false, _)) => strayed += 1,
            Err(violation) => {
                let at = (way.place(k), second.place(j));
                let (one, two) = (first.name(), two.name);
                say(fail(format!("{one} after {k}, {two} after {j}, at {at:?}: {violation}")));
                first.clean_up();
            }
        }
    }
    (killed, strayed)
}

/// Kills the first process after `k` instructions, and the second one after a part of its recorded
/// trace, or else records its trace. Returns whether the second one was killed before its end.
fn follow(
    first: &mut Case<'_>,
    two: &Operation,
    way: &Way,
    k: usize,
    second: Option<(&Way, usize)>,
) -> Result<(bool, Way), Violation> {
    let mut pair = first.start()?;
    first.bring(&mut pair, way, Point::After(k), Pace::Run)?;
    pair.victim.kill();
    let mut case =
        Case { operation: two, scene: first.scene, before: first.before.clone(), ..*first };
    case.scene = Scene { side: two.side, ..first.scene };
    let scene = &case.scene;
    scene.board.victim.set(victim::AT_WORK);
    let victim = match Stepper::start(|| two.run_as_victim(scene)) {
        Ok(victim) => victim,
        Err(stop) => {
            return no(Kind::Broken, format!("the second process did not start: {stop:?}"));
        }
    };
    let mut pair = Pair { victim, peer: None };
    let (there, found) = match second {
        Some((way, j)) => (case.bring(&mut pair, way, Point::After(j), Pace::Run)?, Way::default()),
        None => (false, case.record_from(&mut pair)?),
    };
    pair.victim.kill();
    case.survive(None, Moment::now(None))?;
    Ok((there, found))
}

/// A generator with the same numbers in each run, so that a pair can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) % n as u64) as usize
    }
}

//! Crashes at chosen instructions.

mod account;
mod after_removal;
mod broadcast;
mod case;
mod common_checks;
mod double_crash;
mod driver;
mod errno;
mod every_instruction;
mod handle;
mod ledger;
mod messages;
mod mutation_tests;
mod operations;
mod peer;
mod preparation;
mod raw_member;
mod report;
mod scenario;
mod sigstop;
mod slots;
mod trace;
mod verify;
mod violation;
mod while_stopped;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use every_instruction::Plan;
use sysvring_support::scale;
use sysvring_support::suite::{self, Needs, Test};

/// Points of each case, and pairs of crashes, in short runs.
const POINTS: usize = if cfg!(debug_assertions) { 5 } else { 150 };
const PAIRS: u64 = if cfg!(debug_assertions) { 80 } else { 4_000 };

/// Returns all tests: first those that take the longest, then those of the tables.
pub fn tests() -> Vec<Test> {
    let mut tests = [
        suite::registered(),
        every_instruction::tests(),
        broadcast::tests(),
        mutation_tests::tests(),
    ]
    .concat();
    if !driver::can_have_namespaces() {
        tests.iter_mut().for_each(|test| test.needs = Needs::Quiet);
    }
    tests
}

/// Returns a test for each of these names, which is passed to `body`.
fn one_for_each(module: &str, names: Vec<String>, body: fn(&str)) -> Vec<Test> {
    let path = |name: &String| format!("{module}::{name}").leak();
    names.iter().map(|name| Test { path: path(name), body, needs: Needs::Nothing }).collect()
}

/// Takes this suite's options off the command line. Returns the watchdog of a test.
///
/// # Errors
/// Returns a description of an invalid argument.
pub fn set_up(arguments: &mut Vec<String>) -> Result<Duration, String> {
    let options = ["--every", "--points", "--at", "--pairs"];
    let [every, points, at, pairs] = scale::take(arguments, options)?;
    let plan = match [every, points, at].map(|n| n.map(|n| n as usize)) {
        [None, None, None] => Plan::Points(POINTS),
        [Some(n @ 1..), None, None] => Plan::Every(n),
        [None, Some(n @ 1..), None] => Plan::Points(n),
        [None, None, Some(n)] => Plan::At(n),
        _ => return Err("one of --every, --points and --at; the first two from 1 on".into()),
    };
    every_instruction::PLAN.set(plan).expect("set up once");
    double_crash::PAIRS.set(pairs.unwrap_or(PAIRS) as usize).expect("set up once");
    let long = [every, points, at, pairs].iter().any(Option::is_some);
    Ok(Duration::from_secs(if long { 7_200 } else { 600 }))
}

/// Returns a summary of what this run did.
pub fn summary() -> String {
    let counts = [
        &every_instruction::KILLED,
        &every_instruction::KILLED_MPMC,
        &double_crash::KILLED,
        &errno::FAILED,
        &sigstop::STOPPED,
    ];
    let [killed, mpmc, pairs, failed, stopped] = counts.map(|n| n.load(Relaxed));
    format!(
        "{killed} crash points ({mpmc} in MPMC channels), {pairs} pairs of crashes, {failed} failed \
         calls, {stopped} stops"
    )
}

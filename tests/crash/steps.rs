//! Crashes at chosen instructions.

mod account;
mod after_removal;
mod case;
mod common_checks;
mod controls;
mod double_crash;
mod driver;
mod errno;
mod every_instruction;
mod kernel;
mod ledger;
mod many;
mod messages;
mod operations;
mod peer;
mod report;
mod scenario;
mod sigstop;
mod slots;
mod trace;
mod verify;
mod violation;
mod while_stopped;

use std::sync::atomic::Ordering::Relaxed;

use every_instruction::Plan;
use sysvring_support::suite::{Needs, Test};
use sysvring_support::worker::Work;

/// Points of each case, and pairs of crashes, in short runs. See also `Operation::walked`.
const POINTS: usize = if cfg!(debug_assertions) { 40 } else { 150 };
const PAIRS: usize = if cfg!(debug_assertions) { 700 } else { 4_000 };

pub fn workers() -> Vec<Work> {
    let each =
        [every_instruction::workers(), controls::workers(), errno::workers(), sigstop::workers()];
    [each.concat(), double_crash::workers()].concat()
}

pub fn tests() -> Vec<Test> {
    let each = [every_instruction::tests(), controls::tests(), errno::tests(), sigstop::tests()];
    let mut tests = [each.concat(), double_crash::tests(), many::controls::tests()].concat();
    if !driver::can_go_apart() {
        tests.iter_mut().for_each(|test| test.needs = Needs::Quiet);
    }
    tests
}

/// Removes this suite's arguments from the command line. Returns whether they ask for more than a
/// short run.
///
/// # Errors
/// Returns a description of an invalid argument.
pub fn set_up(arguments: &mut Vec<String>) -> Result<bool, String> {
    let mut plan = Plan::Points(POINTS);
    let mut pairs = PAIRS;
    let mut long = false;
    let mut rest = Vec::new();
    let mut given = arguments.drain(..);
    while let Some(argument) = given.next() {
        let mut number = || given.next().ok_or(format!("{argument}: a number is missing"));
        match argument.as_str() {
            "--every" | "--points" | "--at" => {
                plan = format!("{} {}", &argument[2..], number()?).parse()?;
                long = true;
            }
            "--pairs" => {
                pairs = number()?.parse().map_err(|e| format!("--pairs: {e}"))?;
                long = true;
            }
            _ => rest.push(argument),
        }
    }
    drop(given);
    *arguments = rest;
    every_instruction::PLAN.set(plan).expect("set up once");
    double_crash::PAIRS.set(pairs).expect("set up once");
    Ok(long)
}

/// Returns a summary of what this run did.
pub fn summary() -> String {
    let [killed, of_many, pairs, failed, stopped] = [
        &every_instruction::KILLED,
        &every_instruction::KILLED_OF_MANY,
        &double_crash::KILLED,
        &errno::FAILED,
        &sigstop::STOPPED,
    ]
    .map(|n| n.load(Relaxed));
    format!(
        "{killed} crash points ({of_many} in MPMC channels), {pairs} pairs of crashes, \
         {failed} failed calls, {stopped} stops"
    )
}

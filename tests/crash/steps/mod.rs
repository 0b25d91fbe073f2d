//! Crashes at chosen instructions.

mod board;
mod case;
mod controls;
mod driver;
mod errno;
mod kernel;
mod load;
mod many;
mod operations;
mod peer;
mod scene;
mod stopped;
mod survivors;
mod twice;
mod verify;
mod violation;
mod walk;
mod way;

use std::sync::atomic::Ordering::Relaxed;

use sysvring_support::suite::{Needs, Test};
use sysvring_support::worker::Work;
use walk::Plan;

/// Points of each case, and pairs of crashes, in short runs. See also `Operation::walked`.
const POINTS: usize = if cfg!(debug_assertions) { 40 } else { 150 };
const PAIRS: usize = if cfg!(debug_assertions) { 700 } else { 4_000 };

pub fn workers() -> Vec<Work> {
    let each = [walk::workers(), controls::workers(), errno::workers(), stopped::workers()];
    [each.concat(), twice::workers()].concat()
}

pub fn tests() -> Vec<Test> {
    let each = [walk::tests(), controls::tests(), errno::tests(), stopped::tests()];
    let mut tests = [each.concat(), twice::tests(), many::controls::tests()].concat();
    if !driver::can_go_apart() {
        tests.iter_mut().for_each(|(_, _, needs)| *needs = Needs::Quiet);
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
    walk::PLAN.set(plan).expect("set up once");
    twice::PAIRS.set(pairs).expect("set up once");
    Ok(long)
}

/// Returns a summary of what this run did.
pub fn summary() -> String {
    let [killed, of_many, pairs, failed, stopped] =
        [&walk::KILLED, &walk::KILLED_OF_MANY, &twice::KILLED, &errno::FAILED, &stopped::STOPPED]
            .map(|n| n.load(Relaxed));
    format!(
        "{killed} crash points ({of_many} in MPMC channels), {pairs} pairs of crashes, \
         {failed} failed calls, {stopped} stops"
    )
}

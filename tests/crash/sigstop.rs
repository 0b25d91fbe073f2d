//! Victims that are stopped instead of killed. No process treats a stopped victim as dead, however
//! long it is stopped. When it is continued, it proceeds as if it had not been stopped.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sysvring_support::fork::Fork;
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, print_line};
use sysvring_support::{test, work};

use crate::steps::case::{Approach, Case, Pair, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::every_instruction::{Plan, recorded};
use crate::steps::handle::Flavor;
use crate::steps::operations;
use crate::steps::peer::{Peer, order};
use crate::steps::report::{Shared, victim};
use crate::steps::scenario::Other;
use crate::steps::trace::Trace;
use crate::steps::violation::{Kind, Moment, Violation, no};
use crate::steps::while_stopped::check_others;

/// Points of each case, for SPSC and for MPMC channels, of which there are more cases.
const POINTS: [usize; 2] = [6, 4];

/// Longer than a parked waiter sleeps between its own polls.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The number of victims that were stopped and continued in this run.
pub static STOPPED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_stopped_spsc_member_is_not_dead() {
    stopped("SPSC", false);
}

#[test]
fn a_stopped_mpmc_member_is_not_dead() {
    stopped("MPMC", true);
}

fn stopped(what: &str, many: bool) {
    let start = Instant::now();
    let outcome = driver::drive("sigstop::stop_all", &[&many]);
    let [stopped, seen] = [0, 1].map(|at| outcome.sum(at));
    STOPPED.fetch_add(stopped, Relaxed);
    println!(
        "stopped and continued, {what}: {stopped} victims, {seen} of them with a seat or \
         the lifecycle semaphore, {} failures {:.1} s",
        outcome.failures.len(),
        start.elapsed().as_secs_f64()
    );
    outcome.must_be_clean();
    assert!(seen > 0, "nothing was tried");
}

/// Reports for each case the number of victims that were stopped, and of those that others
/// encountered.
#[work]
fn stop_all(args: &mut Args) {
    driver::begin(args);
    let many: bool = args.next();
    let flavor = if many { Flavor::Mpmc } else { Flavor::Spsc };
    let shared = Shared::new();
    let every = if cfg!(debug_assertions) { 4 } else { 1 };
    let operations = operations::all().into_iter().filter(|o| o.flavor == flavor);
    for operation in operations.step_by(every) {
        for case in operation.cases_to_try() {
            let mut case = Case::new(&operation, case, shared);
            let Some(trace) = recorded(&mut case) else { continue };
            let points = Plan::Points(POINTS[usize::from(many)]).points(&trace);
            let mut seen = 0;
            for (i, point) in points.iter().enumerate() {
                let long = i == points.len() / 2 && case.scenario.other == Other::Asleep;
                match stop_at(&mut case, &trace, *point, long) {
                    Ok(found) => seen += u32::from(found),
                    Err(violation) => {
                        print_line(fail(format!(
                            "{}, stopped {point:?}: {violation}",
                            case.name()
                        )));
                        case.clean_up();
                    }
                }
            }
            print_line(format!("{} {seen}", points.len()));
        }
    }
    print_line(OVER);
}

/// Stops a victim at a point. Returns whether others encountered it.
fn stop_at(
    case: &mut Case<'_>,
    trace: &Trace,
    point: Point,
    long: bool,
) -> Result<bool, Violation> {
    let mut pair = case.start()?;
    case.bring(&mut pair, trace, point, Approach::Run)?;
    case.scenario.shared.traced.set(0);
    let Pair { mut victim, peer } = pair;
    if point == Point::Asleep {
        victim.halt();
    }
    let mut victim = victim.leave_stopped();
    until(|| state(victim.pid()) == Some('T'));
    let found = check_others(&case.scenario, victim.pid(), peer.as_ref())?;
    if long {
        std::thread::sleep(POLL_INTERVAL);
        check_others(&case.scenario, victim.pid(), peer.as_ref())?;
    }
    victim.signal(libc::SIGCONT);
    finish(case, &mut victim, peer.as_ref())?;
    let moment = Moment::now(peer.as_ref());
    case.survive(peer, moment)?;
    Ok(found)
}

/// Returns the state that `ps` shows.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("our child");
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// Lets the victim continue to its end.
fn finish(case: &Case<'_>, victim: &mut Fork, peer: Option<&Peer>) -> Result<(), Violation> {
    let shared = &case.scenario.shared;
    let asleep = &mut case.asleep();
    until(|| {
        if asleep() && shared.victim.get() == victim::AT_WORK {
            peer.expect("a late peer").order(&case.scenario, order::WAKE);
        }
        shared.victim.get() != victim::AT_WORK
    });
    until(|| {
        // If it had passed the check whether to stop at its end, it stops there.
        victim.signal(libc::SIGCONT);
        state(victim.pid()) == Some('Z')
    });
    let end = victim.wait();
    if shared.victim.get() != victim::SUCCEEDED || !end.success() {
        return no(
            Kind::WrongResult,
            format!("continued, it fails: {end}, {}", shared.victim_text.get()),
        );
    }
    Ok(())
}

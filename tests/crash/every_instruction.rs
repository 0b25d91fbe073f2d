//! For each operation in each of its cases, a victim is killed after each number of
//! instructions, or after each multiple of a number.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sysvring_support::suite::Test;
use sysvring_support::work;
use sysvring_support::worker::{Args, print_line};

use crate::steps::case::{Case, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::handle::Flavor;
use crate::steps::one_for_each;
use crate::steps::operations::{self, Operation};
use crate::steps::report::Shared;
use crate::steps::trace::Trace;

/// Which points are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Multiples of this number of instructions.
    Every(usize),
    /// At most this number of points of each case, evenly spread.
    Points(usize),
    /// Only this point.
    At(usize),
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Every(n) => write!(f, "every {n}"),
            Plan::Points(n) => write!(f, "points {n}"),
            Plan::At(n) => write!(f, "at {n}"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let (word, n) = text.split_once(' ').ok_or("it has two words")?;
        let n: usize = n.parse().map_err(|e| format!("{n:?}: {e}"))?;
        match word {
            "every" if n > 0 => Ok(Plan::Every(n)),
            "points" if n > 0 => Ok(Plan::Points(n)),
            "at" => Ok(Plan::At(n)),
            _ => Err("every, points or at, and a number".into()),
        }
    }
}

impl Plan {
    /// MPMC channels have so many more cases that each gets a third of the points. All of them
    /// together then get about as many points as SPSC channels.
    fn of(self, flavor: Flavor) -> Plan {
        match (self, flavor) {
            (Plan::Points(n), Flavor::Mpmc) => Plan::Points(n.div_ceil(3)),
            (plan, _) => plan,
        }
    }

    pub fn points(self, trace: &Trace) -> Vec<Point> {
        let every = match self {
            Plan::Every(n) => n,
            Plan::Points(n) => trace.len().div_ceil(n),
            Plan::At(n) => return vec![Point::After(n)],
        };
        let mut points: Vec<_> = (0..=trace.len()).step_by(every).map(Point::After).collect();
        points.extend(trace.sleeps.then_some(Point::Asleep));
        points
    }
}

/// The points to try, set by the command line.
pub static PLAN: OnceLock<Plan> = OnceLock::new();

/// The number of victims killed before their end in this run.
pub static KILLED: AtomicU64 = AtomicU64::new(0);

/// The number of those victims that were members of MPMC channels.
pub static KILLED_MPMC: AtomicU64 = AtomicU64::new(0);

/// Returns one test for each operation of the table.
pub fn tests() -> Vec<Test> {
    let names = operations::all().iter().map(Operation::name).collect();
    one_for_each(module_path!(), names, crash_everywhere)
}

fn crash_everywhere(operation: &str) {
    let start = Instant::now();
    let outcome =
        driver::drive("every_instruction::kill_at_points", &[&operation, PLAN.get().expect("set")]);
    let [instructions, killed, diverged] = [0, 1, 2].map(|at| outcome.sum(at));
    KILLED.fetch_add(killed, Relaxed);
    if operations::find(operation).flavor == Flavor::Mpmc {
        KILLED_MPMC.fetch_add(killed, Relaxed);
    }
    println!(
        "{operation:<23}{:>3} cases {instructions:>7} instructions {killed:>6} killed \
         {:>3} failures {diverged:>3} diverged  open {:>6} us  wake {:>6} us {:>6.1} s",
        outcome.numbers.len(),
        outcome.failures.len(),
        outcome.max(3),
        outcome.max(4),
        start.elapsed().as_secs_f64()
    );
    outcome.must_be_clean();
    assert!(killed > 0, "nothing was tried");
}

/// Kills victims in one operation. Reports for each case the number of instructions, of victims killed before
/// their end, and of victims that diverged from the recorded trace, and the maximum times in
/// microseconds to open and to wake.
#[work]
fn kill_at_points(args: &mut Args) {
    driver::begin(args);
    let (operation, plan): (String, Plan) = (args.next(), args.next());
    let operation = operations::find(&operation);
    let shared = Shared::new();
    for case in operation.cases_to_try() {
        let mut case = Case::new(&operation, case, shared);
        let Some(trace) = recorded(&mut case) else { continue };
        let points = plan.of(operation.flavor).points(&trace);
        for point in &points {
            if let Err(violation) = case.kill_at(&trace, *point) {
                let at = match point {
                    Point::After(n) => format!("after {n} instructions, at {}", trace.place(*n)),
                    Point::Asleep => "asleep".into(),
                };
                print_line(fail(format!("{}, {at}: {violation}", case.name())));
                case.clean_up();
            }
        }
        let us = |time: Duration| time.as_micros();
        let (open, wake) = (us(case.times.open), us(case.times.wake));
        let killed = points.len() - case.diverged;
        print_line(format!("{} {killed} {} {open} {wake}", trace.len(), case.diverged));
    }
    print_line(OVER);
}

/// Returns the trace of an undisturbed victim, or reports a failure.
pub fn recorded(case: &mut Case<'_>) -> Option<Trace> {
    match case.record() {
        Ok(trace) => Some(trace),
        Err(violation) => {
            print_line(fail(format!("{}, undisturbed: {violation}", case.name())));
            case.clean_up();
            None
        }
    }
}

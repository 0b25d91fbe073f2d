//! The walk: for each operation in each of its cases, a victim is killed after each number of
//! instructions, or after each multiple of a number.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sysvring_support::worker::{Orders, say};
use sysvring_support::{tests, workers};

use crate::steps::case::{Case, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::operations::{self, Operation};
use crate::steps::report::Board;
use crate::steps::scenario::Flavor;
use crate::steps::trace::Way;

workers![walk_through];

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
            (Plan::Points(n), Flavor::Many) => Plan::Points(n.div_ceil(3)),
            (plan, _) => plan,
        }
    }

    pub fn points(self, way: &Way) -> Vec<Point> {
        let every = match self {
            Plan::Every(n) => n,
            Plan::Points(n) => way.len().div_ceil(n),
            Plan::At(n) => return vec![Point::After(n)],
        };
        let mut points: Vec<_> = (0..=way.len()).step_by(every).map(Point::After).collect();
        points.extend(way.sleeps.then_some(Point::Asleep));
        points
    }
}

/// The points to try, set by the command line.
pub static PLAN: OnceLock<Plan> = OnceLock::new();

/// The number of victims killed before their end in this run.
pub static KILLED: AtomicU64 = AtomicU64::new(0);

/// The number of those victims that were members of MPMC channels.
pub static KILLED_OF_MANY: AtomicU64 = AtomicU64::new(0);

macro_rules! walks {
    ($($operation:ident),* $(,)?) => {
        $(fn $operation() {
            walk(stringify!($operation));
        })*

        tests![every_operation_is_walked, $($operation),*];

        const WALKED: &[&str] = &[$(stringify!($operation)),*];
    };
}

walks![
    send,
    send_waiting,
    try_send,
    try_send_full,
    loan,
    loan_waiting,
    send_batch,
    send_batch_waiting,
    flush,
    recv,
    recv_waiting,
    recv_ref,
    recv_ref_waiting,
    recv_batch,
    recv_batch_waiting,
    try_recv,
    try_recv_empty,
    create,
    create_reap,
    create_private,
    create_half_made,
    open,
    open_receiver,
    open_without_set,
    join,
    join_receiver,
    join_private,
    succeed,
    succeed_receiver,
    leave,
    leave_receiver,
    leave_last,
    leave_private,
    close,
    close_receiver,
    remove,
    remove_again,
    remove_sender,
    reap,
    many_send,
    many_send_waiting,
    many_try_send,
    many_try_send_full,
    many_loan,
    many_loan_waiting,
    many_abandon,
    many_commit,
    many_commit_beside,
    many_flush,
    many_send_batch,
    many_send_batch_waiting,
    many_recv,
    many_recv_waiting,
    many_recv_into,
    many_recv_ref,
    many_recv_ref_waiting,
    many_recv_batch,
    many_recv_batch_waiting,
    many_try_recv,
    many_acknowledge,
    many_repair,
    many_repair_full,
    many_take_over,
    many_full_orphaned,
    many_seat_of_sender,
    many_seat_of_receiver,
    many_create,
    many_join,
    many_join_receiver,
    many_succeed,
    many_succeed_receiver,
    many_leave,
    many_leave_receiver,
    many_leave_last,
    many_close,
    many_close_receiver,
    many_never_again,
    many_drop,
    many_second_is_last,
    many_set_aside,
    many_create_private,
    many_join_private,
    many_leave_private,
    many_remove,
    many_remove_again,
    many_remove_sender,
];

fn every_operation_is_walked() {
    for Operation { name, cases, .. } in operations::all() {
        assert!(WALKED.contains(&name), "{name} has no test");
        assert!(!cases.is_empty(), "{name} has no case");
    }
}

fn walk(operation: &str) {
    let start = Instant::now();
    let report =
        driver::drive("every_instruction::walk_through", &[&operation, PLAN.get().expect("set")]);
    let [instructions, killed, strayed] = [0, 1, 2].map(|at| report.sum(at));
    KILLED.fetch_add(killed, Relaxed);
    if operations::find(operation).flavor == Flavor::Many {
        KILLED_OF_MANY.fetch_add(killed, Relaxed);
    }
    println!(
        "{operation:<23}{:>3} cases {instructions:>7} instructions {killed:>6} killed \
         {:>3} failures {strayed:>3} diverged  open {:>6} us  wake {:>6} us {:>6.1} s",
        report.numbers.len(),
        report.failures.len(),
        report.max(3),
        report.max(4),
        start.elapsed().as_secs_f64()
    );
    report.must_be_clean();
    assert!(killed > 0, "nothing was tried");
}

/// Walks one operation. Reports for each case the number of instructions, of victims killed before
/// their end, and of victims that diverged from the recorded trace, and the maximum times in
/// microseconds to open and to wake.
fn walk_through(orders: &mut Orders) {
    driver::begin(orders);
    let (operation, plan): (String, Plan) = (orders.next(), orders.next());
    let operation = operations::find(&operation);
    let board = Board::new();
    for case in operation.walked() {
        let mut case = Case::new(&operation, case, board);
        let Some(way) = recorded(&mut case) else { continue };
        let points = plan.of(operation.flavor).points(&way);
        for point in &points {
            kill_at(&mut case, &way, *point);
        }
        let us = |time: Duration| time.as_micros();
        let (open, wake) = (us(case.times.open), us(case.times.wake));
        let killed = points.len() - case.strayed;
        say(format!("{} {killed} {} {open} {wake}", way.len(), case.strayed));
    }
    say(OVER);
}

/// Returns the trace of an undisturbed victim, or reports a failure.
pub fn recorded(case: &mut Case<'_>) -> Option<Way> {
    match case.record() {
        Ok(way) => Some(way),
        Err(violation) => {
            say(fail(format!("{}, undisturbed: {violation}", case.name())));
            case.clean_up();
            None
        }
    }
}

/// Kills a victim at a point, and reports a failure.
pub fn kill_at(case: &mut Case<'_>, way: &Way, point: Point) {
    if let Err(violation) = case.kill_at(way, point) {
        let at = match point {
            Point::After(n) => format!("after {n} instructions, at {}", way.place(n)),
            Point::Asleep => "asleep".into(),
        };
        say(fail(format!("{}, {at}: {violation}", case.name())));
        case.clean_up();
    }
}

//! Victims that are stopped instead of killed. No process treats a stopped victim as dead, however
//! long it is stopped. When it is continued, it proceeds as if it had not been stopped.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sysvring::Error;
use sysvring::spsc::{Receiver, Sender};
use sysvring_support::board::until;
use sysvring_support::fork::Fork;
use sysvring_support::ipc;
use sysvring_support::worker::{Orders, say};
use sysvring_support::{tests, workers};

use crate::steps::case::{Case, Pace, Pair, Point};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::every_instruction::{Plan, recorded};
use crate::steps::kernel::{self, LIFECYCLE, Side};
use crate::steps::messages::Load;
use crate::steps::operations;
use crate::steps::peer::{Peer, order};
use crate::steps::report::{Board, peer, victim};
use crate::steps::scenario::{Flavor, Other};
use crate::steps::trace::Way;
use crate::steps::violation::{Kind, Moment, Violation, no};
use crate::steps::while_stopped::meet as meet_many;

workers![stop_all];

tests![a_stopped_spsc_member_is_not_dead, a_stopped_mpmc_member_is_not_dead];

/// Points of each case, for SPSC and for MPMC channels, of which there are more cases.
const POINTS: [usize; 2] = [12, 8];

/// Longer than a parked waiter sleeps between its own polls.
const A_LOOK: Duration = Duration::from_millis(250);

/// The number of victims that were stopped and continued in this run.
pub static STOPPED: AtomicU64 = AtomicU64::new(0);

fn a_stopped_spsc_member_is_not_dead() {
    stopped("one", false);
}

fn a_stopped_mpmc_member_is_not_dead() {
    stopped("many", true);
}

fn stopped(what: &str, many: bool) {
    let start = Instant::now();
    let report = driver::drive("sigstop::stop_all", &[&many]);
    let [stopped, seen] = [0, 1].map(|at| report.sum(at));
    STOPPED.fetch_add(stopped, Relaxed);
    println!(
        "stopped and continued, {what}: {stopped} victims, {seen} of them with a seat or \
         the lifecycle semaphore, {} failures {:.1} s",
        report.failures.len(),
        start.elapsed().as_secs_f64()
    );
    report.must_be_clean();
    assert!(seen > 0, "nothing was tried");
}

/// Reports for each case the number of victims that were stopped, and of those that others
/// encountered.
fn stop_all(orders: &mut Orders) {
    driver::begin(orders);
    let many: bool = orders.next();
    let flavor = if many { Flavor::Many } else { Flavor::One };
    let board = Board::new();
    let every = if cfg!(debug_assertions) { 4 } else { 1 };
    let operations = operations::all().into_iter().filter(|o| o.flavor == flavor);
    for operation in operations.step_by(every) {
        for case in operation.walked() {
            let mut case = Case::new(&operation, case, board);
            let Some(way) = recorded(&mut case) else { continue };
            let points = Plan::Points(POINTS[usize::from(many)]).points(&way);
            let mut seen = 0;
            for (i, point) in points.iter().enumerate() {
                let long = i == points.len() / 2 && case.scene.other == Other::Asleep;
                match stop_at(&mut case, &way, *point, long) {
                    Ok(met) => seen += u32::from(met),
                    Err(violation) => {
                        say(fail(format!("{}, stopped {point:?}: {violation}", case.name())));
                        case.clean_up();
                    }
                }
            }
            say(format!("{} {seen}", points.len()));
        }
    }
    say(OVER);
}

/// Stops a victim at a point. Returns whether others encountered it.
fn stop_at(case: &mut Case<'_>, way: &Way, point: Point, long: bool) -> Result<bool, Violation> {
    let mut pair = case.start()?;
    case.bring(&mut pair, way, point, Pace::Run)?;
    case.scene.board.traced.set(0);
    let Pair { mut victim, peer } = pair;
    if point == Point::Asleep {
        victim.halt();
    }
    let mut victim = victim.leave_stopped();
    until(|| state(victim.pid()) == Some('T'));
    let met = meet(case, victim.pid(), peer.as_ref())?;
    if long {
        std::thread::sleep(A_LOOK);
        meet(case, victim.pid(), peer.as_ref())?;
    }
    victim.signal(libc::SIGCONT);
    finish(case, &mut victim, peer.as_ref())?;
    let moment = Moment::now(peer.as_ref());
    case.survive(peer, moment)?;
    Ok(met)
}

/// Returns the state that `ps` shows.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("our child");
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// Checks what others find while the victim is stopped. Returns whether it holds anything that
/// stops them.
fn meet(case: &Case<'_>, victim: u32, peer: Option<&Peer>) -> Result<bool, Violation> {
    let scene = &case.scene;
    if scene.flavor == Flavor::Many {
        return meet_many(scene, victim, peer);
    }
    let Some(values) = kernel::set(scene.key).map(ipc::values) else { return Ok(false) };
    let seated = values[scene.side.seat()] != 0;
    if !seated && values[LIFECYCLE] == 0 {
        return Ok(false);
    }
    let options = || scene.options().open_timeout(Duration::from_millis(1));
    let opened = match scene.side {
        Side::Sender => options().open::<Sender<Load>>().map(drop),
        Side::Receiver => options().open::<Receiver<Load>>().map(drop),
    };
    match opened {
        Err(Error::SeatTaken { pid, .. }) if seated && pid == victim => {}
        Err(Error::Busy { pid, .. }) if values[LIFECYCLE] != 0 && pid == victim => {}
        other => return no(Kind::Told, format!("its place: {other:?} ({values:?})")),
    }
    let board = &scene.board;
    match (scene.other, peer) {
        (Other::Idle | Other::Late, Some(peer)) if seated => {
            peer.order(scene, order::LOOK);
            let found = board.peer_text.get();
            if found != format!("Ok(Present {{ pid: {victim} }})") {
                return no(Kind::Told, format!("its peer sees {found}"));
            }
        }
        (Other::Asleep, _) if seated => {
            let told = board.peer.get();
            if told != peer::HERE && told != peer::SUCCEEDED {
                return no(Kind::Told, format!("the waiter got {told} {}", board.peer_text.get()));
            }
        }
        _ => {}
    }
    Ok(true)
}

/// Lets the victim continue to its end.
fn finish(case: &Case<'_>, victim: &mut Fork, peer: Option<&Peer>) -> Result<(), Violation> {
    let board = &case.scene.board;
    let asleep = &mut case.asleep();
    until(|| {
        if asleep() && board.victim.get() == victim::AT_WORK {
            peer.expect("a late peer").order(&case.scene, order::WAKE);
        }
        board.victim.get() != victim::AT_WORK
    });
    until(|| {
        // If it had passed the check whether to stop at its end, it stops there.
        victim.signal(libc::SIGCONT);
        state(victim.pid()) == Some('Z')
    });
    let end = victim.wait();
    if board.victim.get() != victim::SUCCEEDED || !end.success() {
        return no(Kind::Told, format!("continued, it fails: {end}, {}", board.victim_text.get()));
    }
    Ok(())
}

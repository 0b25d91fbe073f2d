//! Each system call of each operation fails once, with each errno that the kernel could return. The
//! operation then returns an error or succeeds, every acknowledged message is available, and
//! nothing is leaked.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use sysvring_support::raw_ipc::{self, LIFECYCLE};
use sysvring_support::single_step::Stop;
use sysvring_support::worker::{Args, print_line};
use sysvring_support::{test, work};

use crate::steps::case::{Case, Pair};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::operations::{self, After};
use crate::steps::report::{Shared, peer};
use crate::steps::violation::{Kind, Moment, Violation, no};

const ERRNOS: &[(i32, &str)] = &[
    (libc::EINTR, "EINTR"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::EIDRM, "EIDRM"),
    (libc::EINVAL, "EINVAL"),
    (libc::EACCES, "EACCES"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::E2BIG, "E2BIG"),
    (libc::ERANGE, "ERANGE"),
];

/// Calls that cannot fail, or that the harness makes.
const OTHERS: &[libc::c_long] = &[
    libc::SYS_tgkill,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_geteuid,
    // It can fail only for an address where nothing is attached.
    libc::SYS_shmdt,
    libc::SYS_rt_sigprocmask,
    libc::SYS_exit_group,
];

/// The number of calls that failed in this run.
pub static FAILED: AtomicU64 = AtomicU64::new(0);

#[test]
fn calls_that_move_messages_fail() {
    all_fail(
        "messages",
        "send send_waiting try_send_full loan_waiting send_batch_waiting flush \
         recv_waiting recv_ref_waiting recv_batch recv_batch_waiting try_recv",
    );
}

#[test]
fn calls_of_opening_fail() {
    all_fail(
        "opening",
        "create create_reap create_private create_incomplete open open_receiver \
         open_without_set join join_receiver join_private",
    );
}

#[test]
fn calls_of_leaving_fail() {
    all_fail(
        "leaving",
        "leave leave_receiver leave_last leave_private close close_receiver remove \
         remove_again remove_sender reap",
    );
}

#[test]
fn mpmc_calls_fail() {
    all_fail(
        "MPMC",
        "mpmc_send mpmc_send_waiting mpmc_try_send_full mpmc_commit \
         mpmc_send_batch_waiting mpmc_recv_waiting mpmc_recv_ref_waiting \
         mpmc_recv_batch mpmc_recv_batch_waiting mpmc_try_recv mpmc_acknowledge \
         mpmc_recover mpmc_recover_full mpmc_take_over mpmc_seat_of_receiver \
         mpmc_create mpmc_join mpmc_join_receiver mpmc_leave mpmc_leave_receiver \
         mpmc_leave_last mpmc_close mpmc_flush mpmc_create_private mpmc_join_private \
         mpmc_remove mpmc_remove_again",
    );
}

#[test]
fn calls_of_sets_fail() {
    all_fail(
        "sets",
        "add arm recv_in_set send_in_set remove_from_set drop_set leave_in_set send_to_armed \
         recv_for_armed mpmc_add mpmc_arm mpmc_recv_in_set mpmc_share_rings mpmc_leave_rung \
         mpmc_send_to_armed",
    );
}

/// Fails the calls of these operations.
fn all_fail(what: &str, operations: &str) {
    let start = Instant::now();
    let outcome = driver::drive("errno::fail_calls", &[&operations]);
    let [calls, failed, errors] = [0, 1, 2].map(|at| outcome.sum(at));
    FAILED.fetch_add(failed, Relaxed);
    println!(
        "errno {what:<13}{calls:>5} calls {failed:>6} failed {errors:>5} errors returned \
         {:>3} failures {:>6.1} s",
        outcome.failures.len(),
        start.elapsed().as_secs_f64()
    );
    outcome.must_be_clean();
    assert!(failed > 0, "nothing was tried");
}

/// Reports for each case the number of calls, of failed calls, and of operations that returned an
/// error.
#[work]
fn fail_calls(args: &mut Args) {
    driver::begin(args);
    let names: String = args.next();
    let shared = Shared::new();
    for name in names.split_whitespace() {
        let operation = operations::find(name);
        for case in operation.cases_to_try() {
            let mut case = Case::new(&operation, case, shared);
            let (mut failed, mut errors) = (0, 0);
            let calls = (0..).find(|n| {
                let mut there = true;
                for errno in ERRNOS {
                    let mut what = String::new();
                    match fail_one(&mut case, *n, errno.0, &mut what) {
                        Ok(Done::NoSuchCall) => {
                            there = false;
                            break;
                        }
                        Ok(Done::Returned { error }) => errors += u32::from(error),
                        Err(violation) => {
                            let (name, errno) = (case.name(), errno.1);
                            print_line(fail(format!(
                                "{name}, call {n} {what} {errno}: {violation}"
                            )));
                            case.clean_up();
                        }
                    }
                    failed += 1;
                }
                !there
            });
            print_line(format!("{} {failed} {errors}", calls.expect("an end")));
        }
    }
    print_line(OVER);
}

/// The outcome of one failed call.
enum Done {
    NoSuchCall,
    /// The operation returned.
    Returned {
        error: bool,
    },
}

/// Fails one call of a victim. Sets `what` to the call and what the victim reports.
fn fail_one(
    case: &mut Case<'_>,
    n: usize,
    errno: i32,
    what: &mut String,
) -> Result<Done, Violation> {
    let mut pair = case.start()?;
    let asleep = &mut case.asleep();
    let mut seen = 0;
    // These falsely report that the object is gone, and a victim that believes it has nothing to
    // release.
    let releases = ![libc::EIDRM, libc::EINVAL].contains(&errno);
    let done = loop {
        let stop = pair.victim.run_to_call(asleep);
        match awake(case, &mut pair, stop) {
            Stop::Call => {}
            Stop::Marked => break Done::NoSuchCall,
            stop => return stuck(stop),
        }
        let call = pair.victim.call();
        let ours = !OTHERS.contains(&call);
        let stop = if ours && seen == n {
            *what = format!("(system call {call})");
            pair.victim.fail_call(errno)
        } else {
            pair.victim.run_to_call(asleep)
        };
        match awake(case, &mut pair, stop) {
            Stop::Call => {}
            stop => return stuck(stop),
        }
        if ours && seen == n {
            // It continues to the end of its operation.
            let stop = pair.victim.run(asleep);
            match awake(case, &mut pair, stop) {
                Stop::Marked => {}
                stop => return stuck(stop),
            }
            if releases {
                holds_nothing_up(case)?;
            }
            let text = case.scenario.shared.victim_text.get();
            *what = format!("{what} {text:?}");
            break Done::Returned { error: !text.is_empty() };
        }
        seen += usize::from(ours);
    };
    // It drops its handles and ends.
    let stop = pair.victim.run(asleep);
    match awake(case, &mut pair, stop) {
        Stop::Ended(status) if status.success() => {}
        stop => return stuck(stop),
    }
    let moment = Moment::now(pair.peer.as_ref());
    case.survive(pair.peer, moment)?;
    let was_told = case.scenario.shared.peer.get() == peer::DISCONNECTED;
    let has_failed = matches!(done, Done::Returned { error: true });
    if has_failed && was_told && releases && matches!(case.operation.after, After::Coming) {
        return no(Kind::WrongResult, "a victim that did not open the channel ended the stream");
    }
    Ok(done)
}

/// After its call returned, with any result, the victim does not hold the lifecycle semaphore.
fn holds_nothing_up(case: &Case<'_>) -> Result<(), Violation> {
    match raw_ipc::set_of(case.scenario.key).map(raw_ipc::values) {
        Some(values) if values[LIFECYCLE] != 0 => {
            let victim = case.scenario.shared.victim_text.get();
            let what = format!("it returned ({victim:?}) and holds the lifecycle semaphore");
            no(Kind::SemaphoreHeld, what)
        }
        _ => Ok(()),
    }
}

/// Wakes the victim until it sleeps no more.
fn awake(case: &Case<'_>, pair: &mut Pair, mut stop: Stop) -> Stop {
    let asleep = &mut case.asleep();
    while stop == Stop::Asleep {
        case.wake(pair);
        stop = pair.victim.wait(asleep);
    }
    stop
}

fn stuck<T>(stop: Stop) -> Result<T, Violation> {
    no(Kind::Unusable, format!("the victim panics or hangs: {stop:?}"))
}

//! Each system call of each operation fails once, with each errno that the kernel could return. The
//! operation then returns an error or succeeds, every acknowledged message is available, and
//! nothing is leaked.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use sysvring_support::ipc;
use sysvring_support::step::Stop;
use sysvring_support::worker::{Orders, say};
use sysvring_support::{tests, workers};

use crate::steps::case::{Case, Pair};
use crate::steps::driver::{self, OVER, fail};
use crate::steps::kernel;
use crate::steps::operations;
use crate::steps::report::Board;
use crate::steps::violation::{Kind, Moment, Violation, no};

workers![fail_calls];

tests![
    calls_that_move_messages_fail,
    calls_of_opening_fail,
    calls_of_leaving_fail,
    mpmc_calls_fail,
];

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

fn calls_that_move_messages_fail() {
    all_fail(
        "messages",
        &[
            "send",
            "send_waiting",
            "try_send_full",
            "loan_waiting",
            "send_batch_waiting",
            "flush",
            "recv_waiting",
            "recv_ref_waiting",
            "recv_batch",
            "recv_batch_waiting",
            "try_recv",
        ],
    );
}

fn calls_of_opening_fail() {
    all_fail(
        "opening",
        &[
            "create",
            "create_reap",
            "create_private",
            "create_half_made",
            "open",
            "open_receiver",
            "open_without_set",
            "join",
            "join_receiver",
            "join_private",
        ],
    );
}

fn calls_of_leaving_fail() {
    all_fail(
        "leaving",
        &[
            "leave",
            "leave_receiver",
            "leave_last",
            "leave_private",
            "close",
            "close_receiver",
            "remove",
            "remove_again",
            "remove_sender",
            "reap",
        ],
    );
}

fn mpmc_calls_fail() {
    all_fail(
        "many",
        &[
            "many_send",
            "many_send_waiting",
            "many_try_send_full",
            "many_commit",
            "many_send_batch_waiting",
            "many_recv_waiting",
            "many_recv_ref_waiting",
            "many_recv_batch",
            "many_recv_batch_waiting",
            "many_try_recv",
            "many_acknowledge",
            "many_repair",
            "many_repair_full",
            "many_take_over",
            "many_seat_of_receiver",
            "many_create",
            "many_join",
            "many_join_receiver",
            "many_leave",
            "many_leave_receiver",
            "many_leave_last",
            "many_close",
            "many_flush",
            "many_create_private",
            "many_join_private",
            "many_remove",
            "many_remove_again",
        ],
    );
}

fn all_fail(what: &str, operations: &[&str]) {
    let start = Instant::now();
    let report = driver::drive("errno::fail_calls", &[&operations.join(",")]);
    let [calls, failed, errors] = [0, 1, 2].map(|at| report.sum(at));
    FAILED.fetch_add(failed, Relaxed);
    println!(
        "errno {what:<13}{calls:>5} calls {failed:>6} failed {errors:>5} errors returned \
         {:>3} failures {:>6.1} s",
        report.failures.len(),
        start.elapsed().as_secs_f64()
    );
    report.must_be_clean();
    assert!(failed > 0, "nothing was tried");
}

/// Reports for each case the number of calls, of failed calls, and of operations that returned an
/// error.
fn fail_calls(orders: &mut Orders) {
    driver::begin(orders);
    let names: String = orders.next();
    let board = Board::new();
    for name in names.split(',') {
        let operation = operations::find(name);
        for case in operation.walked() {
            let mut case = Case::new(&operation, case, board);
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
                            say(fail(format!("{name}, call {n} {what} {errno}: {violation}")));
                            case.clean_up();
                        }
                    }
                    failed += 1;
                }
                !there
            });
            say(format!("{} {failed} {errors}", calls.expect("an end")));
        }
    }
    say(OVER);
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
            // The errno falsely reports that the object is gone, and a victim that believes it has
            // nothing to release.
            if ![libc::EIDRM, libc::EINVAL].contains(&errno) {
                holds_nothing_up(case)?;
            }
            let text = case.scene.board.victim_text.get();
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
    Ok(done)
}

/// After its call returned, with any result, the victim does not hold the lifecycle semaphore.
fn holds_nothing_up(case: &Case<'_>) -> Result<(), Violation> {
    match kernel::set(case.scene.key).map(ipc::values) {
        Some(values) if values[kernel::LIFECYCLE] != 0 => {
            let victim = case.scene.board.victim_text.get();
            let what = format!("it returned ({victim:?}) and holds the lifecycle semaphore");
            no(Kind::Held, what)
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
    no(Kind::Broken, format!("the victim panics or hangs: {stop:?}"))
}

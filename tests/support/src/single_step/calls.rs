//! The system calls of a child and of all its threads: which ones it makes, and the answers of
//! another kernel to some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::machine::{Registers, ptrace, skip_call};
use super::mark;
use crate::fork::Fork;

/// What a traced child did.
#[derive(Debug)]
pub struct Traced {
    /// The numbers of the calls that any of its threads made between its two marks.
    pub calls: BTreeSet<i64>,
    /// Those that its first thread made.
    pub calls_of_first: BTreeSet<i64>,
    /// How its process ended.
    pub end: ExitStatus,
}

/// Where a thread is: outside a call, or inside one that gets this answer.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    Inside(Option<i64>),
}

/// Runs `body` in a forked child and records its system calls. Those in `answers` have no effect
/// and return the number beside them. The calling process must have no other child.
pub fn trace_calls(answers: &[(libc::c_long, i64)], body: impl FnOnce()) -> Traced {
    let mut fork = Fork::start(|| {
        // SAFETY: takes numbers.
        let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        assert_eq!(traced, 0, "ptrace is not allowed here: {}", io::Error::last_os_error());
        mark();
        mark();
        body();
        mark();
    });
    let main = fork.pid() as i32;
    let (_, status) = wait();
    assert_eq!(status.stopped_signal(), Some(libc::SIGSTOP), "its first mark: {status}");
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SETOPTIONS as _, main, 0, options as usize);
    ptrace(libc::PTRACE_SYSCALL, main, 0, 0);
    let mut traced =
        Traced { calls: BTreeSet::new(), calls_of_first: BTreeSet::new(), end: status };
    let (mut places, mut records) = (BTreeMap::new(), false);
    loop {
        let (thread, status) = wait();
        let Some(signal) = status.stopped_signal() else {
            places.remove(&thread);
            if thread == main {
                fork.ended = true;
                traced.end = status;
                return traced;
            }
            continue;
        };
        let mut deliver = 0;
        match signal {
            CALL => {
                let place = places.entry(thread).or_insert(Place::Outside);
                *place = pass(thread, *place, answers, |call| {
                    if records {
                        traced.calls.insert(call);
                    }
                    if records && thread == main {
                        traced.calls_of_first.insert(call);
                    }
                });
            }
            libc::SIGSTOP if thread == main => records = !records,
            // A new thread, or the report of one.
            libc::SIGSTOP | libc::SIGTRAP => {}
            other => deliver = other,
        }
        ptrace(libc::PTRACE_SYSCALL, thread, 0, deliver as usize);
    }
}

const CALL: i32 = libc::SIGTRAP | 0x80;

/// Handles a stop at the entry or the exit of a call.
fn pass(
    thread: i32,
    place: Place,
    answers: &[(libc::c_long, i64)],
    note: impl FnOnce(i64),
) -> Place {
    match place {
        Place::Inside(answer) => {
            if let Some(result) = answer {
                Registers::of(thread).with_result(result).put(thread);
            }
            Place::Outside
        }
        Place::Outside => {
            let call = Registers::of(thread).call();
            note(call);
            let answer = answers.iter().find(|(number, _)| *number == call);
            if answer.is_some() {
                skip_call(thread);
            }
            Place::Inside(answer.map(|(_, result)| *result))
        }
    }
}

/// Waits for the next stop or end of a thread of a child.
fn wait() -> (i32, ExitStatus) {
    let mut status = 0;
    loop {
        // SAFETY: a local variable for the status.
        match unsafe { libc::waitpid(-1, &mut status, libc::__WALL) } {
            -1 => {
                let error = io::Error::last_os_error();
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
            }
            thread => return (thread, ExitStatus::from_raw(status)),
        }
    }
}

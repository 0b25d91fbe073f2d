//! Counts the system calls of traced children between two marks, using ptrace as `strace` does.
//!
//! A mark is a system call that has no effect and is made for no other purpose: `getpgid` of an
//! invalid process. A child that sets the second mark without the first is an error, so a count of
//! zero means that no call was made, not that none was seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::c_long;
use std::io;
use std::mem::MaybeUninit;

/// Marks the start of the phase.
pub const START: i32 = -0x5152;
/// Marks the end of the phase.
pub const END: i32 = -0x5153;

/// Sets a mark, in a child.
pub fn mark(mark: i32) {
    // SAFETY: numbers only; no such process exists, so the call returns an error.
    unsafe { libc::syscall(libc::SYS_getpgid, mark) };
}

/// System calls by number.
pub type Counts = BTreeMap<i64, u64>;

/// The calling thread as the tracer of its children.
pub struct Tracer {
    /// Maps each traced thread to its process.
    threads: HashMap<i32, i32>,
    children: usize,
}

impl Tracer {
    /// Traces all current and future threads of the children, which continue to run.
    pub fn attach(children: &[i32]) -> io::Result<Tracer> {
        let mut threads = HashMap::new();
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;
        for &child in children {
            for task in std::fs::read_dir(format!("/proc/{child}/task"))? {
                let name = task?.file_name();
                let thread = name.to_str().and_then(|n| n.parse().ok()).expect("a number");
                request(libc::PTRACE_SEIZE, thread, options)?;
                request(libc::PTRACE_INTERRUPT, thread, 0)?;
                stop_of(thread)?;
                request(libc::PTRACE_SYSCALL, thread, 0)?;
                threads.insert(thread, child);
            }
        }
        Ok(Tracer { threads, children: children.len() })
    }

    /// Counts until every child has set its second mark, which detaches its main thread.
    pub fn count(self) -> io::Result<Counts> {
        let mut counts = Counts::new();
        for (number, n) in self.count_each()?.into_values().flatten() {
            *counts.entry(number).or_default() += n;
        }
        Ok(counts)
    }

    /// Counts likewise, separately for each child.
    pub fn count_each(mut self) -> io::Result<HashMap<i32, Counts>> {
        let mut counting = HashSet::new();
        let mut counts: HashMap<i32, Counts> = HashMap::new();
        let mut done = 0;
        while done < self.children {
            let thread = next_stop()?;
            let status = stop_of(thread)?;
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            if event != 0 {
                // A thread started, or its start is reported: nothing to count.
                request(libc::PTRACE_SYSCALL, thread, 0)?;
                continue;
            }
            if signal != libc::SIGTRAP | 0x80 {
                // A pending signal: deliver it.
                request(libc::PTRACE_SYSCALL, thread, signal)?;
                continue;
            }
            let process = match self.threads.get(&thread) {
                Some(&process) => process,
                None => *self.threads.entry(thread).or_insert(process_of(thread)?),
            };
            match entered(thread)? {
                Some((libc::SYS_getpgid, START)) => {
                    counting.insert(process);
                }
                Some((libc::SYS_getpgid, END)) => {
                    if !counting.remove(&process) {
                        return Err(io::Error::other("a second mark without the first"));
                    }
                    done += 1;
                    request(libc::PTRACE_DETACH, thread, 0)?;
                    continue;
                }
                Some((number, _)) if counting.contains(&process) => {
                    let counts = counts.entry(process).or_default();
                    *counts.entry(number).or_default() += 1;
                }
                _ => {}
            }
            request(libc::PTRACE_SYSCALL, thread, 0)?;
        }
        Ok(counts)
    }
}

/// Waits for the next traced thread to stop. A child that exits is an error; it is not reaped here.
fn next_stop() -> io::Result<i32> {
    // SAFETY: a `siginfo_t` may be zero and outlives the call; the fields read are those of a
    // child's state change, which a successful call writes.
    let (thread, change) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let what = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::__WALL;
        if libc::waitid(libc::P_ALL, 0, &mut info, what) != 0 {
            return Err(io::Error::last_os_error());
        }
        (info.si_pid(), info.si_code)
    };
    match change {
        libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => {
            Err(io::Error::other(format!("process {thread} ended while it was traced")))
        }
        _ => Ok(thread),
    }
}

/// Waits for a traced thread to stop and returns its wait status.
fn stop_of(thread: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(thread, &mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(status),
        _ => Err(io::Error::other(format!("thread {thread} ended while it was traced"))),
    }
}

/// Returns the number and the first argument of the system call that a stopped thread enters, or
/// `None` when it leaves one.
fn entered(thread: i32) -> io::Result<Option<(c_long, i32)>> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let len = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the kernel writes at most `len` bytes there.
    if unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, len, info.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is valid, and it was zeroed before the kernel wrote to it.
    let info = unsafe { info.assume_init() };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: at a syscall-entry stop, `entry` is the active field.
    let entry = unsafe { info.u.entry };
    Ok(Some((entry.nr as c_long, entry.args[0] as i32)))
}

/// Returns the process to which a thread belongs.
fn process_of(thread: i32) -> io::Result<i32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status"))?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    process.and_then(|p| p.trim().parse().ok()).ok_or_else(|| io::Error::other("no Tgid"))
}

/// Makes a ptrace request without an address.
fn request(request: libc::c_uint, thread: i32, data: i32) -> io::Result<()> {
    // SAFETY: the requests of this file take numbers only: options or a signal.
    let done = unsafe { libc::ptrace(request, thread, 0 as c_long, c_long::from(data)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

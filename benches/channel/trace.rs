//! Counts the system calls of traced children between two marks, with ptrace as `strace` does.
//!
//! A mark is a system call that nobody makes for another reason and that does nothing: `getpgid` of
//! an impossible process. A child that makes the second without the first is an error, so a count of
//! nothing means that nothing was called, not that nothing was seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::c_long;
use std::io;
use std::mem::MaybeUninit;

/// The phase begins.
pub const START: i32 = -0x5152;
/// The phase ends.
pub const END: i32 = -0x5153;

/// A child marks the start or the end of the phase.
pub fn mark(mark: i32) {
    // SAFETY: numbers only; the kernel knows no such process and says so.
    unsafe { libc::syscall(libc::SYS_getpgid, mark) };
}

/// System calls by number.
pub type Counts = BTreeMap<i64, u64>;

/// This thread as the tracer of some children.
pub struct Tracer {
    /// The process of each traced thread.
    threads: HashMap<i32, i32>,
    children: usize,
}

impl Tracer {
    /// Traces all threads that the children have now or start later. They go on.
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

    /// Counts until every child made its second mark, with which its main thread is let go.
    pub fn count(self) -> io::Result<Counts> {
        let mut counts = Counts::new();
        for (number, n) in self.count_each()?.into_values().flatten() {
            *counts.entry(number).or_default() += n;
        }
        Ok(counts)
    }

    /// The same, for each child by itself.
    pub fn count_each(mut self) -> io::Result<HashMap<i32, Counts>> {
        let mut counting = HashSet::new();
        let mut counts: HashMap<i32, Counts> = HashMap::new();
        let mut done = 0;
        while done < self.children {
            let thread = next_stop()?;
            let status = stop_of(thread)?;
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            if event != 0 {
                // A thread starts, or its start is reported; nothing to count.
                request(libc::PTRACE_SYSCALL, thread, 0)?;
                continue;
            }
            if signal != libc::SIGTRAP | 0x80 {
                // A signal on its way: let it arrive.
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

/// The next traced thread to stop. A child that ends is an error; it is left to be waited for.
fn next_stop() -> io::Result<i32> {
    // SAFETY: a `siginfo_t` may be zero and lives through the call; the fields read are those of a
    // child's change, which a successful call writes.
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

/// Waits for a traced thread to stop; how it did.
fn stop_of(thread: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    match unsafe { libc::waitpid(thread, &mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(status),
        _ => Err(io::Error::other(format!("thread {thread} ended while it was traced"))),
    }
}

/// Number and first argument of the system call that a stopped thread enters; `None` when it
/// leaves one.
fn entered(thread: i32) -> io::Result<Option<(c_long, i32)>> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let len = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the kernel writes at most `len` bytes there.
    if unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, len, info.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it may be zero, and was before the kernel wrote to it.
    let info = unsafe { info.assume_init() };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: at this kind of stop these are the fields.
    let entry = unsafe { info.u.entry };
    Ok(Some((entry.nr as c_long, entry.args[0] as i32)))
}

/// The process a thread belongs to.
fn process_of(thread: i32) -> io::Result<i32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status"))?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    process.and_then(|p| p.trim().parse().ok()).ok_or_else(|| io::Error::other("no Tgid"))
}

/// A request without an address.
fn request(request: libc::c_uint, thread: i32, data: i32) -> io::Result<()> {
    // SAFETY: the requests of this file take numbers: options or a signal.
    let done = unsafe { libc::ptrace(request, thread, 0 as c_long, c_long::from(data)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! The system calls, and nothing above them: the only part of this crate that uses libc.
//!
//! Everything here reports a bare [`Errno`]; its meaning for a channel is decided by the callers.

pub(crate) mod cgroup;
pub(crate) mod event;
pub(crate) mod fork_guard;
mod guarded;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod mqueue;
pub(crate) mod process;
#[cfg(feature = "serde")]
pub(crate) mod seconds;
pub(crate) mod sem;
pub(crate) mod sem_undo_probe;
pub(crate) mod shm;
pub(crate) mod time;

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

/// The error number of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// The result of every call here.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// The error numbers that callers distinguish.
#[allow(
    dead_code,
    reason = "a list of names, complete for these calls rather than for their users"
)]
impl Errno {
    pub(crate) const E2BIG: Errno = Errno(libc::E2BIG);
    pub(crate) const EACCES: Errno = Errno(libc::EACCES);
    pub(crate) const EAGAIN: Errno = Errno(libc::EAGAIN);
    pub(crate) const EBUSY: Errno = Errno(libc::EBUSY);
    pub(crate) const EEXIST: Errno = Errno(libc::EEXIST);
    pub(crate) const EFAULT: Errno = Errno(libc::EFAULT);
    pub(crate) const EFBIG: Errno = Errno(libc::EFBIG);
    pub(crate) const EHWPOISON: Errno = Errno(libc::EHWPOISON);
    pub(crate) const EIDRM: Errno = Errno(libc::EIDRM);
    pub(crate) const EINTR: Errno = Errno(libc::EINTR);
    pub(crate) const EINVAL: Errno = Errno(libc::EINVAL);
    pub(crate) const EMFILE: Errno = Errno(libc::EMFILE);
    pub(crate) const ENFILE: Errno = Errno(libc::ENFILE);
    pub(crate) const ENOENT: Errno = Errno(libc::ENOENT);
    pub(crate) const ENOMEM: Errno = Errno(libc::ENOMEM);
    pub(crate) const ENOSPC: Errno = Errno(libc::ENOSPC);
    pub(crate) const ENOSYS: Errno = Errno(libc::ENOSYS);
    pub(crate) const EPERM: Errno = Errno(libc::EPERM);
    pub(crate) const ERANGE: Errno = Errno(libc::ERANGE);
    pub(crate) const ESRCH: Errno = Errno(libc::ESRCH);
    pub(crate) const ETIMEDOUT: Errno = Errno(libc::ETIMEDOUT);

    /// Returns this thread's last error.
    pub(crate) fn last() -> Errno {
        Errno::from(io::Error::last_os_error())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        error.raw_os_error().map_or(Errno::EINVAL, Errno)
    }
}

/// Converts the result of a call that returns -1 for failure.
pub(crate) fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// Runs `work` and restores this thread's error number, as a signal handler must.
pub(crate) fn preserving_errno<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: returns the address of this thread's error number, which is always valid.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let result = work();
    // SAFETY: as above.
    unsafe { *errno = before };
    result
}

/// The kernel's `ipc64_perm` of 64-bit machines. libc's own versions differ in names and widths
/// between the C libraries; the kernel's layout does not.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Perm {
    key: i32,
    uid: u32,
    gid: u32,
    cuid: u32,
    cgid: u32,
    mode: u32,
    seq: u16,
    pad: u16,
    unused: [u64; 2],
}

/// Converts a time from the kernel's tables, where 0 stands for "never".
fn system_time(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Instant;

    /// Runs `body` in a forked child and returns its pid. The other threads of the test program do
    /// not exist there, so it must not allocate or panic.
    pub(crate) fn fork(body: impl FnOnce() -> bool) -> libc::pid_t {
        // SAFETY: the child calls nothing that needs a lock of another thread, and exits by
        // `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                let code = i32::from(!body());
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(code) }
            }
            pid => check(pid).unwrap(),
        }
    }

    /// Waits for a forked child and returns whether it exited successfully.
    pub(crate) fn wait(pid: libc::pid_t) -> bool {
        let mut status = 0;
        // SAFETY: our own child, and a place for its status.
        check(unsafe { libc::waitpid(pid, &mut status, 0) }).unwrap();
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }

    /// Waits for a condition that other threads, or the children of other tests, are about to
    /// establish.
    pub(crate) fn eventually(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(20), "it never came true");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn errors_speak() {
        assert_eq!(check(3), Ok(3));
        assert!(Errno::ENOENT.to_string().contains("No such file"));
        assert_eq!(Errno::from(io::Error::from(Errno::EIDRM)), Errno::EIDRM);
    }

    #[test]
    fn zero_is_never() {
        assert_eq!(system_time(0), None);
        assert_eq!(system_time(-1), None);
        assert_eq!(system_time(5), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(5)));
    }
}

//! Forked children of a process with one thread. Forking is cheaper than starting the program
//! again, for tests that kill hundreds of children. A worker has one thread; the program that was
//! started by hand does not.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

/// A forked child. Dropping it kills it if it is still alive, and waits for it.
#[derive(Debug)]
pub struct Fork {
    pid: libc::pid_t,
    /// Whether it has been waited for.
    pub(crate) ended: bool,
}

impl Fork {
    /// Runs `body` in a child, which then exits, with success unless `body` panics.
    pub fn start(body: impl FnOnce()) -> Fork {
        let threads =
            std::fs::read_dir("/proc/self/task").expect("the threads of this process").count();
        assert_eq!(threads, 1, "the locks of other threads stay locked in a child");
        let parent = std::process::id();
        // SAFETY: no other thread holds a lock or is in the middle of anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                crate::worker::end_with_parent();
                // The first process of a PID namespace does not see its parent.
                let orphan = ![parent, 0].contains(&std::os::unix::process::parent_id());
                let ended = !orphan && catch_unwind(AssertUnwindSafe(body)).is_ok();
                // SAFETY: ends the child at once, without running the parent's exit handlers.
                unsafe { libc::_exit(if ended { 0 } else { 101 }) }
            }
            pid => Fork { pid, ended: false },
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Returns whether it has been waited for.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        assert!(!self.ended, "its PID may have been reused");
        // SAFETY: a child of this process that has not been waited for.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Sends SIGKILL. The child may live on for some microseconds.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> ExitStatus {
        assert!(!self.ended, "already waited for");
        let mut status = 0;
        // SAFETY: a child of this process, and a local variable for its status.
        while unsafe { libc::waitpid(self.pid, &mut status, 0) } == -1 {
            let error = io::Error::last_os_error();
            assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
        }
        self.ended = true;
        ExitStatus::from_raw(status)
    }

    /// Sends SIGKILL and waits until the child is gone. Returns whether the signal ended it, rather
    /// than its own exit before.
    pub fn kill_and_wait(&mut self) -> bool {
        self.kill();
        let end = self.wait();
        assert!(end.signal() == Some(libc::SIGKILL) || end.success(), "it ended with {end}");
        !end.success()
    }

    /// Waits until it ends, which it must do with success.
    pub fn finish(mut self) {
        let end = self.wait();
        assert!(end.success(), "a forked child ended with {end}");
    }

    /// Waits until it sleeps in the kernel.
    pub fn wait_asleep(&self) {
        crate::worker::wait_asleep(self.pid).expect("it goes to sleep");
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            self.wait();
        }
    }
}

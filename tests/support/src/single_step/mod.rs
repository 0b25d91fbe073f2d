//! Steps a child process instruction by instruction (`ptrace`). It can be stopped at any
//! instruction, to be killed there, to stay stopped for a while, or to get a failed system call.
//!
//! The child marks with [`mark`] where the relevant part begins and where it ends. This works on
//! architectures whose registers `machine.rs` defines. On aarch64 without the atomics of ARMv8.1, a
//! step into a load-exclusive clears the reservation, so such code never makes progress there.

mod calls;
mod machine;

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

pub use self::calls::{Traced, trace_calls};
use crate::fork::Fork;
use machine::{BREAK, Registers, ptrace, skip_call};

/// The maximum time between two stops of a child that does not sleep.
const STUCK: Duration = Duration::from_secs(5);

/// Where the child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It executed one instruction, or reached the address that it was to run to.
    There,
    /// It is at a [`mark`].
    Marked,
    /// It is at the entry or the exit of a system call.
    Call,
    /// It sleeps in the kernel and is not stopped.
    Asleep,
    /// It has ended.
    Ended(ExitStatus),
    /// It was stopped by a signal that is neither the tracer's nor its own mark.
    Signal(i32),
    /// It is neither stopped nor asleep, for an unknown reason.
    Stuck,
}

/// Stops the calling child for its tracer.
#[inline(never)]
pub fn mark() {
    // SAFETY: takes a number.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// A traced child. Dropping it kills it.
pub struct Stepper {
    fork: Fork,
    /// The address of a breakpoint, and the eight original bytes that contain it.
    planted: Option<(u64, u64)>,
}

impl fmt::Debug for Stepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stepper").field(&self.fork).finish()
    }
}

impl Stepper {
    /// Forks a child and lets it run up to its first mark.
    pub fn start(body: impl FnOnce()) -> Result<Stepper, Stop> {
        let fork = Fork::start(|| {
            // SAFETY: takes numbers.
            let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            assert_eq!(traced, 0, "ptrace is not allowed here: {}", io::Error::last_os_error());
            body();
        });
        let mut stepper = Stepper { fork, planted: None };
        match stepper.wait(&mut || false) {
            Stop::Marked => {
                let pid = stepper.pid();
                ptrace(libc::PTRACE_SETOPTIONS as _, pid, 0, libc::PTRACE_O_TRACESYSGOOD as usize);
                Ok(stepper)
            }
            other => Err(other),
        }
    }

    pub fn pid(&self) -> i32 {
        self.fork.pid() as i32
    }

    /// Returns the address of its next instruction.
    pub fn place(&self) -> u64 {
        Registers::of(self.pid()).place()
    }

    /// Executes one instruction. `asleep` returns whether the child sleeps in the kernel. If it
    /// does, the caller wakes it and then waits for the stop with [`wait`](Stepper::wait).
    pub fn step(&mut self, asleep: &mut dyn FnMut() -> bool) -> Stop {
        self.go(libc::PTRACE_SINGLESTEP, asleep)
    }

    /// Runs to the next mark or breakpoint.
    pub fn run(&mut self, asleep: &mut dyn FnMut() -> bool) -> Stop {
        self.go(libc::PTRACE_CONT, asleep)
    }

    /// Runs to this address, which is the start of an instruction of the program.
    pub fn run_to(&mut self, place: u64, asleep: &mut dyn FnMut() -> bool) -> Stop {
        let at = place & !7;
        // SAFETY: a child has its parent's program at the same addresses; the aligned eight bytes
        // around a mapped byte are mapped.
        let bytes = unsafe { (at as *const [u8; 8]).read() };
        let mut broken = bytes;
        let offset = (place - at) as usize;
        broken[offset..offset + BREAK.len()].copy_from_slice(BREAK);
        self.poke(at, u64::from_ne_bytes(broken));
        self.planted = Some((place, u64::from_ne_bytes(bytes)));
        self.run(asleep)
    }

    /// Runs to the next entry or exit of a system call.
    pub fn run_to_call(&mut self, asleep: &mut dyn FnMut() -> bool) -> Stop {
        self.go(libc::PTRACE_SYSCALL, asleep)
    }

    /// Returns the number of the system call that it is about to make.
    pub fn call(&self) -> i64 {
        Registers::of(self.pid()).call()
    }

    /// Cancels the system call that it is about to make; the call fails with this errno.
    pub fn fail_call(&mut self, errno: i32) -> Stop {
        skip_call(self.pid());
        let stop = self.run_to_call(&mut || false);
        if stop == Stop::Call {
            Registers::of(self.pid()).with_result(-i64::from(errno)).put(self.pid());
        }
        stop
    }

    /// Kills it at its current instruction. When this returns, it is gone and the kernel has
    /// applied its undo records.
    pub fn kill(mut self) {
        self.fork.kill_and_wait();
    }

    /// Stops it while it sleeps.
    pub fn halt(&mut self) -> Stop {
        self.fork.signal(libc::SIGSTOP);
        self.wait(&mut || false)
    }

    /// Leaves it at its current instruction, stopped as by SIGSTOP and no longer traced.
    pub fn leave_stopped(self) -> Fork {
        ptrace(libc::PTRACE_DETACH as _, self.pid(), 0, libc::SIGSTOP as usize);
        self.fork
    }

    fn go(&mut self, how: libc::c_uint, asleep: &mut dyn FnMut() -> bool) -> Stop {
        ptrace(how, self.pid(), 0, 0);
        self.wait(asleep)
    }

    /// Waits for its next stop.
    pub fn wait(&mut self, asleep: &mut dyn FnMut() -> bool) -> Stop {
        let mut status = 0;
        let mut polls = 0;
        let mut start = None;
        loop {
            // SAFETY: a child of this process, and a local variable for its status.
            let done =
                unsafe { libc::waitpid(self.pid(), &mut status, libc::__WALL | libc::WNOHANG) };
            match done {
                0 => {}
                -1 => panic!("waitpid: {}", io::Error::last_os_error()),
                _ => return self.stopped(ExitStatus::from_raw(status)),
            }
            polls += 1;
            if polls > 2 && asleep() {
                return Stop::Asleep;
            }
            if polls > 1_000 && start.get_or_insert_with(Instant::now).elapsed() > STUCK {
                return Stop::Stuck;
            }
            // If the child shares the processor, this lets it run.
            std::thread::yield_now();
        }
    }

    fn stopped(&mut self, status: ExitStatus) -> Stop {
        const CALL: i32 = libc::SIGTRAP | 0x80;
        let Some(signal) = status.stopped_signal() else {
            self.fork.ended = true;
            return Stop::Ended(status);
        };
        if let Some((place, bytes)) = self.planted.take() {
            self.poke(place & !7, bytes);
            if signal == libc::SIGTRAP {
                Registers::of(self.pid()).back().put(self.pid());
            }
        }
        match signal {
            libc::SIGSTOP => Stop::Marked,
            CALL => Stop::Call,
            libc::SIGTRAP => Stop::There,
            other => Stop::Signal(other),
        }
    }

    fn poke(&self, at: u64, word: u64) {
        ptrace(libc::PTRACE_POKETEXT as _, self.pid(), at as usize, word as usize);
    }
}

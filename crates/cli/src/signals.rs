//! SIGPIPE, Ctrl-C and SIGTERM.
//!
//! A command that reads or writes messages ends on Ctrl-C and SIGTERM when it has finished what it
//! was at, so that no message is lost or printed twice. A second signal ends it at once.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use nix::unistd::pipe2;
use sysvring::Interrupter;

use crate::failure::Failure;

/// The signal that came.
static RECEIVED: AtomicI32 = AtomicI32::new(0);
/// What ends blocked calls. A command with more handles than these needs a second signal.
static INTERRUPTERS: [OnceLock<Interrupter>; 32] = [const { OnceLock::new() }; 32];
/// The descriptor that becomes readable with a signal.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Makes this process end as others do when the reader of its output has gone.
pub fn end_on_broken_pipe() {
    set(Signal::SIGPIPE, SigHandler::SigDfl);
}

fn set(signal: Signal, handler: SigHandler) {
    // Without SA_RESTART: a blocked read or write returns.
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is the default one or `on_signal`, which makes only calls that are safe
    // in a signal handler.
    let _ = unsafe { sigaction(signal, &action) };
}

/// Signals that are noticed instead of ending the process.
#[derive(Debug)]
pub struct Signals {
    readable: OwnedFd,
    _writable: OwnedFd,
}

impl Signals {
    /// From now on Ctrl-C and SIGTERM are noticed.
    pub fn notice() -> Result<Signals, Failure> {
        let (readable, writable) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|errno| Failure::new(format!("no pipe for signals can be made: {errno}")))?;
        PIPE.store(writable.as_raw_fd(), Ordering::SeqCst);
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            set(signal, SigHandler::Handler(on_signal));
        }
        Ok(Signals { readable, _writable: writable })
    }

    /// Makes a signal end the call that is blocked on the handle of this interrupter.
    pub fn interrupt(&self, interrupter: Interrupter) {
        let mut interrupter = Some(interrupter);
        for slot in &INTERRUPTERS {
            let Some(this) = interrupter.take() else { break };
            interrupter = slot.set(this).err();
        }
        if received().is_some() {
            // It came before.
            INTERRUPTERS.iter().filter_map(OnceLock::get).for_each(Interrupter::interrupt);
        }
    }

    /// Returns the descriptor that is readable from the first signal on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        PIPE.store(-1, Ordering::SeqCst);
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let errno = Errno::last_raw();
    if RECEIVED.swap(signal, Ordering::SeqCst) != 0 {
        // SAFETY: ends the process, from a signal handler too.
        unsafe { libc::_exit(128 + signal) };
    }
    INTERRUPTERS.iter().filter_map(OnceLock::get).for_each(Interrupter::interrupt);
    let pipe = PIPE.load(Ordering::SeqCst);
    // SAFETY: writes one byte; a descriptor of -1 is refused.
    unsafe { libc::write(pipe, [0u8].as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

/// Returns the signal that came.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// Ends this process by the signal that came, if one did, so that the shell sees it.
pub fn end_if_received() {
    if let Some(signal) = received().and_then(|signal| Signal::try_from(signal).ok()) {
        set(signal, SigHandler::SigDfl);
        let _ = raise(signal);
    }
}

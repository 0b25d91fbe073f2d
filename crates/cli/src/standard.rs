//! Standard input and output, as the process that started this one left them.
//!
//! At its start, Rust's runtime opens `/dev/null` in place of each of the first three descriptors
//! that is closed: what is written there is lost, and reading there ends at once. A program that
//! opened `/dev/null` itself may have opened it in the same way, so the difference is noted before
//! the runtime starts.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

use crate::failure::Failure;

/// Whether standard input and standard output were closed.
static WAS_CLOSED: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

// SAFETY: this section contains addresses of functions, which the loader calls before `main`. The
// function needs nothing that exists later: it makes system calls and stores into statics.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note_closed;

extern "C" fn note_closed() {
    for (fd, was_closed) in (libc::STDIN_FILENO..).zip(&WAS_CLOSED) {
        // SAFETY: takes numbers only, and fails if the descriptor is closed.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        was_closed.store(flags == -1, Ordering::Relaxed);
    }
}

/// Fails if standard input was closed.
pub fn check_input() -> Result<(), Failure> {
    match WAS_CLOSED[0].load(Ordering::Relaxed) {
        true => Err(Failure::new("standard input is closed; `</dev/null` is an empty input")),
        false => Ok(()),
    }
}

/// Fails if standard output was closed.
pub fn check_output() -> Result<(), Failure> {
    match WAS_CLOSED[1].load(Ordering::Relaxed) {
        true => Err(Failure::new("standard output is closed; `>/dev/null` discards the output")),
        false => Ok(()),
    }
}

/// Prints to standard output.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    check_output()?;
    // `Stdout` takes a descriptor that cannot be written for one that discards everything.
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let printed = stdout.and_then(|mut stdout| stdout.write_all(text));
    printed.map_err(|error| unwritten(&error))
}

/// Returns the failure of a write to standard output.
pub fn unwritten(error: &io::Error) -> Failure {
    Failure::because("standard output cannot be written", error)
}

//! Standard input, of which a signal ends the wait.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use crate::failure::Failure;
use crate::signals::{self, Signals};
use crate::standard;

/// Bytes that one call reads at most.
const PIECE: usize = 256 << 10;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    Bytes,
    End,
    /// Ctrl-C or SIGTERM.
    Signal,
}

/// Standard input, with what was read of it and not used yet.
#[derive(Debug)]
pub struct Input<'a> {
    signals: &'a Signals,
    bytes: Vec<u8>,
    used: usize,
}

impl<'a> Input<'a> {
    /// Returns standard input, unless it is closed.
    pub fn new(signals: &'a Signals) -> Result<Input<'a>, Failure> {
        standard::check_input()?;
        Ok(Input { signals, bytes: Vec::new(), used: 0 })
    }

    /// Returns what was read and not used.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Marks bytes as used.
    pub fn consume(&mut self, n: usize) {
        self.used += n;
    }

    /// Reads more bytes behind those that there are, blocking until some arrive.
    pub fn fill(&mut self) -> Result<Brought, Failure> {
        self.bytes.drain(..self.used);
        self.used = 0;
        let stdin = io::stdin();
        loop {
            if signals::received().is_some() {
                return Ok(Brought::Signal);
            }
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(Failure::because(
                        "standard input cannot be polled",
                        &io::Error::from(errno),
                    ));
                }
            }
            if fds[0].any() != Some(true) {
                continue;
            }
            let start = self.bytes.len();
            self.bytes.resize(start + PIECE, 0);
            // `Stdin` takes a descriptor that cannot be read for the end of the input.
            let read = read(stdin.as_fd(), &mut self.bytes[start..]);
            self.bytes.truncate(start + read.unwrap_or(0));
            match read {
                Ok(0) => return Ok(Brought::End),
                Ok(_) => return Ok(Brought::Bytes),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => {
                    return Err(Failure::because(
                        "standard input cannot be read",
                        &io::Error::from(errno),
                    ));
                }
            }
        }
    }
}

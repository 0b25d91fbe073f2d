//! Standard output for messages: what it has taken was written, and a signal ends a wait for a
//! reader that does not read.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::SFlag;
use nix::unistd::write;

use crate::failure::Failure;
use crate::signals::{self, Signals};
use crate::standard;

/// A pipe that is writable takes as many bytes without blocking (`PIPE_BUF`).
const PIPE_PIECE: usize = 4096;

/// Standard output.
#[derive(Debug)]
pub struct Output<'a> {
    signals: &'a Signals,
    piece: usize,
}

/// Why a write ended early.
#[derive(Debug)]
pub enum Unwritten {
    /// A signal came while nothing could be written.
    Signal,
    Failed(Failure),
}

impl<'a> Output<'a> {
    /// Returns standard output, unless it is closed.
    pub fn new(signals: &'a Signals) -> Result<Output<'a>, Failure> {
        standard::check_output()?;
        // A regular file never blocks for long.
        let is_file = nix::sys::stat::fstat(io::stdout().as_fd()).is_ok_and(|stat| {
            SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
        });
        Ok(Output { signals, piece: if is_file { usize::MAX } else { PIPE_PIECE } })
    }

    /// Writes all of these bytes.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Unwritten> {
        let stdout = io::stdout();
        while !bytes.is_empty() {
            let mut fds = [
                PollFd::new(stdout.as_fd(), PollFlags::POLLOUT),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
            if fds[0].any() != Some(true) {
                if signals::received().is_some() {
                    return Err(Unwritten::Signal);
                }
                continue;
            }
            match write(stdout.as_fd(), &bytes[..bytes.len().min(self.piece)]) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    }
}

fn failed(errno: Errno) -> Unwritten {
    Unwritten::Failed(standard::unwritten(&errno.into()))
}

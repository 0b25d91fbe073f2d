//! The other side of a channel: waiting for it, and the state of an SPSC peer.

use core::time::Duration;

use super::Endpoint;
use crate::error::Fault;
use crate::liveness::Seat;
use crate::protocol::Membership;
use crate::wait::WaitError;
use crate::wait::blocking::Blocking;

/// The state of the other side of an SPSC channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// No peer was there when this handle was opened, and none has joined since.
    Absent,
    /// The peer is present and alive.
    Present {
        /// The peer's pid in this process' PID namespace (0: not visible there).
        pid: u32,
    },
    /// The peer finished, or closed or dropped its handle.
    Left,
    /// The peer's process ended without leaving.
    Died {
        /// The pid of that process.
        pid: u32,
    },
}

impl Endpoint {
    /// Returns the state of an SPSC peer, according to the kernel.
    pub(crate) fn peer(&self) -> Result<Peer, Fault> {
        self.check()?;
        // Loaded first: a peer that is counted later is not one that is found gone.
        let joins = self.peer_joins();
        let pid = || self.pid(Seat::of(self.seat().side.other()).number);
        if self.attachment.is_peer_there()? {
            self.mark_peer_seen();
            return Ok(Peer::Present { pid: pid() });
        }
        if self.is_peer_unseen(joins) {
            return Ok(Peer::Absent);
        }
        self.mark_peer_seen();
        Ok(match self.has_peer_left() {
            true => Peer::Left,
            false => Peer::Died { pid: pid() },
        })
    }

    /// Arms the doorbell for a member of the other side that joins, whatever there is to do. A handle
    /// that has no doorbell is left as it is.
    pub(crate) fn rest_until_peer(&self) -> Result<(), Fault> {
        self.check()?;
        let known_joins = self.attachment.known_joins();
        if self.attachment.arm() {
            match self.attachment.has_peer_come(known_joins).map_err(|fault| self.stop(fault))? {
                true => self.disarm(),
                false => self.stay_armed(),
            }
            self.attachment.pass_duty_on();
        }
        Ok(())
    }

    /// Waits until the other side has a member, or had one since this member last asked who is alive.
    pub(crate) fn wait_for_peer(&self, timeout: Duration) -> Result<(), WaitError<Fault>> {
        let deadline = Blocking::For(timeout).deadline();
        let waited = self.attachment.await_peer(deadline, || self.check());
        match &waited {
            Ok(()) => self.mark_peer_seen(),
            Err(WaitError::Failed(fault)) => {
                return Err(WaitError::Failed(self.stop(*fault)));
            }
            Err(WaitError::TimedOut | WaitError::Interrupted) => {}
        }
        waited
    }
}

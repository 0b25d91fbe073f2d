//! The other side of a channel: waiting for it, and the state of an SPSC peer.

use core::time::Duration;
use std::sync::Arc;

use super::Endpoint;
use crate::doorbell::Doorbell;
use crate::error::Fault;
use crate::liveness::Seat;
use crate::protocol::Membership;
use crate::wait::WaitError;
use crate::wait::blocking::Blocking;

/// How often the peer's state is looked at if it changes meanwhile.
const LOOKS: usize = 8;

/// The state of the other side of an SPSC channel, or of the sender of a broadcast channel.
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
        /// The pid of that process in this process' PID namespace (0: not visible there).
        pid: u32,
    },
}

impl Endpoint {
    /// Returns the state of an SPSC peer, according to the kernel.
    pub(crate) fn peer(&self) -> Result<Peer, Fault> {
        self.check()?;
        let pid = || self.pid(Seat::of(self.seat().side.other()).number);
        let mut last = Peer::Left;
        for _ in 0..LOOKS {
            // Loaded first: they are of the peer that is then found gone, unless another one came and
            // went in between.
            let (joins, has_left, gone) = (self.peer_joins(), self.has_peer_left(), pid());
            if self.attachment.is_peer_there()? {
                self.mark_peer_seen();
                return Ok(Peer::Present { pid: pid() });
            }
            if self.is_peer_unseen(joins) {
                return Ok(Peer::Absent);
            }
            last = if has_left { Peer::Left } else { Peer::Died { pid: gone } };
            if self.peer_joins() == joins {
                break;
            }
        }
        self.mark_peer_seen();
        Ok(last)
    }

    /// Arms a doorbell for a member of the other side that joins, whatever there is to do. A handle that
    /// is not registered with it is left as it is.
    pub(crate) fn rest_until_peer(&self, doorbell: &Arc<Doorbell>) -> Result<(), Fault> {
        self.check()?;
        let (attachment, known_joins) = (&self.attachment, self.attachment.known_joins());
        let own = attachment.registration().doorbell();
        if !own.is_some_and(|own| Arc::ptr_eq(&own, doorbell)) || !attachment.arm() {
            return Ok(());
        }
        attachment.registration().set_resting(true);
        let has_come =
            attachment.check_removed().and_then(|()| attachment.has_peer_come(known_joins));
        match has_come {
            Ok(false) => self.stay_armed(),
            _ => self.disarm(),
        }
        attachment.pass_duty_on();
        has_come.map(drop).map_err(|fault| self.stop(fault))
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

//! One end of an SPSC channel: the fault that stopped the handle, and what is known of the peer.

use core::cell::Cell;
use core::time::Duration;

use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::liveness::{self, ChannelSemaphores, Lives, Seat};
use crate::role::Side;
use crate::sync::plain::Ordering::Acquire;
use crate::sysv::fork_guard::ForkGuard;
use crate::wait::WaitError;
use crate::wait::blocking::Blocking;

/// The state of the other side of an SPSC channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// No peer has joined since this handle was opened. A receiver that finds messages when it is
    /// opened reports the state of their sender instead.
    Absent,
    /// The peer is present and alive.
    Present {
        /// The peer's pid in this process' PID namespace (0: not visible there).
        pid: u32,
    },
    /// The peer closed or dropped its handle.
    Left,
    /// The peer's process ended without leaving.
    Died {
        /// The pid of that process.
        pid: u32,
    },
}

/// The end of an SPSC channel that belongs to one handle.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Reports "forked" in a child, and in every process once the handle cannot go on: the hot path
    /// makes one check for all reasons to stop.
    pub(crate) guard: ForkGuard,
    /// Why the handle cannot go on.
    fault: Option<Fault>,
    /// How often the other side had been joined when we joined; `None` once we saw a peer.
    peer_joins: Cell<Option<u32>>,
    pub(crate) attachment: Attachment,
}

impl Endpoint {
    pub(crate) fn new(attachment: Attachment) -> Endpoint {
        let peer_joins = Cell::new(attachment.unmet());
        Endpoint { guard: ForkGuard::new(), fault: None, peer_joins, attachment }
    }

    pub(crate) fn members(&self) -> &ChannelSemaphores {
        &self.attachment.members
    }

    fn side(&self) -> Side {
        self.attachment.seat.side
    }

    /// Returns the fault that stopped this handle for good, if there is one.
    pub(crate) fn check(&mut self) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.attachment.is_forked() {
            return Err(self.stop(Fault::Forked));
        }
        Ok(())
    }

    /// Stops this handle for good. The guard then sends every later call to its slow path, where
    /// [`check`](Endpoint::check) reports the reason. A receiver of a removed channel still
    /// receives the messages that are in the ring.
    pub(crate) fn stop(&mut self, fault: Fault) -> Fault {
        if fault != Fault::Removed || self.side() == Side::Senders {
            self.fault = Some(fault);
            self.guard = ForkGuard::broken();
        }
        fault
    }

    /// Returns the state of the peer, according to the kernel.
    pub(crate) fn peer(&self) -> Result<Peer, Fault> {
        let pid = || {
            let seat = Seat::of(self.side().other()).number;
            self.members().pid(seat).map_err(liveness::fault("semctl"))
        };
        if self.attachment.is_peer_there()? {
            self.peer_joins.set(None);
            return Ok(Peer::Present { pid: pid()? });
        }
        if !self.was_there() {
            return Ok(Peer::Absent);
        }
        Ok(match self.attachment.peer_parking().has_left() {
            true => Peer::Left,
            false => Peer::Died { pid: pid()? },
        })
    }

    /// Returns whether a peer that is absent was present since this handle was opened. Called after
    /// its seat was seen empty: a peer that took the seat and died since is counted.
    fn was_there(&self) -> bool {
        let joins = self.attachment.peer_parking().joins.load(Acquire);
        let was = self.peer_joins.get() != Some(joins);
        if was {
            self.peer_joins.set(None);
        }
        was
    }

    /// Waits for the other side and returns its pid.
    pub(crate) fn wait_for_peer(&self, timeout: Duration) -> Result<u32, WaitError<Fault>> {
        let deadline = Blocking::For(timeout).deadline();
        loop {
            self.attachment.await_peer(deadline, || Ok(()))?;
            if let Peer::Present { pid } = self.peer().map_err(WaitError::Failed)? {
                return Ok(pid);
            }
        }
    }

    /// Returns whether the peer was present and is gone, according to a snapshot of the semaphores.
    pub(crate) fn is_abandoned(&self, lives: &Lives) -> bool {
        self.is_gone(lives.is_there(self.side().other()))
    }

    /// The same, with a snapshot of its own.
    pub(crate) fn has_lost_peer(&self) -> Result<bool, Fault> {
        Ok(self.is_gone(self.attachment.is_peer_there()?))
    }

    fn is_gone(&self, is_there: bool) -> bool {
        if is_there {
            self.peer_joins.set(None);
        }
        !is_there && self.was_there()
    }

    /// For a non-blocking call: checks our own membership, then returns whether the peer was
    /// present and is gone.
    pub(crate) fn look_around(&mut self) -> Result<bool, Fault> {
        let gone = self.attachment.look_at_lives().map(|lives| self.is_abandoned(&lives));
        gone.map_err(|fault| self.stop(fault))
    }

    pub(crate) fn wake_peer(&self) -> Result<(), Fault> {
        self.attachment.wake(self.side().other())
    }

    pub(crate) fn leave(&self) -> Result<(), Error> {
        self.attachment.leave()
    }
}

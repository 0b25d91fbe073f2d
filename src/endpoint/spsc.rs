//! The view of a one-to-one channel from one of its ends: what stopped the handle, and what is known
//! of the peer.

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

/// What is known of the other side of a one-to-one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody has been there since this handle was opened; whoever was there before may have left
    /// messages.
    Absent,
    /// There, and alive.
    Present {
        /// Its process, in this process' PID namespace (0: not visible there).
        pid: u32,
    },
    /// It closed or dropped its handle.
    Left,
    /// Its process ended without leaving.
    Died {
        /// That process.
        pid: u32,
    },
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Says "forked" in a child, and everywhere once the handle cannot go on: one check on the way
    /// of a message for all reasons to stop.
    pub(crate) guard: ForkGuard,
    /// Why the handle cannot go on.
    fault: Option<Fault>,
    /// How often the other side had been joined when we came; `None` once we saw somebody there.
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

    /// What stopped this handle for good, if anything did.
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
    /// [`check`](Endpoint::check) says why. A receiver of a removed channel still has what is there.
    pub(crate) fn stop(&mut self, fault: Fault) -> Fault {
        if fault != Fault::Removed || self.side() == Side::Senders {
            self.fault = Some(fault);
            self.guard = ForkGuard::broken();
        }
        fault
    }

    /// The peer, by the kernel's record.
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

    /// Whether a peer that is not there was there since this handle came. Asked after its seat was seen
    /// empty: a peer that took it and died since is counted.
    fn was_there(&self) -> bool {
        let joins = self.attachment.peer_parking().joins.load(Acquire);
        let was = self.peer_joins.get() != Some(joins);
        if was {
            self.peer_joins.set(None);
        }
        was
    }

    /// Waits for the other side; its process.
    pub(crate) fn wait_for_peer(&self, timeout: Duration) -> Result<u32, WaitError<Fault>> {
        let deadline = Blocking::For(timeout).deadline();
        loop {
            self.attachment.await_peer(deadline, || Ok(()))?;
            if let Peer::Present { pid } = self.peer().map_err(WaitError::Failed)? {
                return Ok(pid);
            }
        }
    }

    /// Whether the peer was there and is gone, as a look at the semaphores has it.
    pub(crate) fn is_abandoned(&self, lives: &Lives) -> bool {
        self.is_gone(lives.is_there(self.side().other()))
    }

    /// The same, with a look of its own.
    pub(crate) fn has_lost_peer(&self) -> Result<bool, Fault> {
        Ok(self.is_gone(self.attachment.is_peer_there()?))
    }

    fn is_gone(&self, is_there: bool) -> bool {
        if is_there {
            self.peer_joins.set(None);
        }
        !is_there && self.was_there()
    }

    /// For a call that polls: whether the peer was there and is gone, after a look at our own life.
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

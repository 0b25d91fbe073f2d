//! The view of a one-to-one channel from one of its ends: what stopped the handle, and what is known
//! of the peer.

use crate::error::{Error, Fault};
use crate::members::{self, Members, Seat};
use crate::membership::Membership;
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sysv::fork::ForkGuard;
use crate::wait::{Look, Side};

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
pub(crate) struct Channel {
    /// Says "forked" in a child, and everywhere once the handle cannot go on: one check on the way
    /// of a message for all reasons to stop.
    pub(crate) guard: ForkGuard,
    /// Why the handle cannot go on.
    fault: Option<Fault>,
    /// How often the other side had been joined when we came; `None` once we saw somebody there.
    peer_joins: Option<u32>,
    pub(crate) membership: Membership,
}

impl Channel {
    pub(crate) fn new(membership: Membership) -> Channel {
        let peer_joins = membership.unmet();
        Channel { guard: ForkGuard::new(), fault: None, peer_joins, membership }
    }

    pub(crate) fn members(&self) -> &Members {
        &self.membership.members
    }

    fn side(&self) -> Side {
        self.membership.seat.side
    }

    /// What stopped this handle for good, if anything did.
    pub(crate) fn check(&mut self) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.membership.is_inherited() {
            return Err(self.stop(Fault::Forked));
        }
        Ok(())
    }

    /// Stops this handle for good. The guard then sends every later call to its slow path, where
    /// [`check`](Channel::check) says why. A receiver of a removed channel still has what is there.
    pub(crate) fn stop(&mut self, fault: Fault) -> Fault {
        if fault != Fault::Removed || self.side() == Side::Senders {
            self.fault = Some(fault);
            self.guard = ForkGuard::broken();
        }
        fault
    }

    /// The peer, by the kernel's word.
    pub(crate) fn peer(&mut self) -> Result<Peer, Fault> {
        let pid = |channel: &Channel| {
            let seat = Seat::of(channel.side().other()).number;
            channel.members().pid(seat).map_err(members::fault("semctl"))
        };
        if self.membership.is_peer_there()? {
            self.peer_joins = None;
            return Ok(Peer::Present { pid: pid(self)? });
        }
        // Read after the seat was seen empty: who took it and died since is counted.
        if let Some(joins) = self.peer_joins {
            if self.membership.peer_parking().joins.load(Acquire) == joins {
                return Ok(Peer::Absent);
            }
            self.peer_joins = None;
        }
        Ok(match self.membership.peer_parking().has_left() {
            true => Peer::Left,
            false => Peer::Died { pid: pid(self)? },
        })
    }

    /// One look of who waits for the other side: its process, once it is there.
    pub(crate) fn meets_peer(&mut self, look: Look, pid: &mut u32) -> Result<bool, Fault> {
        // Who joins posts; who joined before that is seen without a call.
        if look == Look::Quick && self.is_unmet() {
            return Ok(false);
        }
        self.membership.check_life()?;
        match self.peer()? {
            Peer::Present { pid: found } => {
                *pid = found;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether nobody came yet, as far as can be seen without a call.
    fn is_unmet(&self) -> bool {
        self.peer_joins == Some(self.membership.peer_parking().joins.load(Relaxed))
    }

    /// Whether the peer was there and is gone.
    pub(crate) fn is_abandoned(&mut self) -> Result<bool, Fault> {
        if self.is_unmet() {
            return Ok(false);
        }
        Ok(matches!(self.peer()?, Peer::Left | Peer::Died { .. }))
    }

    /// For who polls: whether the peer was there and is gone, after a look at our own life.
    pub(crate) fn look_around(&mut self) -> Result<bool, Fault> {
        let gone = self.membership.check_life().and_then(|()| self.is_abandoned());
        gone.map_err(|fault| self.stop(fault))
    }

    pub(crate) fn wake_peer(&self) -> Result<(), Fault> {
        self.membership.wake(self.side().other())
    }

    pub(crate) fn leave(&self) -> Result<(), Error> {
        self.membership.leave()
    }
}

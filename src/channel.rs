//! One handle's membership of one channel: its mapping, its seat, its view of the peer.

use crate::address::ChannelId;
use crate::error::{Error, Fault};
use crate::geometry::Geometry;
use crate::layout::{Header, Parking};
use crate::members::{self, Members};
use crate::reap;
use crate::ring::Ring;
use crate::segment::{self, Lifetime};
use crate::sync::plain::Ordering::{Relaxed, Release};
use crate::sysv::fork::ForkGuard;
use crate::sysv::process;
use crate::sysv::shm::{self, Mapping};
use crate::wait::{self, Look, Side};

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

/// See the top of this file. Leaving is `Drop`'s work, or [`Channel::leave`]'s to hear of errors.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) geometry: Geometry,
    pub(crate) side: Side,
    pub(crate) members: Members,
    /// Says "forked" in a child, and everywhere once the handle cannot go on: one check on the way
    /// of a message for all reasons to stop.
    pub(crate) guard: ForkGuard,
    /// Never broken: where a handle is inherited, nothing of it may be given back.
    home: ForkGuard,
    /// Why the handle cannot go on.
    fault: Option<Fault>,
    lifetime: Lifetime,
    key: i32,
    seated: bool,
    /// How often the other side had been joined when we came; `None` once we saw somebody there.
    peer_joins: Option<u32>,
    /// Last: everything above speaks of what is mapped here.
    mapping: Mapping,
}

/// What [`Channel::new`] is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: ChannelId,
    pub(crate) geometry: Geometry,
    pub(crate) side: Side,
    pub(crate) members: Members,
    pub(crate) lifetime: Lifetime,
    pub(crate) key: i32,
    /// How often the other side had been joined before we were; `None` if somebody was there.
    pub(crate) peer_joins: Option<u32>,
    pub(crate) mapping: Mapping,
}

impl Channel {
    /// Takes up a seat that the semaphores already gave us.
    pub(crate) fn new(parts: Parts, label: &str) -> Result<Channel, Fault> {
        let Parts { id, geometry, side, members, lifetime, key, peer_joins, mapping } = parts;
        let mut channel = Channel {
            id,
            geometry,
            side,
            members,
            guard: ForkGuard::new(),
            home: ForkGuard::new(),
            fault: None,
            lifetime,
            key,
            seated: true,
            peer_joins,
            mapping,
        };
        let header = channel.header();
        if !process::register_membarrier() {
            header.senders.require_fences();
            header.receivers.require_fences();
            // Stores on their way while the flag was not yet seen drain in far less.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let ring = channel.ring();
        let role = match side {
            Side::Senders => 1,
            Side::Receivers => 2,
        };
        segment::sign(channel.line(), role, label);
        let own = channel.parking();
        own.clear(wait::LEFT);
        own.joins.store(own.joins.load(Relaxed).wrapping_add(1), Release);
        // A receiver that finds messages has met their sender, whoever that was.
        if side == Side::Receivers && ring.depth() != 0 {
            channel.peer_joins = None;
        }
        // The peer may sleep in wait_for_peer.
        channel.wake_peer()?;
        Ok(channel)
    }

    pub(crate) fn ring(&self) -> Ring {
        // SAFETY: the geometry was validated against this segment, whose mapping lives as long as
        // `self`; handles keep the ring beside the channel and drop it first.
        unsafe { Ring::new(self.mapping.base(), &self.geometry) }
    }

    pub(crate) fn header(&self) -> &Header {
        segment::header(&self.mapping)
    }

    /// Our line of the members' table.
    pub(crate) fn line(&self) -> &crate::layout::Member {
        segment::member(&self.mapping, usize::from(members::seat_of(self.side)))
    }

    /// Where we are parked.
    pub(crate) fn parking(&self) -> &Parking {
        self.parking_of(self.side)
    }

    /// Where the other side is parked.
    #[inline(always)]
    pub(crate) fn peer_parking(&self) -> &Parking {
        self.parking_of(self.side.other())
    }

    fn parking_of(&self, side: Side) -> &Parking {
        match side {
            Side::Senders => &self.header().senders,
            Side::Receivers => &self.header().receivers,
        }
    }

    /// Wakes the other side if it is parked.
    pub(crate) fn wake_peer(&self) -> Result<(), Fault> {
        wait::light_fence();
        if self.peer_parking().flags() != 0
            && wait::wake(&self.members, self.peer_parking(), self.side.other())?
        {
            let wakes = self.line().wakes.load(Relaxed);
            // Whatever lies there.
            self.line().wakes.store(wakes.wrapping_add(1), Relaxed);
        }
        Ok(())
    }

    /// What stopped this handle for good, if anything did.
    pub(crate) fn check(&mut self) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.home.forked() {
            return Err(self.stop(Fault::Forked));
        }
        Ok(())
    }

    /// Whether this handle still has a seat to write for.
    pub(crate) fn is_seated(&self) -> bool {
        self.seated && !self.home.forked()
    }

    /// Whether the channel was removed, as far as a flag in the segment tells.
    pub(crate) fn check_removed(&self) -> Result<(), Fault> {
        if self.parking().is_removed() { Err(Fault::Removed) } else { Ok(()) }
    }

    /// Stops this handle for good. The guard then sends every later call to its slow path, where
    /// [`check`](Channel::check) says why. A receiver of a removed channel still has what is there.
    pub(crate) fn stop(&mut self, fault: Fault) -> Fault {
        if fault != Fault::Removed || self.side == Side::Senders {
            self.fault = Some(fault);
            self.guard = ForkGuard::broken();
        }
        fault
    }

    /// The kernel's view of us: is the channel still there, do we still count as a member?
    pub(crate) fn check_life(&self) -> Result<(), Fault> {
        self.check_removed()?;
        if !self.members.is_own(self.side).map_err(members::fault("semctl"))? {
            return Err(Fault::LivenessLost);
        }
        // `ipcrm -m` leaves a segment to those who have it attached, and no trace in it.
        if self.key != 0 {
            let segment = shm::stat(self.id.segment).map_err(members::fault("shmctl"))?;
            if segment.marked_for_removal {
                return Err(Fault::Removed);
            }
        }
        Ok(())
    }

    /// The peer, by the kernel's word.
    pub(crate) fn peer(&mut self) -> Result<Peer, Fault> {
        let side = self.side.other();
        if self.members.is_seated(side).map_err(members::fault("semctl"))? {
            self.peer_joins = None;
            return Ok(Peer::Present {
                pid: self.members.pid(side).map_err(members::fault("semctl"))?,
            });
        }
        // Read after the seat was seen empty: who took it and died since is counted.
        if let Some(joins) = self.peer_joins {
            if self.peer_parking().joins.load(crate::sync::plain::Ordering::Acquire) == joins {
                return Ok(Peer::Absent);
            }
            self.peer_joins = None;
        }
        Ok(if self.peer_parking().has_left() {
            Peer::Left
        } else {
            Peer::Died { pid: self.members.pid(side).map_err(members::fault("semctl"))? }
        })
    }

    /// The position our seat goes on at.
    pub(crate) fn begin_at(&self, position: u64) {
        self.line().first.store(position, Relaxed);
        self.line().position.store(position, Relaxed);
    }

    /// Brings our line of the members' table up to date.
    pub(crate) fn account(&self, position: u64, bytes: u64, parks: u64) {
        let line = self.line();
        line.position.store(position, Relaxed);
        line.bytes.store(bytes, Relaxed);
        line.parks.store(parks, Relaxed);
    }

    /// One look of who waits for the other side: its process, once it is there.
    pub(crate) fn meets_peer(&mut self, look: Look, pid: &mut u32) -> Result<bool, Fault> {
        if look == Look::Quick {
            // Who joins posts; who joined before that is seen without a call.
            let joins = self.peer_parking().joins.load(Relaxed);
            if self.peer_joins.is_some_and(|before| before == joins) {
                return Ok(false);
            }
        } else {
            self.check_life()?;
        }
        match self.peer()? {
            Peer::Present { pid: found } => {
                *pid = found;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether the peer was there and is gone.
    pub(crate) fn is_abandoned(&mut self) -> Result<bool, Fault> {
        // Nobody came yet: that takes no call to see.
        if self.peer_joins == Some(self.peer_parking().joins.load(Relaxed)) {
            return Ok(false);
        }
        Ok(matches!(self.peer()?, Peer::Left | Peer::Died { .. }))
    }

    /// For who polls: whether the peer was there and is gone, after a look at our own life.
    pub(crate) fn look_around(&mut self) -> Result<bool, Fault> {
        let gone = self.check_life().and_then(|()| self.is_abandoned());
        gone.map_err(|fault| self.stop(fault))
    }

    /// Gives the seat back, and removes the channel if this was the last member of one that lives
    /// only so long. Done once; in a forked child, where the seat is the parent's, never.
    pub(crate) fn leave(&mut self) -> Result<(), Error> {
        if self.home.forked() {
            return Err(Fault::Forked.into());
        }
        if !self.seated {
            return Ok(());
        }
        self.seated = false;
        // A seat that was lost may be another's by now.
        if !self.members.is_own(self.side).map_err(members::fault("semctl"))? {
            return Err(Fault::LivenessLost.into());
        }
        self.line().state.store(2, Release);
        self.parking().set(wait::LEFT);
        self.members.leave(self.side).map_err(members::fault("semop"))?;
        if self.lifetime == Lifetime::LastMember || self.key == 0 {
            reap::remove_if_unused(self.members, self.id.segment, self.key)?;
        }
        Ok(())
    }

    pub(crate) fn stat(&self) -> Result<crate::inspect::Stat, Error> {
        let segment =
            shm::stat(self.id.segment).map_err(|errno| members::fault("shmctl")(errno))?;
        crate::inspect::describe(&self.mapping, segment, &self.id.to_string())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // Who wants to hear of errors calls `close`.
        let _ = self.leave();
    }
}

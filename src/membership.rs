//! One handle's membership of one channel: its mapping, its seat, its line in the table, its way out.

use crate::address::ChannelId;
use crate::error::{Error, Fault};
use crate::geometry::Geometry;
use crate::layout::{self, Header, Parking};
use crate::members::{self, Flavor, Members, Seat};
use crate::reap;
use crate::ring::Ring;
use crate::segment::{self, Facts, Lifetime};
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::{AcqRel, Relaxed, Release};
use crate::sysv::fork::ForkGuard;
use crate::sysv::shm::{self, Mapping, SegmentStat};
use crate::sysv::{Errno, process};
use crate::wait::{self, Side};

/// What became of our seat.
const GONE: u32 = 0;
const SEATED: u32 = 1;
const LOST: u32 = 2;

/// Messages of a member that is never idle between two updates of its line.
const LONG: u64 = 64;

/// See the top of this file. Leaving is `Drop`'s work, or [`Membership::leave`]'s to hear of errors.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) id: ChannelId,
    pub(crate) facts: Facts,
    pub(crate) seat: Seat,
    pub(crate) members: Members,
    /// Where a handle is inherited, nothing of it may be given back.
    home: ForkGuard,
    key: i32,
    /// `SEATED` until we leave, or lost the seat.
    seated: AtomicU32,
    /// How often the other side had been joined when we came, if nobody was there.
    unmet: Option<u32>,
    /// The last holder of the seat died in it.
    inherited: bool,
    /// Last: everything above speaks of what is mapped here.
    mapping: Mapping,
}

impl Membership {
    /// Takes up a seat that the semaphores already gave us.
    pub(crate) fn new(
        members: Members,
        seat: Seat,
        stat: &SegmentStat,
        facts: Facts,
        mapping: Mapping,
        unmet: Option<u32>,
        label: &str,
    ) -> Result<Membership, Fault> {
        let mut membership = Membership {
            id: ChannelId { segment: stat.id, nonce: facts.nonce },
            facts,
            seat,
            members,
            home: ForkGuard::new(),
            key: stat.key,
            seated: AtomicU32::new(SEATED),
            unmet,
            inherited: false,
            mapping,
        };
        let header = membership.header();
        if !process::register_membarrier() {
            header.senders.require_fences();
            header.receivers.require_fences();
            // Stores on their way while the flag was not yet seen drain in far less.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let inherited = segment::sign(membership.line(), seat.side, label);
        let own = membership.parking();
        own.clear(wait::LEFT);
        own.joins.fetch_add(1, AcqRel);
        // A receiver that finds messages has met their sender, whoever that was.
        let holds_messages = || match membership.facts.flavor {
            Flavor::Spsc => membership.ring().depth() != 0,
            Flavor::Mpmc => membership.ring().holds_messages(),
        };
        if seat.side == Side::Receivers && holds_messages() {
            membership.unmet = None;
        }
        membership.inherited = inherited;
        // The peer may sleep in wait_for_peer.
        membership.wake(seat.side.other())?;
        Ok(membership)
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.facts.geometry
    }

    pub(crate) fn ring(&self) -> Ring {
        // SAFETY: the geometry was validated against this segment, whose mapping lives as long as
        // `self`; handles keep the ring beside the membership and drop it first.
        unsafe { Ring::new(self.mapping.base(), &self.facts.geometry) }
    }

    pub(crate) fn header(&self) -> &Header {
        segment::header(&self.mapping)
    }

    /// Our line of the members' table.
    pub(crate) fn line(&self) -> &layout::Member {
        self.line_of(self.seat.number)
    }

    /// A line of the members' table; `seat` is one of the channel's.
    pub(crate) fn line_of(&self, seat: u8) -> &layout::Member {
        segment::member(&self.mapping, usize::from(seat).min(self.facts.geometry.seats - 1))
    }

    /// Where we are parked.
    pub(crate) fn parking(&self) -> &Parking {
        self.parking_of(self.seat.side)
    }

    /// Where the other side is parked.
    #[inline(always)]
    pub(crate) fn peer_parking(&self) -> &Parking {
        self.parking_of(self.seat.side.other())
    }

    fn parking_of(&self, side: Side) -> &Parking {
        match side {
            Side::Senders => &self.header().senders,
            Side::Receivers => &self.header().receivers,
        }
    }

    /// Wakes one of a side if any is parked.
    pub(crate) fn wake(&self, side: Side) -> Result<(), Fault> {
        wait::light_fence();
        let parking = self.parking_of(side);
        if parking.flags() != 0 && wait::wake(&self.members, parking, side)? {
            // Whatever lies there, it may go round.
            self.line().wakes.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Whether somebody alive is on the other side, by the kernel's word.
    pub(crate) fn is_peer_there(&self) -> Result<bool, Fault> {
        self.members.is_there(self.seat.side.other()).map_err(members::fault("semctl"))
    }

    /// How often the other side had been joined when we came, if nobody was there.
    pub(crate) fn unmet(&self) -> Option<u32> {
        self.unmet
    }

    /// Whether this is a forked child with its parent's handle.
    #[inline(always)]
    pub(crate) fn is_inherited(&self) -> bool {
        self.home.forked()
    }

    /// Whether the last holder of our seat died in it, with whatever it had in hand.
    pub(crate) fn has_legacy(&self) -> bool {
        self.inherited
    }

    /// Whether this handle still has a seat to write for.
    pub(crate) fn is_seated(&self) -> bool {
        self.seated.load(Relaxed) == SEATED && !self.is_inherited()
    }

    /// Whether it has one by the kernel's word, too: of what others sit on by now, nothing is ours to
    /// write in leaving.
    pub(crate) fn keeps_seat(&self) -> bool {
        self.is_seated() && self.check_seat() != Err(Fault::LivenessLost)
    }

    /// Whether the channel was removed, as far as a flag in the segment tells.
    pub(crate) fn check_removed(&self) -> Result<(), Fault> {
        if self.parking().is_removed() { Err(Fault::Removed) } else { Ok(()) }
    }

    /// The kernel's view of us: is the channel still there, do we still count as a member?
    pub(crate) fn check_life(&self) -> Result<(), Fault> {
        self.check_removed()?;
        self.check_seat()?;
        // `ipcrm -m` leaves a segment to those who have it attached, and no trace in it.
        if self.key != 0 {
            let segment = shm::stat(self.id.segment).map_err(members::fault("shmctl"))?;
            if segment.marked_for_removal {
                return Err(Fault::Removed);
            }
        }
        Ok(())
    }

    /// Whether the kernel still has our token. Once it had not, a token there is another's, be it of
    /// this very process.
    pub(crate) fn check_seat(&self) -> Result<(), Fault> {
        if self.seated.load(Relaxed) == LOST {
            return Err(Fault::LivenessLost);
        }
        let fault = match self.members.is_own(self.seat) {
            Ok(true) => return Ok(()),
            Ok(false) => Fault::LivenessLost,
            Err(errno) => match members::fault("semctl")(errno) {
                // A removed segment stays known while it is attached, as it is here: who does not
                // know it went to another IPC namespace, and left its tokens behind.
                Fault::Removed if shm::stat(self.id.segment) == Err(Errno::EINVAL) => {
                    Fault::LivenessLost
                }
                fault => fault,
            },
        };
        if fault == Fault::LivenessLost {
            self.lose_seat();
        }
        Err(fault)
    }

    /// The seat is no longer ours, and never will be again.
    pub(crate) fn lose_seat(&self) {
        // Who left has none to lose.
        let _ = self.seated.compare_exchange(SEATED, LOST, Relaxed, Relaxed);
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

    /// Whether our line tells of a position long before this one.
    pub(crate) fn is_behind(&self, position: u64) -> bool {
        position.wrapping_sub(self.line().position.load(Relaxed)) >= LONG
    }

    /// Gives the seat back, and removes the channel if this was the last member of one that lives
    /// only so long. Done once; in a forked child, where the seat is the parent's, never.
    pub(crate) fn leave(&self) -> Result<(), Error> {
        if self.is_inherited() {
            return Err(Fault::Forked.into());
        }
        match self.seated.swap(GONE, Relaxed) {
            GONE => return Ok(()),
            // It may be another's by now.
            LOST => return Err(Fault::LivenessLost.into()),
            _ => self.check_seat()?,
        }
        let flavor = self.facts.flavor;
        self.line().state.store(segment::LEFT, Release);
        if flavor == Flavor::Spsc {
            self.parking().set(wait::LEFT);
        }
        self.members.leave(flavor, self.seat).map_err(members::fault("semop"))?;
        if self.facts.lifetime == Lifetime::LastMember || self.key == 0 {
            reap::remove_if_unused(self.members, self.id.segment, self.key)?;
        }
        Ok(())
    }

    pub(crate) fn stat(&self) -> Result<crate::stat::Stat, Error> {
        let segment = shm::stat(self.id.segment).map_err(members::fault("shmctl"))?;
        crate::stat::describe(&self.mapping, segment, &self.id.to_string())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // Who wants to hear of errors calls `close`.
        let _ = self.leave();
    }
}

//! The words and semaphores of a channel that its doorbells concern.

use std::mem::ManuallyDrop;

use super::queue::{self, DeadQueue};
use crate::error::Fault;
use crate::flavor::Flavor;
use crate::layout::{self, Header, Parking};
use crate::liveness::{self, ChannelSemaphores, Seat};
use crate::ring::Ring;
use crate::ring::geometry::Geometry;
use crate::role::Side;
use crate::segment;
use crate::sync::Ordering::SeqCst;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sync::{AtomicU64, fence};
use crate::sysv::shm::{self, Mapping};
use crate::wait::doorbell::{self, Doorbells};

/// The seat behind the one that this process rang last, in any channel: a hint, so that all get their
/// turn.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The members of a channel, as a waker sees them.
#[derive(Debug)]
pub(crate) struct Bells<'a> {
    mapping: &'a Mapping,
    seats: usize,
    members: ChannelSemaphores,
}

impl<'a> Bells<'a> {
    /// `seats`: as many as the segment has.
    pub(crate) fn of(mapping: &'a Mapping, seats: usize, members: ChannelSemaphores) -> Bells<'a> {
        Bells { mapping, seats, members }
    }

    /// Rings every armed member (J1 in `wait/doorbell.rs`), after something that the caller changed: a
    /// member that arms after that sees it.
    pub(crate) fn ring_all(&self) {
        fence(SeqCst);
        for side in [Side::Senders, Side::Receivers] {
            doorbell::ring_all(self, side);
        }
    }

    /// Returns the queues of members that died. A process that may write to the segment chooses the numbers: all
    /// of them together take no longer than one that its owner is about to leave.
    pub(crate) fn dead_queues(&self) -> impl Iterator<Item = DeadQueue> {
        let deadline = queue::time_to_close();
        (0..self.seats()).filter_map(move |seat| {
            let id = self.record(seat).doorbell.load(Relaxed);
            // Without a set, its owner may be alive, and use it for another channel.
            let may_be_dead = id != 0 && !self.is_alive(seat).unwrap_or(false);
            if may_be_dead { queue::of_dead(id, deadline) } else { None }
        })
    }

    /// Removes them.
    pub(crate) fn unlink_dead(&self) {
        self.dead_queues().for_each(|queue| _ = queue.unlink());
    }

    fn record(&self, seat: u8) -> &layout::Member {
        segment::member(self.mapping, usize::from(seat))
    }
}

impl Doorbells for Bells<'_> {
    fn seats(&self) -> u8 {
        self.seats as u8
    }

    fn word(&self, seat: u8) -> &AtomicU64 {
        &self.record(seat).armed
    }

    fn is_alive(&self, seat: u8) -> Result<bool, Fault> {
        self.members.is_taken(seat).map_err(liveness::fault("semctl"))
    }

    fn send(&self, seat: u8, key: u32) -> bool {
        NEXT.store(u32::from(seat) + 1, Relaxed);
        queue::send(self.record(seat).doorbell.load(Relaxed), key)
    }

    fn first(&self) -> u8 {
        let next = NEXT.load(Relaxed) as usize;
        next.checked_rem(self.seats).unwrap_or(0) as u8
    }
}

/// One member, as the doorbell of its process sees it.
#[derive(Debug)]
pub(crate) struct View {
    /// The mapping of the attachment, which detaches it.
    mapping: ManuallyDrop<Mapping>,
    members: ChannelSemaphores,
    flavor: Flavor,
    geometry: Geometry,
    segment: i32,
    key: i32,
    seat: Seat,
}

/// The positions of a ring's ends, and how often a message was orphaned: they change when there is
/// something new to do.
pub(super) type Ends = (u64, u64, u64);

impl View {
    /// # Safety
    /// The mapping must exist, with this geometry, as long as the view does.
    pub(crate) unsafe fn new(
        mapping: &Mapping,
        members: ChannelSemaphores,
        flavor: Flavor,
        geometry: &Geometry,
        segment: i32,
        key: i32,
        seat: Seat,
    ) -> View {
        // SAFETY: guaranteed by the caller.
        let mapping = unsafe { mapping.alias() };
        View { mapping, members, flavor, geometry: *geometry, segment, key, seat }
    }

    pub(super) fn bells(&self) -> Bells<'_> {
        Bells::of(&self.mapping, self.geometry.seats, self.members)
    }

    pub(super) fn members(&self) -> ChannelSemaphores {
        self.members
    }

    pub(super) fn seat(&self) -> Seat {
        self.seat
    }

    pub(super) fn seats(&self) -> usize {
        self.geometry.seats
    }

    fn header(&self) -> &Header {
        segment::header(&self.mapping)
    }

    /// Returns the parking line of the member's side.
    pub(super) fn parking(&self) -> &Parking {
        match self.seat.side {
            Side::Senders => &self.header().senders,
            Side::Receivers => &self.header().receivers,
        }
    }

    /// Returns the member's record.
    pub(super) fn record(&self) -> &layout::Member {
        segment::member(&self.mapping, usize::from(self.seat.number))
    }

    fn ring(&self) -> Ring {
        // SAFETY: the geometry was validated against this segment.
        unsafe { Ring::new(self.mapping.base(), &self.geometry) }
    }

    /// Returns whether there is work for the member's side, without asking who is alive. For a sender
    /// it may be too little for a ring.
    pub(super) fn has_work(&self) -> bool {
        let ring = self.ring();
        match (self.seat.side, self.flavor) {
            (Side::Receivers, Flavor::Spsc) => ring.depth() != 0,
            (Side::Receivers, Flavor::Mpmc) => ring.has_untaken(),
            (Side::Receivers, Flavor::Broadcast) => ring.tail() != ring.head_of(self.seat.number),
            (Side::Senders, Flavor::Spsc | Flavor::Broadcast) => ring.depth() < ring.capacity(),
            (Side::Senders, Flavor::Mpmc) => ring.count_messages() < ring.capacity(),
        }
    }

    /// Returns the ends.
    pub(super) fn ends(&self) -> Ends {
        let header = self.header();
        let orphaned = header.repairs.orphaned.load(Acquire);
        let head = match (self.flavor, self.seat.side) {
            (Flavor::Spsc | Flavor::Mpmc, _) => header.head.0.load(Acquire),
            (Flavor::Broadcast, Side::Senders) => {
                self.ring().tail().wrapping_sub(self.ring().depth())
            }
            (Flavor::Broadcast, Side::Receivers) => self.ring().head_of(self.seat.number),
        };
        (header.tail.0.load(Acquire), head, orphaned)
    }

    /// Returns whether that is enough for a ring: a sender is rung for half of the ring.
    pub(super) fn is_enough(&self, (tail, head, _): Ends) -> bool {
        let half = self.geometry.capacity as u64 / 2;
        self.seat.side == Side::Receivers || tail.wrapping_sub(head) <= half
    }

    /// Passes a ring on to another member, whatever there is to do: one that finds nothing ends it. The
    /// receivers of a broadcast channel are all rung, and need not pass it on.
    pub(super) fn pass_on(&self) {
        let (bells, side) = (self.bells(), self.seat.side);
        if self.flavor == Flavor::Broadcast && side == Side::Receivers {
            return;
        }
        if doorbell::has_others(&bells, self.seat.number, side) {
            // An error here recurs in the members' own calls.
            let _ = doorbell::pass_on(&bells, self.parking(), side);
        }
    }

    /// Returns whether the member has lost its seat, or the channel was removed, as the kernel
    /// shows it.
    pub(super) fn is_over(&self) -> bool {
        let is_removed = || shm::stat(self.segment).is_ok_and(|stat| stat.marked_for_removal);
        self.members.is_own(self.seat) != Ok(true) || self.key != 0 && is_removed()
    }
}

/// Returns a number that changes when a member joins.
pub(crate) fn arrivals(header: &Header) -> u64 {
    let sides = [&header.senders, &header.receivers];
    let joined = |side: &Parking| [side.joins.load(Acquire), side.couriers.load(Acquire)];
    sides.into_iter().flat_map(joined).map(u64::from).sum()
}

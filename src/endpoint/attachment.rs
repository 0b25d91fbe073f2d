//! One handle's membership of one channel: its mapping, its seat, its line in the members' table,
//! and how it leaves. Its queries to the kernel are in `endpoint/attachment/kernel.rs`.

mod armed;
mod kernel;

use core::time::Duration;
use std::sync::Arc;

use crate::address::ChannelId;
use crate::admin::remove;
use crate::endpoint::interrupter::{Interrupter, Interruption};
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::layout::{self, Header, Parking};
use crate::liveness::{self, ChannelSemaphores, Departure, Seat, Seated};
use crate::options::Options;
use crate::ring::Ring;
use crate::ring::broadcast::Start;
use crate::ring::geometry::Geometry;
use crate::role::Side;
use crate::segment::{self, ChannelInfo, Lifetime, MemberRecord};
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sysv::fork_guard::ForkGuard;
use crate::sysv::shm::{self, Mapping, SegmentStat};
use crate::wait::blocking::Throttle;
use crate::wait::{self, FenceRequest, Holder, KnownOpen, Parker, Table, WaitSite};

/// The state of our seat.
const GONE: u32 = 0;
const SEATED: u32 = 1;
const LOST: u32 = 2;

/// Maximum number of attempts to wake the threads of a closed handle, about a second in total.
const WAKES: u32 = 800;

/// Maximum number of tokens posted per attempt: other processes can write the count in the segment.
const THREADS: u32 = 64;

/// A member's attachment to a channel. `Drop` leaves the channel; [`Attachment::leave`] also
/// reports errors.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) id: ChannelId,
    pub(crate) facts: ChannelInfo,
    pub(crate) seat: Seat,
    /// Identifies the holder of the seat in the waiting table.
    holder: Holder,
    pub(crate) members: ChannelSemaphores,
    /// When the set and the segment are to be checked next.
    set_is_due: Throttle,
    segment_is_due: Throttle,
    /// In a process that adopted the handle, nothing of it may be given back.
    home: ForkGuard,
    key: i32,
    /// The mode of the segment, without the mark.
    mode: u32,
    /// `SEATED` until we leave or lose the seat.
    seated: AtomicU32,
    /// How often the other side had been joined when we joined, if it was empty then.
    peer_not_seen: Option<u32>,
    /// How often the other side had been joined when we last asked the kernel who is alive.
    known_joins: AtomicU32,
    /// It is a sender that the stream does not depend on.
    is_courier: bool,
    /// The last holder of the seat died in it.
    took_over: bool,
    /// The last holder of the seat of a broadcast channel died, and had the same label.
    resumes: bool,
    /// Where a receiver of a broadcast channel is to start.
    start: Option<Start>,
    /// An SPSC receiver asks its sender for fences.
    request: FenceRequest,
    /// What an SPSC receiver knows of the end of its stream.
    known_open: KnownOpen,
    /// Shared with the interrupters of the handle, and with its doorbell.
    interruption: Arc<Interruption>,
    /// Our record in the members' table.
    record: MemberRecord,
    /// Must be last: everything above refers to what is mapped here.
    mapping: Mapping,
}

impl Attachment {
    /// Takes up a seat that the semaphores already gave us and that is signed in the waiting table.
    pub(crate) fn new(
        members: ChannelSemaphores,
        holder: Holder,
        stat: &SegmentStat,
        facts: ChannelInfo,
        mapping: Mapping,
        peer_not_seen: Option<u32>,
        options: &Options,
    ) -> Attachment {
        let (seat, nonce, flavor) = (holder.seat, facts.nonce, facts.flavor);
        let mut attachment = Attachment {
            id: ChannelId { segment: stat.id, nonce: facts.nonce },
            facts,
            seat,
            holder,
            members,
            set_is_due: Throttle::every(kernel::SET_EVERY),
            segment_is_due: Throttle::every(kernel::SEGMENT_EVERY),
            home: ForkGuard::new(),
            key: stat.key,
            mode: stat.mode,
            seated: AtomicU32::new(SEATED),
            peer_not_seen,
            known_joins: AtomicU32::new(0),
            is_courier: options.courier,
            took_over: false,
            resumes: false,
            start: options.start,
            interruption: Arc::new(Interruption::new(members, seat.side, nonce)),
            request: match flavor {
                Flavor::Broadcast => FenceRequest::shared(),
                Flavor::Spsc | Flavor::Mpmc => FenceRequest::new(),
            },
            known_open: KnownOpen::new(),
            record: MemberRecord::of(&mapping, seat.number.into()),
            mapping,
        };
        attachment.clear_doorbell();
        let record = attachment.record();
        let resumes = record.state.load(Relaxed) == segment::STATE_PRESENT
            && !options.label.is_empty()
            && segment::label(record) == options.label;
        if seat.side == Side::Receivers && !resumes {
            attachment.ring().begin_record(seat.number);
        }
        let took_over = segment::init_member_record(attachment.record(), seat.side, &options.label);
        let own = attachment.parking();
        if !options.courier {
            own.clear(wait::LEFT);
            if attachment.asks_for_fences() {
                // The request of a predecessor.
                own.withdraw_fences();
            }
        }
        attachment.took_over = took_over;
        attachment.resumes = took_over && resumes;
        let joins = peer_not_seen.unwrap_or_else(|| attachment.peer_joins());
        attachment.known_joins.store(joins, Relaxed);
        attachment
    }

    /// Counts the joining, and tells the armed members of it. From now on this member is seen, and its
    /// departure may be the end of the stream.
    pub(crate) fn announce(&self) {
        match self.is_courier {
            true => &self.parking().couriers,
            false => &self.parking().joins,
        }
        .fetch_add(1, AcqRel);
        self.bells().ring_all();
    }

    /// Gives back the seat of a member that has done nothing and was not announced: the channel is what
    /// it was before. If the kernel does not let it, the seat is left when this is dropped.
    pub(crate) fn withdraw(&self, seated: Seated) {
        let is_seated = self.is_seated();
        // The slots that the last holder owned are still to be recovered, so its entry keeps stating that
        // it died.
        if is_seated && !self.took_over {
            self.show_departure();
        }
        let withdrawn = self.members.withdraw(self.facts.flavor, seated);
        self.bells().ring_all();
        if is_seated && (self.took_over || withdrawn.is_ok()) {
            self.mark_seat_lost();
            // A channel whose last member died is for the next open, with its messages.
            let seats = self.facts.geometry.seats;
            if self.key == 0 || !segment::has_members(&self.mapping, seats) {
                let _ = self.remove_if_last();
            }
        }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.facts.geometry
    }

    pub(crate) fn ring(&self) -> Ring {
        // SAFETY: the geometry was validated against this segment, whose mapping lives as long as
        // `self`; handles keep the ring next to the attachment and drop it first.
        unsafe { Ring::new(self.mapping.base(), &self.facts.geometry) }
    }

    pub(crate) fn header(&self) -> &Header {
        segment::header(&self.mapping)
    }

    /// Our record in the members' table.
    #[inline(always)]
    pub(crate) fn record(&self) -> &layout::Member {
        // SAFETY: it lies in our mapping.
        unsafe { self.record.get() }
    }

    /// Returns a record in the members' table; `seat` is one of the channel's.
    pub(crate) fn record_of(&self, seat: u8) -> &layout::Member {
        segment::member(&self.mapping, usize::from(seat).min(self.facts.geometry.seats - 1))
    }

    /// Returns the parking line of our side.
    pub(crate) fn parking(&self) -> &Parking {
        self.parking_of(self.seat.side)
    }

    /// Returns the parking line of the other side.
    #[inline(always)]
    pub(crate) fn peer_parking(&self) -> &Parking {
        self.parking_of(self.seat.side.other())
    }

    /// Returns how often the other side was joined.
    pub(crate) fn peer_joins(&self) -> u32 {
        self.peer_parking().joins.load(Acquire)
    }

    #[inline(always)]
    pub(crate) fn parking_of(&self, side: Side) -> &Parking {
        match side {
            Side::Senders => &self.header().senders,
            Side::Receivers => &self.header().receivers,
        }
    }

    /// Returns the words of the waiting table.
    pub(crate) fn waiting(&self) -> Table<'_> {
        // SAFETY: the geometry counts them into the header size, which `examine` checked.
        unsafe { segment::waiting(&self.mapping, self.facts.geometry.seats) }
    }

    /// Returns whether this member is a receiver of a broadcast channel: all of them are woken together.
    pub(crate) fn wakes_all(&self) -> bool {
        self.facts.flavor == Flavor::Broadcast && self.seat.side == Side::Receivers
    }

    /// Returns whether this member is an SPSC receiver, which asks its sender for fences.
    fn asks_for_fences(&self) -> bool {
        self.facts.flavor == Flavor::Spsc && self.seat.side == Side::Receivers
    }

    /// Returns what asks the sender for fences.
    pub(crate) fn fence_request(&self) -> Option<&FenceRequest> {
        (self.asks_for_fences() || self.wakes_all()).then_some(&self.request)
    }

    /// Returns where this member waits. An SPSC side has one member, and the receivers of a broadcast
    /// channel are all woken together, so no count is kept for them.
    pub(crate) fn wait_site(&self) -> WaitSite<'_, Attachment> {
        let table = match self.facts.flavor {
            Flavor::Spsc | Flavor::Broadcast => Table(&[]),
            Flavor::Mpmc => self.waiting(),
        };
        let can_know = self.asks_for_fences() && self.facts.redelivery.limit().is_none();
        WaitSite {
            parker: self,
            parking: self.parking(),
            table,
            holder: self.holder,
            request: self.fence_request(),
            wakes_all: self.wakes_all(),
            known_open: can_know.then_some(&self.known_open),
            interrupts: Some(self.interruption.calls()),
        }
    }

    /// Makes the waiting threads of this member poll again: the handle is stopped. Another member,
    /// which is not concerned, may consume a token, so more are posted until no thread waits.
    pub(crate) fn wake_own_threads(&self) {
        // After the flag that stops them, before their counts.
        fence(SeqCst);
        if self.has_doorbell() {
            self.disarm();
        }
        for nap_us in (0..WAKES).map(|n| 20 << n.min(6)) {
            for _ in 0..self.waiting().threads_of(self.holder).min(THREADS) {
                // An error here also occurs in the waiting threads.
                let _ = self.post(self.seat.side);
            }
            if self.waiting().threads_of(self.holder) == 0 {
                break;
            }
            std::thread::sleep(Duration::from_micros(nap_us));
        }
    }

    /// Returns an interrupter of the blocked calls of this handle.
    pub(crate) fn interrupter(&self) -> Interrupter {
        let calls = self.interruption.calls();
        calls.arm();
        if self.is_forked() {
            return Interrupter::of(&self.interruption);
        }
        // Threads that blocked before notice no interrupt until they have polled once more. The
        // tokens may go to other members; at the latest, the threads poll when their slice ends.
        for nap_us in (0..WAKES).map(|n| 20 << n.min(6)) {
            for _ in 0..calls.unwatched().min(THREADS.into()) {
                // An error here also occurs in the waiting threads.
                let _ = self.post(self.seat.side);
            }
            if calls.unwatched() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_micros(nap_us));
        }
        Interrupter::of(&self.interruption)
    }

    /// Returns how often the other side had been joined when we joined, if it was empty then.
    pub(crate) fn peer_not_seen(&self) -> Option<u32> {
        self.peer_not_seen
    }

    /// Returns whether this is a forked child with its parent's handle.
    #[inline(always)]
    pub(crate) fn is_forked(&self) -> bool {
        self.home.forked()
    }

    /// Returns whether the last holder of our seat died in it, possibly with messages in flight.
    pub(crate) fn took_over_from_dead(&self) -> bool {
        self.took_over
    }

    /// Returns whether the last holder of our seat died in it and had our label.
    pub(crate) fn resumes(&self) -> bool {
        self.resumes
    }

    /// Returns where this receiver of a broadcast channel starts.
    pub(crate) fn start(&self) -> Start {
        match self.start {
            Some(start) => start,
            None if self.resumes => Start::Position(self.ring().head_of(self.seat.number)),
            None => Start::Oldest,
        }
    }

    /// Returns what distinguishes this holder of our seat from all others.
    pub(crate) fn stamp(&self) -> u64 {
        self.record().joined.load(Relaxed)
    }

    /// Stores the position at which our seat continues.
    pub(crate) fn begin_at(&self, position: u64) {
        self.record().first.store(position, Relaxed);
        self.record().last.store(position.wrapping_sub(1), Relaxed);
    }

    /// Gives the seat back, and removes the channel if this was the last member and the channel
    /// lives only as long as its members. Done once; in a forked child, where the seat is the
    /// parent's, never.
    pub(crate) fn leave(&self, departure: Departure) -> Result<(), Error> {
        if self.is_forked() {
            return Err(Fault::Forked.into());
        }
        match self.seated.swap(GONE, Relaxed) {
            GONE => return Ok(()),
            // It may belong to another member by now.
            LOST => return Err(Fault::LivenessLost.into()),
            _ => {}
        }
        let departure = if self.is_courier { Departure::Courier } else { departure };
        match self.check_seat() {
            Ok(()) => {}
            Err(Fault::Removed) => {
                // The set was removed by hand, which leaves no trace in the segment. The other side
                // asks the kernel when it sees this, however slow it is.
                self.parking().set(wait::LEFT);
                return Err(Fault::Removed.into());
            }
            Err(Fault::LivenessLost) => return Err(Fault::LivenessLost.into()),
            Err(fault) => {
                // The kernel refuses to answer. What the table shows is enough: the seat was ours
                // when this handle was last told.
                if self.waiting().is_of(self.holder) {
                    self.show_departure();
                    self.resign(departure);
                }
                return Err(fault.into());
            }
        }
        self.show_departure();
        let (flavor, incarnation) = (self.facts.flavor, self.holder.incarnation);
        if let Err(errno) = self.members.leave(flavor, self.seat, incarnation, departure) {
            let fault = liveness::fault("semtimedop")(errno);
            if fault != Fault::Removed {
                self.resign(departure);
            }
            return Err(fault.into());
        }
        self.bells().ring_all();
        Ok(self.remove_if_last()?)
    }

    /// Removes a channel that lives only as long as its members, if it has none any more.
    fn remove_if_last(&self) -> Result<(), Fault> {
        if self.facts.lifetime != Lifetime::LastMember && self.key != 0 {
            return Ok(());
        }
        self.bells().unlink_dead();
        remove::remove_if_unused(self.members, self.id.segment, self.key)
    }

    /// Records in the segment that this member leaves.
    fn show_departure(&self) {
        self.record().state.store(segment::STATE_LEFT, Release);
        let is_only_member = match self.facts.flavor {
            Flavor::Spsc => true,
            Flavor::Mpmc => false,
            Flavor::Broadcast => self.seat.side == Side::Senders,
        };
        if is_only_member {
            self.parking().set(wait::LEFT);
        }
        if self.asks_for_fences() {
            self.parking().withdraw_fences();
        }
        self.deregister();
    }

    /// Leaves the seat to another member, or to a process that joins: the kernel does not let this
    /// one give it back.
    fn resign(&self, departure: Departure) {
        if self.waiting().resign(self.holder, departure) {
            self.bells().ring_all();
        }
    }

    pub(crate) fn stat(&self) -> Result<crate::admin::stat::Stat, Error> {
        let segment = shm::stat(self.id.segment).map_err(liveness::fault("shmctl"))?;
        Ok(crate::admin::stat::describe_as(&self.mapping, segment, self.facts.clone()))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.interruption.calls().close();
        // In any case: the view of the doorbell refers to the mapping.
        self.deregister();
        // A caller that needs the errors calls `close`.
        let _ = self.leave(Departure::Leave);
    }
}

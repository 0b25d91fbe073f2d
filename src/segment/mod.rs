//! Segments: initialising one as a channel, and validating the header of an existing one.

pub(crate) mod description;
pub(crate) mod owner;
pub(crate) mod redelivery;

use core::fmt;
use core::ptr::NonNull;
use std::time::{Duration, SystemTime};

pub(crate) use self::description::Description;
pub(crate) use self::redelivery::Redelivery;
use crate::error::Error;
use crate::flavor::Flavor;
use crate::layout::{self, Header, MAGIC, VERSION};
use crate::liveness::NONCE_MAX;
use crate::message::MessageLayout;
use crate::ring::geometry::Geometry;
use crate::role::Side;
use crate::structure::Structure;
use crate::sync::plain::Ordering::{Acquire, Relaxed, Release};
use crate::sysv::Errno;
use crate::sysv::process;
use crate::sysv::shm::{Mapping, SegmentStat};
use crate::sysv::time;
use crate::wait::{REMOVED, Table};

/// The state of a members' table entry whose member is alive, or died without leaving.
pub(crate) const STATE_PRESENT: u32 = 1;
/// The state of an entry whose member left.
pub(crate) const STATE_LEFT: u32 = 2;

/// The mark in the mode of our segments and sets: "others may execute", and no other execute bit,
/// which grants nothing. It marks an object as ours from the call that creates it, before anything
/// can be written to it, so that an object whose creator was killed at that moment is recognised.
///
/// Anyone who changes the mode (`IPC_SET`) may remove it. Therefore it decides about nothing else: a
/// segment with our magic number is ours without it, and so is the set that such a segment names
/// ([`locate`](crate::admin::locate)).
pub(crate) const MARK: u32 = 0o001;

/// Returns whether a mode carries the mark.
pub(crate) fn is_marked(raw_mode: u32) -> bool {
    raw_mode & 0o111 == MARK
}

/// The lifetime of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Lifetime {
    /// The channel exists until [`remove`](crate::remove), as System V users expect: a sender may
    /// exit before its receiver starts. Messages outlive every process, but not a reboot.
    #[default]
    Kept,
    /// The channel exists until its last member leaves. If the last member died instead, the next open
    /// takes the channel over with its messages, or [`reap`](crate::reap) removes it. A process that
    /// ends without dropping its handle died in this sense: a handle in a static is never dropped, nor
    /// is any handle by [`std::process::exit`]. Close it before.
    LastMember,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lifetime::Kept => "kept",
            Lifetime::LastMember => "until its last member leaves",
        })
    }
}

impl Lifetime {
    pub(crate) fn number(self) -> u32 {
        match self {
            Lifetime::Kept => 1,
            Lifetime::LastMember => 2,
        }
    }

    fn from_number(number: u32) -> Option<Lifetime> {
        [Lifetime::Kept, Lifetime::LastMember].into_iter().find(|l| l.number() == number)
    }
}

/// A private, validated copy of a header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChannelInfo {
    pub(crate) flavor: Flavor,
    pub(crate) geometry: Geometry,
    /// The structure of the message type, if it describes itself.
    pub(crate) structure: Option<Structure>,
    pub(crate) schema: u64,
    pub(crate) set: i32,
    pub(crate) nonce: u32,
    pub(crate) created: SystemTime,
    pub(crate) lifetime: Lifetime,
    pub(crate) name: String,
    pub(crate) redelivery: Redelivery,
    /// The name of the dead-letter channel; empty without one.
    pub(crate) dead_letters: String,
}

/// The state of one of our segments.
#[derive(Debug)]
pub(crate) enum State {
    /// The segment is a channel.
    Ready(ChannelInfo),
    /// The segment is ours, but its creator died or has not finished.
    Incomplete,
}

/// Returns the header at the start of a mapping, which is at least as long as a header.
pub(crate) fn header(mapping: &Mapping) -> &Header {
    // SAFETY: mappings are page-aligned, this one is long enough (`examine` checked it or the
    // caller of `initialise` created it so), and a header consists of atomics only: any bytes are
    // valid.
    unsafe { mapping.base().cast().as_ref() }
}

/// Returns whether a segment has our magic number, or has the mark and none yet. One that cannot be
/// read has none.
pub(crate) fn is_ours(mapping: &Mapping, stat: &SegmentStat) -> bool {
    stat.size >= size_of::<Header>() as u64
        && mapping.check_first_page().is_ok()
        && match header(mapping).identity.magic.load(Acquire) {
            0 => is_marked(stat.raw_mode),
            magic => magic == MAGIC,
        }
}

/// Determines the state of a segment, after checking that it can be read. Every field is read once; nothing is used that is
/// inconsistent with the other fields or with the size that the kernel reports.
pub(crate) fn examine(
    mapping: &Mapping,
    stat: &SegmentStat,
    channel: &str,
) -> Result<State, Error> {
    let not_ours = |what: String| Err(Error::ForeignObject { channel: channel.into(), what });
    if stat.size < size_of::<Header>() as u64 {
        return not_ours(format!(
            "the segment of {} bytes is smaller than a channel header",
            stat.size
        ));
    }
    let missing = |errno: Errno| Error::Limit {
        channel: channel.into(),
        call: "madvise",
        errno: errno.0,
        advice: format!(
            "not all pages of segment {id} can be had ({errno}); if it has huge pages, reserve more \
             (vm.nr_hugepages) or raise the limit of the hugetlb control group (hugetlb.*.max); \
             otherwise `ipcrm -m {id}` removes it",
            id = stat.id
        ),
    };
    mapping.check_first_page().map_err(missing)?;
    let header = header(mapping);
    let identity = &header.identity;
    match identity.magic.load(Acquire) {
        MAGIC => {}
        0 if is_marked(stat.raw_mode) => return Ok(State::Incomplete),
        _ => return not_ours("the segment has no sysvring magic number".into()),
    }
    let found = identity.version.load(Relaxed);
    if found != VERSION {
        let channel = channel.into();
        return Err(Error::LayoutVersion { channel, expected: VERSION, found });
    }
    let corrupt = |what| Error::Corrupt { channel: channel.into(), what };
    let mut facts = read(header).map_err(corrupt)?;
    let total = facts.geometry.total as u64;
    if total > stat.size {
        let channel = channel.into();
        return Err(Error::Truncated { channel, expected: total, found: stat.size });
    }
    mapping.check_readable(facts.geometry.total).map_err(missing)?;
    // SAFETY: `read` computed the geometry, and the segment was just compared with it.
    let text = unsafe { description::words(mapping, facts.flavor, &facts.geometry) };
    facts.structure = description::load(text, &facts.geometry).map_err(corrupt)?;
    Ok(State::Ready(facts))
}

/// Reads what the header states; the structure lies behind the tables.
fn read(header: &Header) -> Result<ChannelInfo, &'static str> {
    let id = &header.identity;
    let size = |word: &crate::sync::plain::AtomicU64| {
        usize::try_from(word.load(Relaxed)).map_err(|_| "a size exceeds the address space")
    };
    let flavor = Flavor::from_number(id.flavor.load(Relaxed)).ok_or("unknown flavor")?;
    let seats = id.seats.load(Relaxed) as usize;
    if !flavor.allows(seats) {
        return Err("invalid seat count");
    }
    let shape = MessageLayout {
        variable: match id.shape.load(Relaxed) {
            1 => false,
            2 => true,
            _ => return Err("unknown message layout"),
        },
        size: size(&id.size)?,
        element: size(&id.element)?,
        align: id.align.load(Relaxed) as usize,
    };
    if !shape.align.is_power_of_two() || shape.align > layout::SLOTS_ALIGN {
        return Err("invalid alignment");
    }
    let capacity = size(&id.capacity)?;
    let structure_len = header.description.structure_len.load(Relaxed) as usize;
    if structure_len > layout::STRUCTURE_MAX {
        return Err("the text of the structure is too long");
    }
    let slot_size = size(&id.slot_size)?;
    let geometry = Geometry::new(flavor, shape, seats, capacity, slot_size, structure_len)
        .map_err(|_| "invalid geometry")?;
    let geometry = match (flavor, id.overwrites.load(Relaxed)) {
        (_, 0) => geometry,
        (Flavor::Broadcast, 1) => geometry.overwriting(),
        _ => return Err("invalid mode of overwriting"),
    };
    let told =
        (capacity, size(&id.stride)?, id.header_size.load(Relaxed) as usize, size(&id.total)?);
    if told != (geometry.capacity, geometry.stride, geometry.header_size, geometry.total) {
        return Err("inconsistent sizes");
    }
    let redelivery =
        Redelivery::from_numbers(id.redelivery.load(Relaxed), id.deliveries.load(Relaxed))
            .ok_or("unknown redelivery policy")?;
    let dead_letters = layout::load_text(&header.dead_letters.0, id.dead_letters_len.load(Relaxed));
    if dead_letters.is_empty() == matches!(redelivery, Redelivery::DeadLetter { .. }) {
        return Err("the dead-letter channel does not match the redelivery policy");
    }
    let nonce = id.nonce.load(Relaxed);
    if nonce == 0 || nonce > NONCE_MAX {
        return Err("invalid nonce");
    }
    Ok(ChannelInfo {
        flavor,
        geometry,
        structure: None,
        schema: id.schema.load(Relaxed),
        set: id.set.load(Relaxed) as i32,
        nonce,
        created: SystemTime::UNIX_EPOCH + Duration::from_nanos(id.created.load(Relaxed)),
        lifetime: Lifetime::from_number(id.lifetime.load(Relaxed)).ok_or("unknown lifetime")?,
        name: layout::load_text(&header.name.0, id.name_len.load(Relaxed)),
        redelivery,
        dead_letters,
    })
}

/// The properties of a channel to create.
#[derive(Debug)]
pub(crate) struct ChannelSpec<'a> {
    pub(crate) flavor: Flavor,
    pub(crate) geometry: Geometry,
    pub(crate) description: Description,
    pub(crate) schema: u64,
    pub(crate) lifetime: Lifetime,
    pub(crate) name: &'a str,
    pub(crate) redelivery: Redelivery,
    /// The name of the dead-letter channel; empty without one.
    pub(crate) dead_letters: &'a str,
}

/// Initialises a new segment, all zero as the kernel provides it, as a channel, and returns its
/// facts. A process that observes the magic number observes the whole header.
///
/// The facts come from the plan and none of them is read from the segment: any process that the
/// mode allows to write can write there from the moment that the segment exists. The segment is as large as
/// the plan states.
pub(crate) fn initialise(
    mapping: &Mapping,
    plan: &ChannelSpec<'_>,
    set: i32,
    nonce: u32,
) -> ChannelInfo {
    let header = header(mapping);
    let created = time::wall_ns();
    let Geometry {
        shape,
        seats,
        capacity,
        slot_size,
        stride,
        structure_len,
        header_size,
        total,
        ..
    } = plan.geometry;
    let id = &header.identity;
    id.version.store(VERSION, Relaxed);
    id.header_size.store(header_size as u32, Relaxed);
    id.flavor.store(plan.flavor.number(), Relaxed);
    id.seats.store(seats as u32, Relaxed);
    id.capacity.store(capacity as u64, Relaxed);
    id.slot_size.store(slot_size as u64, Relaxed);
    id.stride.store(stride as u64, Relaxed);
    id.overwrites.store(plan.geometry.overwrites().into(), Relaxed);
    id.shape.store(if shape.variable { 2 } else { 1 }, Relaxed);
    id.align.store(shape.align as u32, Relaxed);
    id.size.store(shape.size as u64, Relaxed);
    id.element.store(shape.element as u64, Relaxed);
    id.schema.store(plan.schema, Relaxed);
    id.created.store(created, Relaxed);
    id.lifetime.store(plan.lifetime.number(), Relaxed);
    id.name_len.store(layout::store_text(&header.name.0, plan.name), Relaxed);
    id.total.store(total as u64, Relaxed);
    let (redelivery, deliveries) = plan.redelivery.numbers();
    id.redelivery.store(redelivery, Relaxed);
    id.deliveries.store(deliveries, Relaxed);
    let len = layout::store_text(&header.dead_letters.0, plan.dead_letters);
    id.dead_letters_len.store(len, Relaxed);
    header.description.structure_len.store(structure_len as u32, Relaxed);
    // SAFETY: guaranteed by the caller.
    plan.description.store(unsafe { description::words(mapping, plan.flavor, &plan.geometry) });
    bind(mapping, set, nonce);
    id.magic.store(MAGIC, Release);
    ChannelInfo {
        flavor: plan.flavor,
        geometry: plan.geometry,
        structure: plan.description.structure.clone(),
        schema: plan.schema,
        set,
        nonce,
        created: SystemTime::UNIX_EPOCH + Duration::from_nanos(created),
        lifetime: plan.lifetime,
        name: plan.name.to_owned(),
        redelivery: plan.redelivery,
        dead_letters: plan.dead_letters.to_owned(),
    }
}

/// Binds the segment to a set. Must be called only while this process holds the lifecycle semaphore
/// of that set and the set has no users.
pub(crate) fn bind(mapping: &Mapping, set: i32, nonce: u32) {
    let identity = &header(mapping).identity;
    identity.set.store(set as u32, Relaxed);
    identity.nonce.store(nonce, Relaxed);
}

/// Marks the channel as removed, so that its members notice without a system call. Must be called
/// after the removal: a segment found by its key is never marked as removed.
pub(crate) fn mark_removed(mapping: &Mapping) {
    let header = header(mapping);
    header.senders.set(REMOVED);
    header.receivers.set(REMOVED);
}

/// Returns whether no member ever joined.
pub(crate) fn is_untouched(mapping: &Mapping, seats: usize) -> bool {
    let header = header(mapping);
    let counts = |side: &layout::Parking| [side.joins.load(Relaxed), side.couriers.load(Relaxed)];
    let mut joined = [&header.senders, &header.receivers].into_iter().flat_map(counts);
    // One that withdrew signed the members' table, and was not counted.
    joined.all(|count| count == 0) && !has_members(mapping, seats)
}

/// Returns whether the members' table has an entry of a member that is alive or died without
/// leaving. A member signs its entry before it does anything else in the segment, and checks its
/// set again after that.
pub(crate) fn has_members(mapping: &Mapping, seats: usize) -> bool {
    (0..seats).any(|seat| member(mapping, seat).state.load(Acquire) == STATE_PRESENT)
}

/// Clears the words of former members that died while they waited. Must be called only while the
/// channel has no members.
///
/// # Safety
/// The segment has a waiting table of `seats` seats.
pub(crate) unsafe fn forget_waiters(mapping: &Mapping, seats: usize) {
    header(mapping).senders.forget();
    header(mapping).receivers.forget();
    // SAFETY: guaranteed by the caller.
    unsafe { waiting(mapping, seats) }.forget();
}

/// Returns the waiting table.
///
/// # Safety
/// The segment has a waiting table of `seats` seats.
pub(crate) unsafe fn waiting(mapping: &Mapping, seats: usize) -> Table<'_> {
    // SAFETY: guaranteed by the caller, and the mapping outlives the table.
    unsafe { Table::at(mapping.base(), seats) }
}

/// Returns the members' table entry of a seat.
pub(crate) fn member(mapping: &Mapping, seat: usize) -> &layout::Member {
    // SAFETY: the geometry includes the seats in the header size, which `examine` checked against
    // the segment; an entry consists of atomics only.
    unsafe { mapping.base().add(size_of::<Header>()).cast::<layout::Member>().add(seat).as_ref() }
}

/// The address of an entry of the members' table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberRecord(NonNull<layout::Member>);

// SAFETY: an address; it refers to atomics.
unsafe impl Send for MemberRecord {}
// SAFETY: as above.
unsafe impl Sync for MemberRecord {}

impl MemberRecord {
    pub(crate) fn of(mapping: &Mapping, seat: usize) -> MemberRecord {
        MemberRecord(NonNull::from(member(mapping, seat)))
    }

    /// Returns the entry.
    ///
    /// # Safety
    /// The mapping must still exist, for as long as the entry is used.
    #[inline(always)]
    pub(crate) unsafe fn get<'a>(self) -> &'a layout::Member {
        // SAFETY: guaranteed by the caller; it was made from a reference into the mapping.
        unsafe { self.0.as_ref() }
    }
}

/// Returns the label of the holder of a seat, or of its last one.
pub(crate) fn label(member: &layout::Member) -> String {
    layout::load_text(&member.label, member.label_len.load(Relaxed))
}

/// Signs the entry of a seat that was just taken. Returns whether its last holder died in it.
pub(crate) fn init_member_record(member: &layout::Member, side: Side, label: &str) -> bool {
    let inherited = member.state.load(Acquire) == STATE_PRESENT;
    for counter in [&member.bytes, &member.parks, &member.wakes, &member.repairs, &member.messages]
    {
        counter.store(0, Relaxed);
    }
    member.label_len.store(layout::store_text(&member.label, label), Relaxed);
    // This is also the holder's stamp: no two holders of a seat have the same one, even if the
    // clock goes backwards.
    let last = member.joined.load(Relaxed);
    // Release: an observer that sees it sees the counters reset.
    member.joined.store(time::wall_ns().max(last.wrapping_add(1)).max(1), Release);
    member.role.store(side.role_number(), Relaxed);
    member.pid.store(process::pid(), Relaxed);
    member.state.store(STATE_PRESENT, Release);
    inherited
}

#[cfg(all(test, not(loom)))]
mod tests;

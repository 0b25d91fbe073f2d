//! Reading a snapshot of a channel's state from its segment and its set.

use std::time::SystemTime;

use super::{Member, Role, Stat, StreamState};
use crate::address::ChannelId;
use crate::admin::locate::examine_set;
use crate::error::DeadLetterFailure;
use crate::flavor::Flavor;
use crate::layout;
use crate::liveness::{ChannelSemaphores, Seat};
use crate::ring::Ring;
use crate::ring::mpmc::Survey;
use crate::role::Side;
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, Lifetime};
use crate::sync::fence;
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sysv::sem::Set;
use crate::sysv::shm::{self, Mapping, SegmentStat};
use crate::sysv::time;
use crate::wait::{PARKED, doorbell};

/// Maximum number of slots that are inspected in a channel of another user, whatever capacity its
/// header claims.
const LOOKED_AT: u64 = 4096;

/// Describes the channel in a mapping; `segment` was reported by the kernel while it was attached,
/// and `facts` are its validated header.
pub(crate) fn describe_as(mapping: &Mapping, segment: SegmentStat, facts: ChannelInfo) -> Stat {
    let (set, missing_set) = match examine_set(&facts, &segment) {
        Ok(set) => (Some(set), None),
        Err(missing) => (None, Some(missing)),
    };
    let header = segment::header(mapping);
    let geometry = facts.geometry;
    // SAFETY: the geometry was checked against this segment; the ring is dropped before the
    // mapping.
    let ring = unsafe { Ring::new(mapping.base(), &geometry) };
    let poisoned = header.repairs.poisoned.load(Relaxed);
    let at_most = if Owner::from(&segment).is_own() { u64::MAX } else { LOOKED_AT };
    let (taken, taken_at) = (SystemTime::now(), time::now_ns());
    let values = set.as_ref().and_then(|set| {
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        members.semaphore_values(geometry.seats).ok()
    });
    let survey = match facts.flavor {
        Flavor::Spsc | Flavor::Broadcast => None,
        Flavor::Mpmc => {
            let is_dead = |seat| values.as_ref().is_some_and(|values| !values.is_taken(seat));
            ring.survey(at_most, is_dead)
        }
    };
    let depth = match (&survey, facts.flavor) {
        (Some(survey), _) => survey.messages,
        (None, Flavor::Spsc | Flavor::Broadcast) => ring.depth(),
        (None, Flavor::Mpmc) => ring.depth_hint(),
    };
    let by_depth = ring.capacity().saturating_sub(depth);
    let (head, tail) = match facts.flavor {
        Flavor::Spsc => (header.head.0.load(Relaxed), ring.tail()),
        Flavor::Mpmc => (header.head.0.load(Relaxed), header.tail.0.load(Relaxed)),
        Flavor::Broadcast => {
            let tail = ring.tail();
            (tail.wrapping_sub(depth), tail)
        }
    };
    let (sent_to, received_to) = match &survey {
        Some(survey) => (survey.end, survey.end.wrapping_sub(survey.messages)),
        None => (tail, head),
    };
    let sides = [&header.senders, &header.receivers];
    let joins = sides.iter().flat_map(|side| [&side.joins, &side.couriers]);
    let members = members(mapping, &ring, &facts, set.is_some(), survey.as_ref());
    let mut stat = Stat {
        taken,
        id: ChannelId { segment: segment.id, nonce: facts.nonce },
        key: segment.key,
        flavor: facts.flavor,
        lifetime: facts.lifetime,
        lost_without_members: facts.lifetime == Lifetime::Kept
            && shm::removal_is_forced() == Some(true),
        created: facts.created,
        overwriting: geometry.overwrites(),
        capacity: geometry.capacity,
        slot_size: geometry.slot_size,
        stride: geometry.stride,
        variable: geometry.shape.variable,
        message_size: geometry.shape.size,
        message_element: geometry.shape.element,
        message_align: geometry.shape.align,
        structure: facts.structure,
        schema: facts.schema,
        depth,
        depth_is_exact: facts.flavor != Flavor::Mpmc || survey.is_some(),
        room: survey.as_ref().map_or(by_depth, |survey| survey.room),
        in_flight: survey.as_ref().map(|survey| {
            let receivers = members.iter().filter(|member| member.role == Role::Receiver);
            let held = receivers.map(|member| member.in_flight.unwrap_or(0));
            held.fold(survey.orphaned.slots, u64::saturating_add)
        }),
        orphaned: survey.as_ref().map_or(0, |survey| survey.orphaned.slots),
        head,
        tail,
        redelivery: facts.redelivery,
        redelivered: header.repairs.redelivered.load(Relaxed),
        dropped: header.repairs.dropped.load(Relaxed),
        rejected: header.repairs.rejected.load(Relaxed),
        dead_letter_channel: (!facts.dead_letters.is_empty()).then_some(facts.dead_letters),
        dead_letters: header.repairs.dead_letters.load(Relaxed),
        dead_letter_failures: header.repairs.dead_letter_failures.load(Relaxed),
        last_dead_letter_failure: DeadLetterFailure::from_number(
            header.repairs.last_failure.load(Relaxed),
        ),
        poisoned,
        last_poisoned: (poisoned != 0).then(|| header.repairs.last_poisoned.load(Relaxed)),
        overslept: sides.iter().fold(0, |sum, side| side.overslept.load(Relaxed).wrapping_add(sum)),
        stream: values.as_ref().map_or(StreamState::Open, StreamState::of),
        lost_senders: values.as_ref().map_or(0, |values| values.died().into()),
        joins: joins.fold(0, |sum, count| count.load(Relaxed).wrapping_add(sum)),
        deaths: 0,
        members,
        name: facts.name,
        segment,
        set,
        missing_set,
        taken_at,
        sent_to,
        received_to,
    };
    stat.deaths = stat.members.iter().filter(|member| stat.is_dead(member)).count() as u32;
    stat
}

fn members(
    mapping: &Mapping,
    ring: &Ring,
    facts: &ChannelInfo,
    has_set: bool,
    survey: Option<&Survey>,
) -> Vec<Member> {
    let set = ChannelSemaphores::new(Set::from_id(facts.set));
    let looks = |seat| {
        let joined = &segment::member(mapping, seat).joined;
        let mut found = None;
        for _ in 0..LOOKS {
            // A member resets the counters of its seat before it stores when it joined: all that is
            // read between two equal times is of one member.
            let before = joined.load(Acquire);
            found = member(mapping, ring, facts, has_set.then_some(set), survey, seat);
            fence(Acquire);
            if joined.load(Relaxed) == before {
                break;
            }
        }
        found
    };
    (0..facts.geometry.seats).filter_map(looks).collect()
}

/// How often a seat is looked at if other members take it meanwhile.
const LOOKS: usize = 8;

/// Returns the member in a seat, or the last one there. `set`: that of the channel, if it exists.
fn member(
    mapping: &Mapping,
    ring: &Ring,
    facts: &ChannelInfo,
    set: Option<ChannelSemaphores>,
    survey: Option<&Survey>,
    seat: usize,
) -> Option<Member> {
    let line = segment::member(mapping, seat);
    let number = seat as u8;
    let state = line.state.load(Acquire);
    let side = Side::from_role_number(line.role.load(Relaxed))?;
    let role = Role::of(side);
    let alive = set.is_some_and(|set| set.is_taken(number).unwrap_or(false));
    let (position, messages) = match (facts.flavor, role) {
        (Flavor::Spsc | Flavor::Broadcast, Role::Sender) => since(line, ring.tail()),
        (Flavor::Spsc, Role::Receiver) => since(line, ring.header().head.0.load(Acquire)),
        (Flavor::Broadcast, Role::Receiver) => since(line, ring.head_of(number)),
        (Flavor::Mpmc, _) => (line.last.load(Relaxed).wrapping_add(1), line.messages.load(Relaxed)),
    };
    let lag = (alive && (facts.flavor, role) == (Flavor::Broadcast, Role::Receiver))
        .then(|| ring.tail().wrapping_sub(position).min(ring.capacity()));
    let bytes = match facts.geometry.shape.variable {
        true => line.bytes.load(Relaxed),
        false => messages.wrapping_mul(facts.geometry.shape.size as u64),
    };
    let owned = survey.map(|survey| survey.of_seat(seat));
    Some(Member {
        seat,
        role,
        pid: set.map_or(0, |set| set.shown_pid(number)),
        label: crate::layout::load_text(&line.label, line.label_len.load(Relaxed)),
        alive,
        left: !alive && state == segment::STATE_LEFT,
        joined: SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(line.joined.load(Relaxed)),
        position,
        messages,
        bytes,
        in_flight: owned.map(|owned| owned.slots),
        lag,
        missed: ((facts.flavor, role) == (Flavor::Broadcast, Role::Receiver))
            .then(|| ring.missed_by(number)),
        oldest_in_flight: owned.and_then(|owned| owned.oldest),
        waiting: if alive { waiting_threads(mapping, facts, number, side, lag) } else { 0 },
        armed: alive && doorbell::awaits_ring(&line.armed),
        recovered: line.repairs.load(Relaxed),
        parks: line.parks.load(Relaxed),
        wakes: line.wakes.load(Relaxed),
    })
}

/// Returns how many threads of a living member wait. An SPSC side has one member, which one thread
/// uses: its parking word tells.
fn waiting_threads(
    mapping: &Mapping,
    facts: &ChannelInfo,
    number: u8,
    side: Side,
    lag: Option<u64>,
) -> u32 {
    let header = segment::header(mapping);
    let parking = match side {
        Side::Senders => &header.senders,
        Side::Receivers => &header.receivers,
    };
    let is_parked = parking.flags() & PARKED != 0;
    match (facts.flavor, side) {
        (Flavor::Spsc, _) | (Flavor::Broadcast, Side::Senders) => u32::from(is_parked),
        // The flag is that of all receivers.
        (Flavor::Broadcast, Side::Receivers) => u32::from(is_parked && lag == Some(0)),
        (Flavor::Mpmc, _) => {
            // SAFETY: the geometry counts the seats into the header size, which was checked against
            // this segment.
            let table = unsafe { segment::waiting(mapping, facts.geometry.seats) };
            table.threads_in(Seat { number, side })
        }
    }
}

/// Returns a position, and the number of messages from the member's first one up to it.
fn since(line: &layout::Member, position: u64) -> (u64, u64) {
    (position, position.wrapping_sub(line.first.load(Relaxed)))
}

//! Reading a header with arbitrary bytes returns consistent facts or the reason for refusing it.

use super::*;
use crate::layout::{Description, Identity, NAME_MAX};
use crate::sync::plain::AtomicU64;

/// Returns the header of an MPMC channel of text, as `initialise` writes it.
fn sample() -> Box<Header> {
    let shape = MessageLayout { variable: true, size: 4, element: 2, align: 2 };
    let geometry = Geometry::new(Flavor::Mpmc, shape, 3, 8, 40, 77).expect("a geometry");
    let header = Box::new(Header::new());
    let id = &header.identity;
    id.version.store(VERSION, Relaxed);
    id.header_size.store(geometry.header_size as u32, Relaxed);
    id.flavor.store(Flavor::Mpmc.number(), Relaxed);
    id.seats.store(geometry.seats as u32, Relaxed);
    id.capacity.store(geometry.capacity as u64, Relaxed);
    id.slot_size.store(geometry.slot_size as u64, Relaxed);
    id.stride.store(geometry.stride as u64, Relaxed);
    id.shape.store(2, Relaxed);
    id.align.store(shape.align as u32, Relaxed);
    id.size.store(shape.size as u64, Relaxed);
    id.element.store(shape.element as u64, Relaxed);
    id.set.store(5, Relaxed);
    id.nonce.store(0x1234_5678, Relaxed);
    id.lifetime.store(1, Relaxed);
    id.name_len.store(layout::store_text(&header.name.0, "grüße"), Relaxed);
    id.total.store(geometry.total as u64, Relaxed);
    id.redelivery.store(3, Relaxed);
    id.deliveries.store(7, Relaxed);
    header.description.structure_len.store(geometry.structure_len as u32, Relaxed);
    header
}

/// Returns the words of identity, name and description.
fn words(header: &Header) -> Vec<&AtomicU64> {
    let bytes = size_of::<Identity>() + NAME_MAX;
    assert_eq!(bytes, memoffset::offset_of!(Header, tail));
    let of = |first: *const AtomicU64, bytes: usize| {
        // SAFETY: `bytes` bytes of atomics, aligned to more than a word; all access to them is atomic.
        unsafe { core::slice::from_raw_parts(first, bytes / 8) }
    };
    let first = of(core::ptr::from_ref(header).cast(), bytes);
    let description = core::ptr::from_ref(&header.description);
    first.iter().chain(of(description.cast(), size_of::<Description>())).collect()
}

/// Returns whether facts were read, and checks that they are consistent and equal to the header's.
fn check(header: &Header) -> bool {
    let id = &header.identity;
    let facts = match read(header) {
        Ok(facts) => facts,
        Err(what) => {
            assert!(!what.is_empty());
            return false;
        }
    };
    let Geometry { shape, seats, capacity, slot_size, structure_len, total, .. } = facts.geometry;
    assert_eq!(
        Geometry::new(facts.flavor, shape, seats, capacity, slot_size, structure_len).ok(),
        Some(facts.geometry)
    );
    assert!(facts.flavor.allows(seats) && capacity.is_power_of_two());
    assert!(shape.align.is_power_of_two() && shape.align <= layout::SLOTS_ALIGN);
    assert_eq!(
        [total as u64, capacity as u64],
        [id.total.load(Relaxed), id.capacity.load(Relaxed)]
    );
    assert!((1..=NONCE_MAX).contains(&facts.nonce) && facts.redelivery.is_possible());
    // A byte that is not valid UTF-8 becomes three.
    assert!(facts.name.len() <= 3 * NAME_MAX);
    true
}

#[test]
fn every_value_of_every_byte() {
    let header = sample();
    assert!(check(&header), "as it was made");
    let (mut fine, mut refused) = (0, 0);
    let words = words(&header);
    for word in &words {
        for byte in 0..8 {
            for mask in 1..=255u64 {
                let before = word.fetch_xor(mask << (byte * 8), Relaxed);
                *if check(&header) { &mut fine } else { &mut refused } += 1;
                word.store(before, Relaxed);
            }
        }
    }
    assert_eq!(fine + refused, words.len() * 8 * 255);
    // Most bytes belong to texts and to fields that accept any value; the rest are sizes.
    assert!(fine > 10_000 && refused > 10_000, "{fine} and {refused}");
}

/// Without optimisation only every seventh pair is tested.
#[test]
fn every_pair_of_bits() {
    const EVERY: usize = if cfg!(debug_assertions) { 7 } else { 1 };
    let header = sample();
    let words = words(&header);
    let flip = |bit: usize| words[bit / 64].fetch_xor(1 << (bit % 64), Relaxed);
    let (mut fine, mut refused) = (0u64, 0u64);
    for one in 0..words.len() * 64 {
        flip(one);
        check(&header);
        for other in (one + 1..words.len() * 64).step_by(EVERY) {
            flip(other);
            *if check(&header) { &mut fine } else { &mut refused } += 1;
            flip(other);
        }
        flip(one);
    }
    let bits = words.len() as u64 * 64;
    assert!(fine + refused >= bits * (bits - 1) / 2 / EVERY as u64);
    assert!(fine > 50_000 && refused > 50_000, "{fine} and {refused}");
}

/// The facts that the creator of a channel uses are those that every other process reads.
#[test]
fn a_creator_knows_what_others_read() {
    use crate::sysv::key::PRIVATE;
    use crate::sysv::shm::{self, Access, SegmentLookup};
    let shape = MessageLayout { variable: true, size: 4, element: 2, align: 2 };
    let structure: Structure =
        "struct Words { n: u32, words: [u16] }".parse().expect("a structure");
    let plan = |name| ChannelSpec {
        flavor: Flavor::Mpmc,
        geometry: Geometry::new(Flavor::Mpmc, shape, 3, 8, 40, 37).expect("a geometry"),
        description: super::Description::of(Some(&structure), shape).expect("a description"),
        schema: 0xfeed,
        lifetime: Lifetime::LastMember,
        name,
        redelivery: Redelivery::DeadLetter { after: 7 },
        dead_letters: "letters",
    };
    let (plan, other) = (plan("grüße"), plan("other"));
    assert_eq!(plan.description.len(), plan.geometry.structure_len);
    let how = SegmentLookup::New { mode: 0o601, huge: false };
    let id = shm::get(PRIVATE, plan.geometry.total, how).expect("a segment");
    let attached = Mapping::attach_known(id, Access::ReadWrite);
    shm::remove(id).expect("removed");
    let (mapping, stat) = attached.expect("attached");
    let facts = initialise(&mapping, &plan, 5, 0x1234_5678);
    match examine(&mapping, &stat, "any").expect("a channel") {
        State::Ready(read) => assert_eq!((&read, &read.structure), (&facts, &Some(structure))),
        State::Incomplete => panic!("not finished"),
    }
    // Nothing is read from the segment.
    let unwritten = initialise(&mapping, &other, 6, 1);
    assert_eq!((unwritten.name.as_str(), unwritten.set, unwritten.nonce), ("other", 6, 1));
}

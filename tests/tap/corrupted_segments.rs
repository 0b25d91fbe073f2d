//! A tap of a segment into which somebody writes anything: it reports whatever bytes are there, or a
//! fault, but nothing is read beyond a slot, and no call runs on.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{Error, Fault, Tap, TapStart};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnySender, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::goes_on;
use sysvring_support::test;

const SLOT_SIZE: usize = 40;
const CAPACITY: usize = 16;
const TIME: Duration = Duration::from_millis(700);
/// A call that takes longer never returns.
const AT_MOST: Duration = Duration::from_secs(2);

/// Writes words into the tail, the head and all slots: states that are nearly right, or anything.
fn scribble(segment: &Segment, stop: &AtomicBool) {
    let mut rng = Rng::new();
    let slots = segment.u32(at::HEADER_SIZE).load(Relaxed) as usize;
    let stride = segment.u64(at::STRIDE).load(Relaxed) as usize;
    while !stop.load(Relaxed) {
        let slot = slots + rng.below(CAPACITY as u64) as usize * stride;
        let near = rng.below(4) << 16 | rng.below(8);
        let word = match rng.below(8) {
            0 => rng.bits(),
            1 => near | rng.below(32) << 11,
            2..4 => rng.below(48),
            4..7 => near & !7 | 2,
            _ => near,
        };
        let to: &AtomicU64 = match rng.below(8) {
            0 => segment.u64(at::TAIL),
            1 => segment.u64(at::HEAD),
            2 => segment.u64(slot + 8),
            3 => segment.u64(slot + 8 * rng.below(stride as u64 / 8) as usize),
            4 if rng.below(2) == 0 => {
                let table = slots + CAPACITY * stride;
                match table + 8 * CAPACITY <= segment.len() {
                    true => segment.u64(table + 8 * rng.below(CAPACITY as u64) as usize),
                    false => segment.u64(slot),
                }
            }
            _ => segment.u64(slot),
        };
        to.store(word, Relaxed);
    }
}

fn scribbled<F: AnyFlavor>() {
    let name = Name::new();
    name.may_oversleep();
    let mut tx: F::Sender<[u8]> =
        name.options().capacity(CAPACITY).slot_size(SLOT_SIZE).create().expect("create");
    tx.try_send(b"hello").expect("room");
    let segment = Segment::of(tx.id().segment());
    let stop = AtomicBool::new(false);
    let (mut messages, mut faults) = (0u64, 0u64);
    thread::scope(|scope| {
        scope.spawn(|| scribble(&segment, &stop));
        let (start, mut rng) = (Instant::now(), Rng::new());
        let mut watch = Watch::start(&[]);
        // On a busy host, the scribbler and the tap take turns, and each taps what is at rest.
        while goes_on(start, TIME, messages > 10 && faults > 100) {
            watch.restart();
            let positions = [rng.below(64), rng.bits()].map(TapStart::Position);
            let start = rng.of(&[TapStart::Now, TapStart::Oldest, positions[0], positions[1]]);
            let mut tap = Tap::open(name.as_str(), start).expect("its header is right");
            let mut message = Vec::new();
            for _ in 0..20 {
                let before = now_ns();
                match tap.try_next(&mut message) {
                    Ok(found) => {
                        assert!(message.len() <= SLOT_SIZE);
                        messages += u64::from(found.is_some());
                    }
                    Err(Error::Fault(Fault::Corrupt { .. })) => faults += 1,
                    Err(error) => panic!("{error}"),
                }
                let took = Duration::from_nanos(now_ns() - before);
                assert!(took < AT_MOST || watch.late(before) < AT_MOST, "it runs on");
            }
        }
        stop.store(true, Relaxed);
    });
    assert!(messages > 10 && faults > 100, "{messages} messages, {faults} faults");
}

#[test]
fn an_spsc_ring_is_scribbled_over() {
    scribbled::<Spsc>();
}

#[test]
fn an_mpmc_ring_is_scribbled_over() {
    scribbled::<Mpmc>();
}

/// A length that exceeds the slot is a fault, also if it is the largest number.
#[test]
fn a_length_is_not_believed() {
    for length in [SLOT_SIZE as u64 + 1, u64::MAX, 1 << 63] {
        let name = Name::new();
        let mut tx: sysvring::spsc::Sender<[u8]> =
            name.options().capacity(CAPACITY).slot_size(SLOT_SIZE).create().expect("create");
        tx.send(b"hello").expect("room");
        let segment = Segment::of(tx.id().segment());
        segment.u64(at::SLOTS + 8).store(length, Relaxed);
        let mut tap = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
        let mut message = vec![1];
        for _ in 0..2 {
            let found = tap.try_next(&mut message);
            assert!(matches!(found, Err(Error::Fault(Fault::Corrupt { .. }))), "{found:?}");
            assert!(message.is_empty());
        }
    }
}

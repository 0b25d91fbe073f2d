//! Arbitrary bytes where members find which doorbell to ring: no panic, no hang, and no message that
//! is not received.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::{RecvError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, Spsc, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

/// Two slices, after which the last resort has noticed whatever is wrong.
const SLICES: Duration = Duration::from_millis(600);
/// The bit of a parking word that is set while a doorbell is armed.
const BELL: u32 = 1 << 1;
const ROUNDS: usize = if cfg!(debug_assertions) { 6 } else { 20 };

/// Words that mean something, and others.
fn words(rng: &mut Rng) -> Vec<u64> {
    let key = |n: u64| n << 32;
    let mut words: Vec<u64> = (0..8).chain((0..8).map(|n| n | key(1))).collect();
    words.extend((0..8).map(|n| n | key(u64::from(u32::MAX))));
    words.extend([u64::MAX, 1 << 63, 0xffff_fff8]);
    words.extend((0..4).map(|_| rng.below(u64::MAX)));
    words
}

/// Another set of this process, whose queue must get nothing that makes it return.
struct Bystander {
    _name: Name,
    pair: (sysvring::spsc::Sender<u64>, sysvring::spsc::Receiver<u64>),
    set: WaitSet,
}

impl Bystander {
    fn new() -> Bystander {
        let name = Name::new();
        let mut pair = name.pair_of::<Spsc, u64>(2);
        let set = WaitSet::new().expect("a set");
        set.add(&pair.1).expect("added");
        assert_eq!(pair.1.try_recv(), Err(RecvError::Empty));
        Bystander { _name: name, pair, set }
    }

    /// The number of its queue.
    fn queue(&self) -> u64 {
        let segment = Segment::of(self.pair.0.stat().expect("stat").segment.id);
        (0..2).map(|seat| segment.u64(record(seat, at::DOORBELL)).load(Acquire)).max().expect("two")
    }

    fn is_undisturbed(&mut self) {
        assert_eq!(tokens(&self.set, NOW), []);
        self.pair.0.try_send(&1).expect("room");
        assert_eq!(tokens(&self.set, Some(PROMPT)).len(), 1, "it is still rung");
        assert_eq!(self.pair.1.try_recv(), Ok(1));
        assert_eq!(self.pair.1.try_recv(), Err(RecvError::Empty));
    }
}

fn record(seat: usize, field: usize) -> usize {
    at::MEMBERS + seat * at::MEMBER + field
}

/// Finds the seat of the one armed member.
fn armed_seat(segment: &Segment) -> usize {
    let is_armed = |seat: &usize| segment.u64(record(*seat, at::ARMED)).load(Acquire) & 1 != 0;
    (0..2).find(is_armed).expect("an armed member")
}

#[test]
fn any_armed_word_is_survived<F: AnyFlavor>() {
    let name = Name::new();
    name.may_oversleep();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let segment = Segment::of(tx.stat().expect("stat").segment.id);
    let mut bystander = Bystander::new();
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    let mut rng = Rng::new();
    for word in words(&mut rng).into_iter().cycle().take(3 * ROUNDS) {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        let seat = armed_seat(&segment);
        segment.u64(record(seat, at::ARMED)).store(word, Release);
        for side in [at::RECEIVERS, at::SENDERS] {
            match rng.below(3) {
                0 => _ = segment.u32(side).fetch_and(!BELL, Release),
                1 => _ = segment.u32(side).fetch_or(BELL, Release),
                _ => {}
            }
        }
        let (watch, since) = (Watch::start(&[]), now_ns());
        tx.try_send(&word).expect("room");
        loop {
            assert!(!wait(&set, LONG).is_empty(), "{word:#x}: never ready");
            if let Ok(received) = rx.try_recv() {
                assert_eq!(received, word);
                break;
            }
        }
        watch.must_be_within(SLICES, since);
        bystander.is_undisturbed();
    }
}

#[test]
fn any_number_of_a_queue_is_survived<F: TakingFlavor>() {
    let name = Name::new();
    name.may_oversleep();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    let segment = Segment::of(tx.stat().expect("stat").segment.id);
    let mut bystander = Bystander::new();
    let mut rng = Rng::new();
    let numbers = [0, 1, u64::MAX, bystander.queue(), rng.below(u64::MAX)];
    for number in numbers.into_iter().cycle().take(ROUNDS) {
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        let seat = armed_seat(&segment);
        segment.u64(record(seat, at::DOORBELL)).store(number, Release);
        let (watch, since) = (Watch::start(&[]), now_ns());
        tx.try_send(&number).expect("room");
        loop {
            assert!(!wait(&set, LONG).is_empty(), "{number:#x}: never ready");
            if let Ok(received) = rx.try_recv() {
                assert_eq!(received, number);
                break;
            }
        }
        watch.must_be_within(SLICES, since);
        bystander.is_undisturbed();
        drop(set);
        // A successor that finds the number in its seat removes no queue that is in use.
        segment.u64(record(seat, at::DOORBELL)).store(bystander.queue(), Release);
        drop(rx);
        rx = name.options().attach().expect("attach");
        bystander.is_undisturbed();
    }
}

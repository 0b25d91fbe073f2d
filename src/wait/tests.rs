//! Estimates from waits, with a simulated parker instead of the kernel's.

use std::cell::Cell;

use super::*;
use crate::layout::Header;
use crate::liveness::Seat;
use crate::sync::spin_loop;
use crate::sysv::time::{Deadline, now_ns};
use crate::wait::adaptive_spin::{Wait, WaitPolicy};

/// A simulated parker: a thread blocks there until a post arrives or the timeout elapses.
struct Bed<'a> {
    parking: &'a Parking,
    /// When a post arrives, and how long the wake-up takes from there, in nanoseconds.
    post: Option<(u64, u64)>,
    slept: Cell<bool>,
    rested: Cell<Duration>,
    /// An SPSC receiver's request, and what becomes of it.
    request: FenceRequest,
    refuses: bool,
    barriers: Cell<u32>,
    settled: Cell<u32>,
}

/// Spins for `time` nanoseconds.
fn pass(time: u64) {
    let start = now_ns();
    while now_ns() - start < time {
        spin_loop();
    }
}

impl Bed<'_> {
    fn new(header: &Header, post: Option<(u64, u64)>) -> Bed<'_> {
        Bed {
            parking: &header.receivers,
            post,
            slept: Cell::new(false),
            rested: Cell::new(Duration::ZERO),
            request: FenceRequest::new(),
            refuses: false,
            barriers: Cell::new(0),
            settled: Cell::new(0),
        }
    }

    fn site(&self) -> WaitSite<'_, Self> {
        let holder = Holder { seat: Seat::of(Side::Receivers), incarnation: 0 };
        let table = Table(&[]);
        let (parking, request) = (self.parking, Some(&self.request));
        WaitSite {
            parker: self,
            parking,
            table,
            holder,
            request,
            known_open: None,
            wakes_all: false,
            interrupts: None,
        }
    }

    /// Parks once, and is woken.
    fn sleep(&self) {
        self.slept.set(false);
        let poll = |_| Ok::<bool, Fault>(self.slept.get());
        assert!(wait(self.site(), &mut WaitPolicy::new(Wait::Park), None, poll).is_ok());
    }
}

impl Parker for Bed<'_> {
    fn interrupts(&self, _: Side) -> Result<u16, Fault> {
        Ok(0)
    }

    fn park(&self, side: Side, at_most: Duration, _: Option<u16>) -> Result<ParkResult, Fault> {
        self.slept.set(true);
        let Some((after, way)) = self.post else {
            pass(at_most.as_nanos() as u64);
            return Ok(ParkResult::TimedOut);
        };
        pass(after);
        assert!(wake(self, self.parking, side)?);
        pass(way);
        Ok(ParkResult::Token)
    }

    fn post(&self, _: Side) -> Result<(), Fault> {
        Ok(())
    }

    fn drain(&self, _: Side, _: u16) -> Result<(), Fault> {
        Ok(())
    }

    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault> {
        Ok(SemaphoreValues::new())
    }

    fn fence(&self) {}

    fn membarrier(&self) -> bool {
        self.barriers.set(self.barriers.get() + 1);
        !self.refuses
    }

    fn has_seat(&self) -> bool {
        true
    }

    fn settle(&self) {
        self.settled.set(self.settled.get() + 1);
    }

    fn pause(&self, time: Duration) {
        self.rested.set(self.rested.get() + time);
    }

    fn is_forked(&self) -> bool {
        false
    }
}

fn policy() -> WaitPolicy {
    WaitPolicy { alone: false, ..WaitPolicy::new(Wait::Balanced) }
}

/// If a wake-up takes longer than the longest spin, the wait itself was still short.
#[test]
fn the_way_back_is_no_part_of_a_wait() {
    let header = Header::new();
    let bed = Bed::new(&header, Some((5_000, 200_000)));
    let mut policy = policy();
    let mut tried = 0;
    for _ in 0..200 {
        tried += u32::from(policy.estimate.budget() != 0);
        bed.slept.set(false);
        let poll = |_| Ok::<bool, Fault>(bed.slept.get());
        assert!(wait(bed.site(), &mut policy, None, poll).is_ok());
    }
    // Suspended after some waits, tried again because a spin would have met them, and then less and
    // less often.
    assert!((9..30).contains(&tried), "spun {tried} times");
}

/// A receiver that polls occasionally for messages that do not arrive spins without success like
/// any other.
#[test]
fn a_wait_that_times_out_was_unsuccessful() {
    let header = Header::new();
    let bed = Bed::new(&header, None);
    let mut policy = policy();
    let mut spun = |time, waits: u32| {
        let mut spins = |_| {
            let spins = policy.estimate.budget() != 0;
            let deadline = Deadline::after(time);
            let poll = |_| Ok::<bool, Fault>(false);
            let waited = wait(bed.site(), &mut policy, deadline, poll);
            assert!(matches!(waited, Err(WaitError::TimedOut)));
            spins
        };
        (0..waits).filter(|&n| spins(n)).count()
    };
    assert!((1..9).contains(&spun(Duration::from_millis(1), 50)));
}

/// A blocking wait that ends by its slice is a fault if there is work for which no waker posted.
#[test]
fn an_overslept_wait_is_counted() {
    let header = Header::new();
    let bed = Bed::new(&header, None);
    let overslept = || header.receivers.overslept.load(plain::Ordering::Relaxed);
    // Available from the first blocking wait on, for others and for this waiter.
    let poll = |how| Ok::<bool, Fault>(how != Poll::BeforePark && bed.slept.get());
    assert!(wait(bed.site(), &mut policy(), None, poll).is_ok());
    assert_eq!(overslept(), 1);
    // It was not worth a wake-up.
    bed.slept.set(false);
    let poll = |how| Ok::<bool, Fault>(how == Poll::Exact && bed.slept.get());
    assert!(wait(bed.site(), &mut policy(), None, poll).is_ok());
    // Its own deadline had passed before.
    bed.slept.set(false);
    let poll = |how| Ok::<bool, Fault>(how != Poll::BeforePark && bed.slept.get());
    let deadline = Deadline::after(Duration::from_millis(20));
    assert!(wait(bed.site(), &mut policy(), deadline, poll).is_ok());
    assert_eq!(overslept(), 1);
    assert!(!header.receivers.has_waiter());
}

/// A thread that finds the message after it was preempted did not meet it by spinning.
#[test]
fn a_preempted_wait_was_unsuccessful() {
    let header = Header::new();
    let bed = Bed::new(&header, None);
    let mut policy = policy();
    for _ in 0..20 {
        let poll = |_| {
            pass(250_000);
            Ok::<bool, Fault>(true)
        };
        assert!(wait(bed.site(), &mut policy, None, poll).is_ok());
    }
    assert_eq!(policy.estimate.budget(), 0, "it still spins");
}

/// A waiter that is woken for messages that others take rests longer and longer, up to a limit.
#[test]
fn a_futile_wake_up_is_followed_by_a_rest() {
    let header = Header::new();
    let bed = Bed::new(&header, Some((0, 0)));
    let rested_for = |wakes| {
        let left = Cell::new(wakes);
        bed.rested.set(Duration::ZERO);
        let poll = |how| {
            let woken = how == Poll::Quick && bed.slept.replace(false);
            left.set(left.get() - i32::from(woken));
            Ok::<bool, Fault>(left.get() == 0)
        };
        assert!(wait(bed.site(), &mut WaitPolicy::new(Wait::Park), None, poll).is_ok());
        bed.rested.get().as_micros()
    };
    assert_eq!(
        [1, 2, 3, 4, 5, 8, 9, 10, 11].map(rested_for),
        [0, 0, 50, 150, 350, 3150, 6350, 9550, 12750]
    );
}

/// A receiver that parks for each message asks its sender once for fences; a stream ends that.
#[test]
fn one_barrier_serves_until_a_stream() {
    let header = Header::new();
    let bed = Bed::new(&header, Some((0, 0)));
    for position in 0..100 {
        bed.sleep();
        bed.request.withdraw_in_stream(position, bed.parking);
    }
    bed.request.withdraw_in_stream(99 + 63, bed.parking);
    assert_ne!(header.receivers.flags(), 0, "withdrawn early");
    assert_eq!(bed.barriers.get(), 1);
    bed.request.withdraw_in_stream(99 + 64, bed.parking);
    assert_eq!(header.receivers.flags(), 0, "not withdrawn");
    bed.sleep();
    assert_eq!((bed.barriers.get(), bed.settled.get()), (2, 0));
}

/// An earlier holder of the seat, which does not know that it lost it, is in a stream.
#[test]
fn a_request_that_others_withdrew_is_made_again() {
    let header = Header::new();
    let bed = Bed::new(&header, Some((0, 0)));
    bed.sleep();
    header.receivers.withdraw_fences();
    bed.sleep();
    assert_eq!(bed.barriers.get(), 2);
    bed.sleep();
    assert_eq!(bed.barriers.get(), 2);
}

#[test]
fn a_refused_barrier_is_requested_once() {
    let header = Header::new();
    let bed = Bed { refuses: true, ..Bed::new(&header, Some((0, 0))) };
    for position in [0, 1_000, 1_000_000] {
        bed.sleep();
        bed.request.withdraw_in_stream(position, bed.parking);
    }
    assert_ne!(header.receivers.flags(), 0, "withdrawn");
    assert_eq!((bed.barriers.get(), bed.settled.get()), (1, 1));
}

/// Other processes can write any position into the segment.
#[test]
fn no_position_withdraws_at_once() {
    for position in (0..200).map(|below| u64::MAX - below) {
        let header = Header::new();
        let bed = Bed::new(&header, Some((0, 0)));
        bed.sleep();
        bed.request.withdraw_in_stream(position, bed.parking);
        assert_ne!(header.receivers.flags(), 0);
        bed.sleep();
        assert_eq!(bed.barriers.get(), 1);
    }
}

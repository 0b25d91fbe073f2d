//! Where the models' sleepers sleep: what the semaphore set is to the shipped code.

use std::time::Duration;

use crate::error::Fault;
use crate::liveness::{Lives, Seat};
use crate::ring::testing::SEATS;
use crate::role::Side;
use crate::sync::crash_point;
use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, Slept};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex};

/// How the store-load order between a waker and a sleeper is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By the sleeper alone, for both. loom knows nothing like it: in the model both fence.
    Membarrier,
    /// By fences, required from the start; the waker's light fence is none.
    Fences,
    /// By fences, required by the first sleeper, whose barrier is refused.
    Refused,
    /// By the first sleeper alone; then its barrier is refused, and fences are required.
    RefusedLater,
}

/// What the kernel and the members' table know of a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sitting {
    /// Nobody came, or the last one left.
    #[default]
    Empty,
    Taken(Side),
    /// Its holder died, as the how-manieth.
    Dead(u64),
}

/// The wake semaphores' tokens and the seats.
#[derive(Debug, Default)]
struct State {
    tokens: [u32; 2],
    /// Sleeps that a signal ends at once, or the end of a slice.
    disturbed: [u32; 2],
    seats: [Sitting; SEATS],
    deaths: u64,
}

/// The model's set.
#[derive(Debug)]
pub(super) struct Parker {
    order: Order,
    state: Mutex<State>,
    changed: [Condvar; 2],
    /// Times that PARKED was set, each of which comes with a barrier, and posts of wakers.
    parked: AtomicU64,
    posted: AtomicU64,
    /// Barriers that were asked for.
    barriers: AtomicU64,
}

impl Parker {
    pub(super) fn new(order: Order) -> Parker {
        #[cfg(not(loom))]
        assert!(crate::sysv::process::register_membarrier() || order == Order::Fences);
        let changed = [Condvar::new(), Condvar::new()];
        let [parked, posted, barriers] = [0; 3].map(AtomicU64::new);
        Parker { order, state: Mutex::new(State::default()), changed, parked, posted, barriers }
    }

    /// PARKED is worth one post at most. To be asked when all is over.
    pub(super) fn check_posts(&self) {
        if self.order == Order::Membarrier {
            let (parked, posted) = (self.parked.load(Relaxed), self.posted.load(Relaxed));
            assert!(posted <= parked, "PARKED was set {parked} times, {posted} posts");
        }
    }

    /// The waker's half: see `wait/mod.rs`.
    pub(super) fn waker_fence(&self) {
        if self.order != Order::Fences {
            wait::waker_fence();
        }
    }

    /// What the kernel does when the process of this side of a one-to-one channel ends: the seat is
    /// empty and the other side woken, in one step.
    pub(super) fn bury(&self, side: Side) {
        self.end(Seat::of(side).number, true, &[side.other()]);
    }

    /// The same of a member of many. Both sides are woken; nothing, if it sat nowhere yet.
    pub(super) fn bury_member(&self, seat: u8) {
        if self.is_taken(seat) {
            self.end(seat, true, &[Side::Senders, Side::Receivers]);
        }
    }

    /// A member of many gives its seat back.
    pub(super) fn leave(&self, seat: u8) {
        crash_point::step();
        self.end(seat, false, &[Side::Senders, Side::Receivers]);
    }

    /// The next sleep of this side ends at once, whatever was posted.
    pub(super) fn disturb(&self, side: Side) {
        self.state.lock().unwrap().disturbed[side as usize] += 1;
    }

    /// Takes away what was posted before a model begins: hints, which would only make it larger.
    pub(super) fn forget_posts(&self) {
        self.state.lock().unwrap().tokens = [0; 2];
    }

    fn end(&self, seat: u8, dies: bool, semaphores_to_notify: &[Side]) {
        let mut state = self.state.lock().unwrap();
        state.deaths += u64::from(dies);
        let sitting = if dies { Sitting::Dead(state.deaths) } else { Sitting::Empty };
        state.seats[usize::from(seat)] = sitting;
        for &side in semaphores_to_notify {
            state.tokens[side as usize] += 1;
            self.changed[side as usize].notify_one();
        }
    }

    /// Takes a seat; whether its last holder died in it.
    pub(super) fn sit(&self, seat: Seat) -> bool {
        crash_point::step();
        let mut state = self.state.lock().unwrap();
        let sitting = &mut state.seats[usize::from(seat.number)];
        assert!(!matches!(sitting, Sitting::Taken(_)), "somebody sits there");
        let last = std::mem::replace(sitting, Sitting::Taken(seat.side));
        matches!(last, Sitting::Dead(_))
    }

    pub(super) fn is_dead(&self, side: Side) -> bool {
        crash_point::step();
        let state = self.state.lock().unwrap();
        matches!(state.seats[usize::from(Seat::of(side).number)], Sitting::Dead(_))
    }

    /// Whether somebody alive has this seat.
    pub(super) fn is_taken(&self, seat: u8) -> bool {
        crash_point::step();
        let state = self.state.lock().unwrap();
        matches!(state.seats[usize::from(seat)], Sitting::Taken(_))
    }

    /// Whether somebody alive is on this side.
    pub(super) fn is_there(&self, side: Side) -> bool {
        crash_point::step();
        self.state.lock().unwrap().seats.contains(&Sitting::Taken(side))
    }

    /// For each seat in which somebody died and that nobody took since, the number of the death; 0
    /// for the others.
    pub(super) fn dead(&self) -> [u64; SEATS] {
        crash_point::step();
        let state = self.state.lock().unwrap();
        state.seats.map(|sitting| if let Sitting::Dead(number) = sitting { number } else { 0 })
    }
}

impl wait::Parker for Parker {
    fn sleep(&self, side: Side, at_most: Duration) -> Result<Slept, Fault> {
        crash_point::step();
        let (mut state, side) = (self.state.lock().unwrap(), side as usize);
        if state.disturbed[side] > 0 {
            state.disturbed[side] -= 1;
            return Ok(Slept::Interrupted);
        }
        // Under loom there is no time, and who is never woken is a deadlock.
        #[cfg(loom)]
        while state.tokens[side] == 0 {
            state = self.changed[side].wait(state).unwrap();
        }
        #[cfg(not(loom))]
        {
            let (time, empty) =
                (Duration::from_secs(20), |state: &mut State| state.tokens[side] == 0);
            let (woken, slept) = self.changed[side].wait_timeout_while(state, time, empty).unwrap();
            assert!(!slept.timed_out(), "nobody woke a sleeper");
            state = woken;
        }
        let _ = at_most;
        state.tokens[side] -= 1;
        Ok(Slept::Token)
    }

    fn post(&self, side: Side) -> Result<(), Fault> {
        crash_point::step();
        self.posted.fetch_add(1, Relaxed);
        self.state.lock().unwrap().tokens[side as usize] += 1;
        self.changed[side as usize].notify_one();
        Ok(())
    }

    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault> {
        crash_point::step();
        let there = &mut self.state.lock().unwrap().tokens[side as usize];
        *there -= if *there >= tokens.into() { tokens.into() } else { 0 };
        Ok(())
    }

    fn lives(&self) -> Result<Lives, Fault> {
        crash_point::step();
        let (state, mut lives) = (self.state.lock().unwrap(), Lives::new());
        for (number, sitting) in (0..).zip(state.seats) {
            if let Sitting::Taken(side) = sitting {
                lives.seat(Seat { number, side });
            }
        }
        for side in [Side::Senders, Side::Receivers] {
            lives.set_tokens(side, state.tokens[side as usize] as u16);
        }
        Ok(lives)
    }

    /// Threads pass theirs when they are switched; under loom every fence is a real one.
    fn settle(&self) {
        #[cfg(not(loom))]
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Any order of steps is one that a rest makes.
    fn rest(&self, _: Duration) {}

    fn is_forked(&self) -> bool {
        false
    }

    fn barrier(&self) -> bool {
        self.parked.fetch_add(1, Relaxed);
        let granted = match self.order {
            Order::Membarrier => true,
            Order::RefusedLater => self.barriers.fetch_add(1, Relaxed) == 0,
            Order::Fences | Order::Refused => false,
        };
        if !granted {
            return false;
        }
        #[cfg(loom)]
        crate::sync::fence(crate::sync::Ordering::SeqCst);
        #[cfg(not(loom))]
        assert!(crate::sysv::process::membarrier());
        true
    }
}

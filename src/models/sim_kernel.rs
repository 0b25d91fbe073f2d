//! The simulated kernel: the place where the models' waiters block, in the role that the semaphore
//! set has for the shipped code.

use std::time::Duration;

use crate::error::Fault;
use crate::liveness::{Seat, SemaphoreValues};
use crate::ring::testing::SEATS;
use crate::role::Side;
use crate::sync::crash_point;
use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, ParkResult};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex};

/// When the sender of an SPSC channel executes fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fences {
    /// When the receiver asks for them, which then calls `membarrier`. Loom has no equivalent: in
    /// the model the sender fences from the start.
    OnRequest,
    /// The same, but the receiver's call is refused.
    Refused,
    /// Because the receiver asked for them before the model starts, or the sender of a broadcast
    /// channel promised them: the compiler fence of the fast path does nothing, as long as that is so.
    Asked,
}

/// What the kernel and the members' table record about a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SeatState {
    /// No member joined, or the last one left.
    #[default]
    Empty,
    Taken(Side),
    /// Its holder died; the number counts the deaths.
    Dead(u64),
}

/// What a member's process can wait for besides the wake semaphores: the queue of its doorbell, and
/// a pidfd for each process that it knows.
#[derive(Clone, Copy, Debug, Default)]
struct Descriptors {
    /// Whether the member's record names the queue of its process.
    is_open: bool,
    /// Whether the queue holds the member's key: a process has one member here.
    holds_key: bool,
    /// The seats whose holders it knows, one bit for each.
    known: u8,
    /// Those of them whose process has ended.
    ended: u8,
}

impl Descriptors {
    fn is_readable(self) -> bool {
        self.holds_key || self.ended != 0
    }
}

/// What the descriptors of a process showed.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) has_key: bool,
    /// The seats whose holders' processes have ended.
    pub(super) ended: Vec<u8>,
}

/// How a member gives its seat back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Death,
    Departure,
    Finish,
}

/// The wake semaphores' tokens and the seats.
#[derive(Debug, Default)]
struct State {
    tokens: [u32; 2],
    interrupts: [u16; 2],
    /// The number of blocking waits that end at once, by a signal or by the end of a slice.
    disturbed: [u32; 2],
    seats: [SeatState; SEATS],
    deaths: u64,
    /// The semaphores of the same names: see `liveness/stream.rs`.
    finished: bool,
    died: u16,
    descriptors: [Descriptors; SEATS],
}

impl State {
    fn is_there(&self, side: Side) -> bool {
        self.seats.contains(&SeatState::Taken(side))
    }
}

/// The model's set.
#[derive(Debug)]
pub(super) struct SimKernel {
    pub(super) fences: Fences,
    /// Whether the receivers are those of a broadcast channel: a change of their interrupt semaphore
    /// wakes all of them.
    wakes_receivers: bool,
    state: Mutex<State>,
    changed: [Condvar; 2],
    /// A descriptor of the member in this seat became readable.
    readable: [Condvar; SEATS],
    /// How often PARKED was set, each time with a barrier, and the number of posts of wakers.
    parked: AtomicU64,
    posted: AtomicU64,
}

impl SimKernel {
    pub(super) fn new(fences: Fences) -> SimKernel {
        #[cfg(not(loom))]
        assert!(crate::sysv::process::register_membarrier(), "the models need it");
        let changed = [Condvar::new(), Condvar::new()];
        let [parked, posted] = [0; 2].map(AtomicU64::new);
        let state = Mutex::new(State::default());
        let readable = std::array::from_fn(|_| Condvar::new());
        let wakes_receivers = false;
        SimKernel { fences, wakes_receivers, state, changed, readable, parked, posted }
    }

    /// Returns that of a broadcast channel.
    pub(super) fn of_broadcast(fences: Fences) -> SimKernel {
        SimKernel { wakes_receivers: true, ..SimKernel::new(fences) }
    }

    /// Adds a token, or wakes all receivers of a broadcast channel.
    fn wake(&self, state: &mut State, side: Side) {
        let (n, is_for_all) = (side as usize, self.wakes_receivers && side == Side::Receivers);
        if is_for_all {
            state.interrupts[n] += 1;
            self.changed[n].notify_all();
        } else {
            state.tokens[n] += 1;
            self.changed[n].notify_one();
        }
    }

    /// Checks that each time PARKED was set caused at most one post. Call it at the end of a model.
    pub(super) fn check_posts(&self) {
        let (parked, posted) = (self.parked.load(Relaxed), self.posted.load(Relaxed));
        assert!(posted <= parked, "PARKED was set {parked} times, {posted} posts");
    }

    /// The waker's half of the barrier, which `wait/mod.rs` describes.
    pub(super) fn waker_fence(&self) {
        if self.fences != Fences::Asked {
            wait::waker_fence();
        }
    }

    /// Does what the kernel does when the process of this side of an SPSC channel ends: it empties
    /// the seat and posts two tokens to each side, in one step.
    pub(super) fn side_died(&self, side: Side) {
        self.end(Seat::of(side).number, Ending::Death, &[side.other(), side.other(), side, side]);
    }

    /// Does the same when a member of an SPSC channel leaves.
    pub(super) fn side_left(&self, side: Side) {
        crash_point::step();
        self.end(
            Seat::of(side).number,
            Ending::Departure,
            &[side.other(), side.other(), side, side],
        );
    }

    /// The same for a member of an MPMC or broadcast channel: it wakes both sides; it does nothing if the member had no seat
    /// yet.
    pub(super) fn member_died(&self, seat: u8) {
        if self.is_taken(seat) {
            self.end(seat, Ending::Death, &[Side::Senders, Side::Receivers]);
        }
    }

    /// Gives back the seat of a member of an MPMC or broadcast channel.
    pub(super) fn leave(&self, seat: u8) {
        crash_point::step();
        self.end(seat, Ending::Departure, &[Side::Senders, Side::Receivers]);
    }

    /// Gives back the seat of an MPMC sender that has finished.
    pub(super) fn finish(&self, seat: u8) {
        crash_point::step();
        self.end(seat, Ending::Finish, &[Side::Senders, Side::Receivers]);
    }

    /// Returns whether the stream has ended.
    pub(super) fn has_ended(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.finished && state.died == 0 && !state.is_there(Side::Senders)
    }

    /// Makes the next blocking wait of this side end at once, whatever was posted.
    pub(super) fn disturb(&self, side: Side) {
        self.state.lock().unwrap().disturbed[side as usize] += 1;
    }

    /// Ends the blocking waits of this side that saw another value than there is now.
    pub(super) fn interrupt(&self, side: Side) {
        let side = side as usize;
        self.state.lock().unwrap().interrupts[side] += 1;
        self.changed[side].notify_all();
    }

    /// Removes the tokens that were posted before a model begins: hints that would only enlarge it.
    pub(super) fn forget_posts(&self) {
        self.state.lock().unwrap().tokens = [0; 2];
    }

    fn end(&self, seat: u8, how: Ending, semaphores_to_notify: &[Side]) {
        let mut state = self.state.lock().unwrap();
        let dies = how == Ending::Death;
        state.deaths += u64::from(dies);
        let seat_state = if dies { SeatState::Dead(state.deaths) } else { SeatState::Empty };
        let last = std::mem::replace(&mut state.seats[usize::from(seat)], seat_state);
        state.died += u16::from(dies && last == SeatState::Taken(Side::Senders));
        state.finished |= how == Ending::Finish;
        // The seat is given back before a pidfd shows it. A process that lives on shows nothing.
        for (seen_by, descriptors) in state.descriptors.iter_mut().enumerate() {
            let knows = descriptors.known & 1 << seat;
            descriptors.known &= !knows;
            if dies && knows != 0 {
                descriptors.ended |= knows;
                self.readable[seen_by].notify_one();
            }
        }
        for &side in semaphores_to_notify {
            self.wake(&mut state, side);
        }
    }

    /// Takes a seat; returns whether its last holder died in it.
    pub(super) fn take_seat(&self, seat: Seat) -> bool {
        crash_point::step();
        let mut state = self.state.lock().unwrap();
        if seat.side == Side::Senders {
            let opens_next = state.died == 0 && !state.is_there(Side::Senders);
            state.finished &= !opens_next;
            state.died = state.died.saturating_sub(1);
        }
        let seat_state = &mut state.seats[usize::from(seat.number)];
        assert!(!matches!(seat_state, SeatState::Taken(_)), "somebody sits there");
        let last = std::mem::replace(seat_state, SeatState::Taken(seat.side));
        matches!(last, SeatState::Dead(_))
    }

    /// Puts the member's key into the queue of the doorbell in this seat. Returns whether there is
    /// one.
    pub(super) fn send_key(&self, seat: u8) -> bool {
        crash_point::step();
        let descriptors = &mut self.state.lock().unwrap().descriptors[usize::from(seat)];
        descriptors.holds_key |= descriptors.is_open;
        self.readable[usize::from(seat)].notify_one();
        descriptors.is_open
    }

    /// Makes the queue of the next member in this seat.
    pub(super) fn open_queue(&self, seat: u8) {
        let descriptors = &mut self.state.lock().unwrap().descriptors[usize::from(seat)];
        *descriptors = Descriptors { is_open: true, ..Descriptors::default() };
    }

    /// Makes the member's record name no queue any more.
    pub(super) fn close_queue(&self, seat: u8) {
        crash_point::step();
        self.state.lock().unwrap().descriptors[usize::from(seat)].is_open = false;
    }

    /// Opens a pidfd of the member in each other seat. Returns the seats that have none.
    pub(super) fn meet(&self, seat: u8) -> Vec<u8> {
        crash_point::step();
        let mut state = self.state.lock().unwrap();
        let seats = state.seats;
        let others = (0..SEATS as u8).filter(|&other| other != seat);
        let is_taken = |other: &u8| matches!(seats[usize::from(*other)], SeatState::Taken(_));
        let (taken, free): (Vec<u8>, Vec<u8>) = others.partition(is_taken);
        state.descriptors[usize::from(seat)].known = taken.iter().fold(0, |all, n| all | 1 << n);
        free
    }

    /// Waits until a descriptor of the member in this seat is readable, and takes what they show.
    pub(super) fn wait_for_descriptors(&self, seat: u8) -> Shown {
        crash_point::step();
        let mut state = self.state.lock().unwrap();
        let seat = usize::from(seat);
        #[cfg(loom)]
        while !state.descriptors[seat].is_readable() {
            state = self.readable[seat].wait(state).unwrap();
        }
        #[cfg(not(loom))]
        {
            let time = Duration::from_secs(20);
            let idle = |state: &mut State| !state.descriptors[seat].is_readable();
            let (woken, slept) = self.readable[seat].wait_timeout_while(state, time, idle).unwrap();
            assert!(!slept.timed_out(), "nobody rang a doorbell");
            state = woken;
        }
        let descriptors = &mut state.descriptors[seat];
        let has_key = std::mem::take(&mut descriptors.holds_key);
        let ended = std::mem::take(&mut descriptors.ended);
        Shown { has_key, ended: (0..SEATS as u8).filter(|n| ended & 1 << n != 0).collect() }
    }

    /// Returns whether a descriptor of the member in this seat is readable.
    pub(super) fn is_readable(&self, seat: u8) -> bool {
        self.state.lock().unwrap().descriptors[usize::from(seat)].is_readable()
    }

    pub(super) fn is_dead(&self, side: Side) -> bool {
        crash_point::step();
        let state = self.state.lock().unwrap();
        matches!(state.seats[usize::from(Seat::of(side).number)], SeatState::Dead(_))
    }

    /// Returns whether a living member has this seat.
    pub(super) fn is_taken(&self, seat: u8) -> bool {
        crash_point::step();
        let state = self.state.lock().unwrap();
        matches!(state.seats[usize::from(seat)], SeatState::Taken(_))
    }

    /// Returns whether this side has a living member.
    pub(super) fn is_there(&self, side: Side) -> bool {
        crash_point::step();
        self.state.lock().unwrap().is_there(side)
    }

    /// Returns, for each seat whose holder died and that no member took since, the number of the
    /// death; 0 for the others.
    pub(super) fn dead(&self) -> [u64; SEATS] {
        crash_point::step();
        let state = self.state.lock().unwrap();
        state
            .seats
            .map(|seat_state| if let SeatState::Dead(number) = seat_state { number } else { 0 })
    }
}

impl wait::Parker for SimKernel {
    fn park(&self, side: Side, at_most: Duration, seen: Option<u16>) -> Result<ParkResult, Fault> {
        crash_point::step();
        let wakes_all = self.wakes_receivers && side == Side::Receivers;
        let (mut state, side) = (self.state.lock().unwrap(), side as usize);
        if state.disturbed[side] > 0 {
            state.disturbed[side] -= 1;
            return Ok(ParkResult::Interrupted);
        }
        // Under loom there is no time, and a waiter that is never woken is a deadlock.
        let is_interrupted =
            |state: &State| seen.is_some_and(|seen| state.interrupts[side] != seen);
        #[cfg(loom)]
        while state.tokens[side] == 0 && !is_interrupted(&state) {
            state = self.changed[side].wait(state).unwrap();
        }
        #[cfg(not(loom))]
        {
            let time = Duration::from_secs(20);
            let empty = |state: &mut State| state.tokens[side] == 0 && !is_interrupted(state);
            let (woken, slept) = self.changed[side].wait_timeout_while(state, time, empty).unwrap();
            assert!(!slept.timed_out(), "nobody woke a parked waiter");
            state = woken;
        }
        let _ = at_most;
        if is_interrupted(&state) {
            // As the endpoint does.
            return Ok(if wakes_all { ParkResult::Token } else { ParkResult::Interrupted });
        }
        state.tokens[side] -= 1;
        Ok(ParkResult::Token)
    }

    fn post(&self, side: Side) -> Result<(), Fault> {
        crash_point::step();
        self.posted.fetch_add(1, Relaxed);
        self.wake(&mut self.state.lock().unwrap(), side);
        Ok(())
    }

    fn interrupts(&self, side: Side) -> Result<u16, Fault> {
        crash_point::step();
        Ok(self.state.lock().unwrap().interrupts[side as usize])
    }

    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault> {
        crash_point::step();
        let there = &mut self.state.lock().unwrap().tokens[side as usize];
        *there -= if *there >= tokens.into() { tokens.into() } else { 0 };
        Ok(())
    }

    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault> {
        crash_point::step();
        let (state, mut alive) = (self.state.lock().unwrap(), SemaphoreValues::new());
        for (number, seat_state) in (0..).zip(state.seats) {
            if let SeatState::Taken(side) = seat_state {
                alive.seat(Seat { number, side });
            }
        }
        for side in [Side::Senders, Side::Receivers] {
            alive.set_tokens(side, state.tokens[side as usize] as u16);
        }
        alive.set_stream(state.finished, state.died);
        Ok(alive)
    }

    /// Threads pass a barrier when they are switched; under loom every fence is a real one.
    fn settle(&self) {
        #[cfg(not(loom))]
        std::thread::sleep(Duration::from_millis(1));
    }

    /// A rest permits any order of steps.
    fn pause(&self, _: Duration) {}

    fn is_forked(&self) -> bool {
        false
    }

    /// Called each time that PARKED was set.
    fn fence(&self) {
        self.parked.fetch_add(1, Relaxed);
        crate::sync::fence(crate::sync::Ordering::SeqCst);
    }

    fn membarrier(&self) -> bool {
        self.fences != Fences::Refused && (cfg!(loom) || crate::sysv::process::membarrier())
    }

    fn has_seat(&self) -> bool {
        true
    }
}

//! A member of a channel that does without the crate, and so can leave out parts of the protocol.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use sysvring_support::raw_ipc::{
    FIRST_SEAT, RECEIVER_TOKEN, SENDER_TOKEN, Segment, USERS, at, op, segment_of, semop, set_of,
};

use crate::steps::handle::{Flavor, Side};
use crate::steps::messages::{CAPACITY, Message, message};
use crate::steps::operations::{Handle, Victim};
use crate::steps::scenario::Scenario;
use crate::steps::slots::{self, Phase};

/// The bit of a parking word that is set if the side has a parked waiter.
const PARKED: u32 = 1;

/// A channel that is used without the crate.
pub struct Raw {
    pub memory: Segment,
    set: i32,
    flavor: Flavor,
}

/// Whether a sender writes a message before it publishes its slot, or afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    WriteFirst,
    PublishFirst,
}

impl Raw {
    pub fn attach(scenario: &Scenario) -> Raw {
        let segment = segment_of(scenario.key).expect("a segment");
        Raw {
            memory: Segment::attach(segment).expect("shmat"),
            set: set_of(scenario.key).expect("a set"),
            flavor: scenario.flavor,
        }
    }

    /// Takes a seat.
    fn join(&self, side: Side, seat: usize) {
        let token = if side == Side::Sender { SENDER_TOKEN } else { RECEIVER_TOKEN };
        let counts = [(USERS, 1), (side.count(), 1), (FIRST_SEAT + seat, token)];
        semop(self.set, &mut counts.map(|(n, by)| op(n, by, true)));
        if self.flavor == Flavor::Mpmc {
            let line = at::MEMBERS + at::MEMBER * seat;
            self.memory.u32(line + at::ROLE).store(1 + side as u32, Release);
            self.memory.u32(line + at::JOINED).store(1, Release);
            self.memory.u32(line + at::STATE).store(1, Release);
        }
        let parking = if side == Side::Sender { at::SENDERS } else { at::RECEIVERS };
        self.memory.u32(parking + at::JOINS).fetch_add(1, AcqRel);
    }

    fn publish(&self, position: u64) {
        let full = slots::state(position, Phase::Full, 0, 0);
        match self.flavor {
            Flavor::Spsc => self.memory.u64(slots::slot(position)).store(full, Release),
            Flavor::Mpmc => _ = slots::swap(&self.memory, position, claimed(position), full),
        }
    }

    pub fn put(&self, position: u64, message: &Message, order: Order) {
        if self.flavor == Flavor::Mpmc {
            let free = slots::state(position, Phase::Free, 0, 0);
            slots::swap(&self.memory, position, free, claimed(position));
        }
        if order == Order::PublishFirst {
            self.publish(position);
        }
        slots::write(&self.memory, position, message);
        if order == Order::WriteFirst {
            self.publish(position);
        }
        if self.flavor == Flavor::Spsc {
            self.memory.u64(at::TAIL).store(position.wrapping_add(1), Release);
        }
        self.wake();
    }

    fn wake(&self) {
        let parked = self.memory.u32(at::RECEIVERS);
        if parked.load(Relaxed) & PARKED != 0 && parked.fetch_and(!PARKED, AcqRel) & PARKED != 0 {
            semop(self.set, &mut [op(Side::Receiver.wake(), 1, false)]);
        }
    }
}

/// The seat of an MPMC sender without the crate, behind its peer, and of a receiver.
const SECOND: usize = 1;
const FIRST: usize = 0;

fn claimed(position: u64) -> u64 {
    slots::state(position, Phase::Claimed, 0, SECOND as u64)
}

/// Takes a seat and notifies the receiver. Nobody is notified of its death.
pub fn sender_without_post(scenario: &Scenario) -> Handle {
    let raw = Raw::attach(scenario);
    raw.join(Side::Sender, if scenario.flavor == Flavor::Mpmc { SECOND } else { FIRST });
    raw.wake();
    Handle::Raw(raw)
}

/// A receiver that has the only message in flight. The senders would be notified of its death.
pub fn receiver_without_own_post(scenario: &Scenario) -> Handle {
    let raw = Raw::attach(scenario);
    raw.join(Side::Receiver, FIRST);
    let senders = Side::Sender.wake();
    semop(raw.set, &mut [op(senders, 1, false), op(senders, -1, true)]);
    let base = scenario.state.base;
    let full = slots::state(base, Phase::Full, 0, 0);
    assert!(slots::swap(&raw.memory, base, full, reading(base)), "a message");
    Handle::Raw(raw)
}

fn reading(position: u64) -> u64 {
    slots::state(position, Phase::Reading, 1, FIRST as u64)
}

pub fn acknowledge(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::Raw(raw) = &victim.handle else { panic!("the victim is not raw") };
    let (base, report) = (scenario.state.base, scenario.of_victim());
    let got = std::hint::black_box(slots::read(&raw.memory, base));
    report.held.begin(1);
    report.taken.begin(1);
    let free = slots::state(base.wrapping_add(CAPACITY), Phase::Free, 0, 0);
    slots::swap(&raw.memory, base, reading(base), free);
    report.received(None, &got);
    report.taken.end(1, 1);
    report.held.end(1, 1);
    Ok(())
}

/// Sends one message and reports it.
pub fn send(scenario: &Scenario, victim: &mut Victim, order: Order) -> Result<(), String> {
    let Handle::Raw(raw) = &victim.handle else { panic!("the victim is not raw") };
    let report = scenario.of_victim();
    let position = scenario.state.base.wrapping_add(scenario.state.fill);
    let next = match scenario.flavor {
        Flavor::Spsc => message(position),
        Flavor::Mpmc => message(report.first),
    };
    report.sending(|| {
        raw.put(position, &next, order);
        Ok(())
    })
}

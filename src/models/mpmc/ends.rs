//! The ends of a model's MPMC channel: the shipped ring and the shipped handle loop, without type
//! and statistics.

use std::sync::Arc;

use crate::error::{RecvError, SendError};
use crate::liveness::Seat;
use crate::models::harness::Fixture;
use crate::models::member::{Interrupter, Member, Until};
use crate::protocol::mpmc::{Receiving, Sending};
use crate::protocol::returned;
use crate::protocol::{Membership, RecvPort, SendPort};
use crate::ring::mpmc::{Claim, Consumer, Held, Producer, Snapshot};
use crate::ring::testing::{read, write};
use crate::role::Side;
use crate::wait::blocking::Blocking;

/// Returns a message that holds its sender and its number among that sender's messages.
pub(super) fn message(sender: u8, number: u64) -> u64 {
    u64::from(sender) << 32 | number
}

/// Returns the sender of a message, and its number.
pub(super) fn sender_of(message: u64) -> (u8, u64) {
    ((message >> 32) as u8, message & 0xffff_ffff)
}

/// A sending end.
#[derive(Debug)]
pub(super) struct Sender {
    sending: Sending,
    /// The sender number in its messages: its seat, or the number of a thread.
    name: u8,
    /// Declared last: the ring refers to its fixture.
    member: Member,
}

impl Sender {
    pub(super) fn join(fixture: &Arc<Fixture>, seat: u8, until: Until) -> Sender {
        let member = Member::join(fixture, Seat { number: seat, side: Side::Senders }, until);
        let sending = Sending::new(Producer::new(fixture.ring(), seat));
        Sender { sending, name: seat, member }
    }

    /// Returns a handle for another thread of this member.
    pub(super) fn thread(&self, name: u8) -> Sender {
        let producer = Producer::new(*self.sending.producer.ring(), self.member.seat().number);
        Sender { sending: Sending::new(producer), name, member: self.member.thread() }
    }

    /// Sends its message of this number, blocking while the ring is full. Returns false if all
    /// receivers are gone.
    pub(super) fn send(&mut self, number: u64) -> bool {
        let Some(claim) = self.reserve() else { return false };
        write(self.sending.producer.slot(&claim), message(self.name, number));
        assert!(self.sending.producer.publish(claim), "evicted");
        self.port().notify_if_needed();
        true
    }

    /// Sends its message of this number, waiting for the doorbell while the ring is full. Returns
    /// false if all receivers are gone.
    pub(super) fn send_by_doorbell(&mut self, number: u64) -> bool {
        loop {
            match self.port().reserve(Blocking::Never) {
                Ok(claim) => {
                    write(self.sending.producer.slot(&claim), message(self.name, number));
                    assert!(self.sending.producer.publish(claim), "evicted");
                    self.port().notify_if_needed();
                    return true;
                }
                Err(SendError::Full | SendError::Behind { .. }) => self.member.wait_for_doorbell(),
                Err(SendError::Disconnected) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Loans a slot and abandons the loan.
    pub(super) fn loan_and_abandon(&mut self) {
        let claim = self.reserve().expect("a receiver");
        write(self.sending.producer.slot(&claim), u64::MAX);
        self.abandon(claim);
    }

    /// Abandons a claim: receivers can pass it, and senders can use its slot.
    pub(super) fn abandon(&self, claim: Claim) {
        assert!(self.sending.producer.abandon(claim));
        self.member.wake(Side::Senders).unwrap();
        self.member.wake(Side::Receivers).unwrap();
    }

    /// Claims a slot, blocking until one is free. Returns `None` if all receivers are gone.
    pub(super) fn reserve(&mut self) -> Option<Claim> {
        match self.port().reserve(Blocking::Forever) {
            Ok(claim) => Some(claim),
            Err(SendError::Disconnected) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn leave(self) {
        self.member.leave();
    }

    pub(super) fn finish(self) {
        self.member.finish();
    }

    fn port(&self) -> SendPort<'_, &Sending, Member> {
        SendPort { ring: &self.sending, member: &self.member }
    }
}

/// A receiving end.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Not on the small stacks of loom's threads: it is large.
    receiving: Box<Receiving>,
    /// Declared last: the ring refers to its fixture.
    member: Member,
}

impl Receiver {
    pub(super) fn join(fixture: &Arc<Fixture>, seat: u8, until: Until) -> Receiver {
        let member = Member::join(fixture, Seat { number: seat, side: Side::Receivers }, until);
        Receiver::new(Consumer::new(fixture.ring(), seat), member)
    }

    /// Joins after the senders were gone, or does not know of them.
    pub(super) fn join_late(fixture: &Arc<Fixture>, seat: u8, until: Until) -> Receiver {
        let mut late = Receiver::join(fixture, seat, until);
        late.member.is_late = true;
        late
    }

    /// Where no member dies, there is nothing to search for: every search has been made.
    fn new(consumer: Consumer, member: Member) -> Receiver {
        let mut receiving = Box::new(Receiving::new(consumer));
        if member.until != Until::Dead {
            *receiving.searched.get_mut().unwrap() = Some(Snapshot::of(0, &[]));
        }
        Receiver { receiving, member }
    }

    /// Returns a handle for another thread of this member.
    pub(super) fn thread(&self) -> Receiver {
        let consumer = Consumer::new(*self.receiving.consumer.ring(), self.member.seat().number);
        Receiver::new(consumer, self.member.thread())
    }

    /// Sets the maximum number of deliveries of a message.
    pub(super) fn limit_deliveries(&mut self, limit: u8) {
        self.member.limit = Some(limit);
    }

    /// Returns the positions of the messages that reached that number.
    pub(super) fn given_up(&self) -> Vec<u64> {
        self.member.given_up.lock().unwrap().clone()
    }

    /// Receives, blocking while there is no message. Returns `None` if the ring is drained and all
    /// senders are gone.
    pub(super) fn recv(&mut self) -> Option<u64> {
        self.recv_ref(|_, _| ())
    }

    /// Receives, waiting for the doorbell while there is no message. Returns `None` if the ring is
    /// drained and all senders are gone.
    pub(super) fn recv_by_doorbell(&mut self) -> Option<u64> {
        loop {
            match self.try_next() {
                Ok(held) => {
                    let message = read(self.receiving.consumer.slot(&held));
                    self.acknowledge(&held);
                    return Some(message);
                }
                Err(RecvError::Disconnected) => return None,
                Err(_) => self.member.wait_for_doorbell(),
            }
        }
    }

    /// Takes a message if there is one. Otherwise the doorbell is armed, or the stream has ended.
    pub(super) fn try_next(&mut self) -> Result<Held, RecvError> {
        let next = self.port().next(Blocking::Never);
        match &next {
            Ok(_) | Err(RecvError::Empty | RecvError::Behind { .. } | RecvError::Disconnected) => {
                next
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Does what a process does that waits for nothing but its doorbell: takes messages until the
    /// doorbell is armed and nothing tells it to look. Returns what it received.
    pub(super) fn follow_doorbell(&mut self) -> Vec<u64> {
        let mut received = Vec::new();
        while !self.member.is_idle() {
            if self.member.is_waiting() {
                self.member.wait_for_doorbell();
            }
            match self.try_next() {
                Ok(held) => {
                    received.push(read(self.receiving.consumer.slot(&held)));
                    self.acknowledge(&held);
                }
                Err(RecvError::Disconnected) => break,
                Err(_) => {}
            }
        }
        received
    }

    /// Receives; a call may be interrupted.
    pub(super) fn recv_or_interrupted(&mut self) -> Result<u64, RecvError> {
        let held = self.port().next(Blocking::Forever)?;
        let message = read(self.receiving.consumer.slot(&held));
        self.acknowledge(&held);
        Ok(message)
    }

    pub(super) fn interrupter(&mut self) -> Interrupter {
        self.member.interrupter()
    }

    /// Reads a message in place while `work` runs, then acknowledges it. `work` gets the delivery
    /// count.
    pub(super) fn recv_ref(&mut self, work: impl FnOnce(u64, u8)) -> Option<u64> {
        let held = self.next()?;
        let message = read(self.receiving.consumer.slot(&held));
        work(message, held.deliveries());
        self.acknowledge(&held);
        Some(message)
    }

    /// Receives up to `most` available messages, acknowledged when all are copied.
    pub(super) fn recv_batch(&mut self, most: usize) -> Vec<u64> {
        let Some(first) = self.next() else { return Vec::new() };
        let mut messages = vec![read(self.receiving.consumer.slot(&first))];
        let mut others = Vec::new();
        while messages.len() < most
            && let Some(held) = self.port().another()
        {
            messages.push(read(self.receiving.consumer.slot(&held)));
            others.push(held.position());
        }
        self.acknowledge(&first);
        others
            .into_iter()
            .for_each(|position| self.acknowledge(&self.receiving.consumer.held(position)));
        messages
    }

    /// Takes a message, blocking until there is one.
    pub(super) fn next(&mut self) -> Option<Held> {
        match self.port().next(Blocking::Forever) {
            Ok(held) => Some(held),
            Err(RecvError::Disconnected) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns a message, as a guard does that is dropped.
    pub(super) fn release(&self, held: &Held) {
        assert!(self.receiving.consumer.release(held), "evicted");
        self.member.announce_returned().unwrap();
    }

    /// Searches for a returned message, as the next call does.
    pub(super) fn take_returned(&mut self) -> Option<Held> {
        returned::take(&mut &*self.receiving, &self.member).unwrap()
    }

    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    pub(super) fn leave(self) {
        self.member.leave();
    }

    pub(super) fn acknowledge(&self, held: &Held) {
        self.port().acknowledge(held).expect("evicted");
    }

    fn port(&self) -> RecvPort<'_, &Receiving, Member> {
        RecvPort { ring: &self.receiving, member: &self.member }
    }
}

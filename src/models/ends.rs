//! The ends of a model's SPSC or broadcast channel: the shipped ring and the shipped handle loop, without type,
//! seat and statistics.

use std::sync::Arc;

use super::harness::Fixture;
pub(super) use super::member::Until;
use super::member::{Interrupter, Member};
use crate::error::{RecvError, SendError};
use crate::liveness::Seat;
use crate::protocol::spsc::Sending;
use crate::protocol::{Membership, RecvPort, SendPort};
use crate::ring::broadcast::Start;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::role::Side;
use crate::wait::blocking::Blocking;

/// The sending end. A message is its position.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) sending: Sending,
    /// Declared last: the ring refers to its fixture.
    member: Member,
}

impl Sender {
    pub(super) fn new(fixture: &Arc<Fixture>) -> Sender {
        let member = Member::take_side(fixture, Side::Senders);
        let producer = Producer::new(fixture.ring()).expect("no corruption");
        Sender { sending: Sending::new(producer, true), member }
    }

    /// Joins a broadcast channel.
    pub(super) fn of_broadcast(fixture: &Arc<Fixture>) -> Sender {
        let member = Member::take_seat(fixture, Seat::of(Side::Senders));
        let producer = Producer::new(fixture.ring()).expect("no corruption");
        Sender { sending: Sending::new(producer, true), member }
    }

    /// Sends if there is room. Returns whether there was.
    pub(super) fn try_send(&mut self, until: Until) -> bool {
        self.member.until = until;
        match self.port().reserve(Blocking::Never) {
            Ok(()) => {}
            Err(SendError::Full) => return false,
            Err(error) => panic!("{error}"),
        }
        write(self.sending.producer.slot(), self.sending.producer.position());
        self.sending.producer.publish();
        self.port().notify_if_needed();
        true
    }

    /// Sends, blocking while the ring is full.
    pub(super) fn send(&mut self) {
        assert!(self.send_until(Until::Ever));
    }

    /// Sends; returns whether there was a peer to wait for.
    pub(super) fn send_until(&mut self, until: Until) -> bool {
        self.member.until = until;
        match self.port().reserve(Blocking::Forever) {
            Ok(()) => {}
            Err(SendError::Disconnected) => return false,
            Err(error) => panic!("{error}"),
        }
        write(self.sending.producer.slot(), self.sending.producer.position());
        self.sending.producer.publish();
        self.port().notify_if_needed();
        true
    }

    /// Sends; a call may be interrupted.
    pub(super) fn send_or_interrupted(&mut self) -> Result<(), SendError> {
        self.port().reserve(Blocking::Forever)?;
        write(self.sending.producer.slot(), self.sending.producer.position());
        self.sending.producer.publish();
        self.port().notify_if_needed();
        Ok(())
    }

    /// Sends, waiting for the doorbell while the ring is full. Returns whether there was a peer to
    /// wait for.
    pub(super) fn send_by_doorbell(&mut self, until: Until) -> bool {
        self.member.until = until;
        loop {
            match self.port().reserve(Blocking::Never) {
                Ok(()) => break,
                Err(SendError::Full) => self.member.wait_for_doorbell(),
                Err(SendError::Disconnected) => return false,
                Err(error) => panic!("{error}"),
            }
        }
        write(self.sending.producer.slot(), self.sending.producer.position());
        self.sending.producer.publish();
        self.port().notify_if_needed();
        true
    }

    pub(super) fn interrupter(&mut self) -> Interrupter {
        self.member.interrupter()
    }

    /// Leaves the channel, as the endpoints do.
    pub(super) fn leave(self) {
        self.member.leave();
    }

    fn port(&mut self) -> SendPort<'_, &mut Sending, Member> {
        SendPort { ring: &mut self.sending, member: &self.member }
    }
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) consumer: Consumer,
    /// Declared last: the ring refers to its fixture.
    member: Member,
}

impl Receiver {
    pub(super) fn new(fixture: &Arc<Fixture>) -> Receiver {
        let member = Member::take_side(fixture, Side::Receivers);
        Receiver { consumer: Consumer::new(fixture.ring()), member }
    }

    /// Joins a broadcast channel.
    pub(super) fn join(fixture: &Arc<Fixture>, seat: u8, start: Start) -> Receiver {
        let member = Member::take_seat(fixture, Seat { number: seat, side: Side::Receivers });
        let joined = fixture.ring().join(seat, fixture.stamp(), start, || {});
        let consumer = joined.expect("no corruption");
        member.wake(Side::Senders).unwrap();
        Receiver { consumer, member }
    }

    /// Receives, blocking while the ring is empty.
    pub(super) fn recv(&mut self) -> u64 {
        self.recv_until(Until::Ever).expect("a message")
    }

    /// Receives; returns `None` if there is no message and there will be none.
    pub(super) fn recv_until(&mut self, until: Until) -> Option<u64> {
        self.next(until).then(|| {
            let number = read(self.consumer.slot());
            self.acknowledge();
            number
        })
    }

    /// Receives, waiting for the doorbell while the ring is empty. Returns `None` if there is no
    /// message and there will be none.
    pub(super) fn recv_by_doorbell(&mut self, until: Until) -> Option<u64> {
        self.member.until = until;
        loop {
            match self.port().next(Blocking::Never) {
                Ok(()) => break,
                Err(RecvError::Empty) => self.member.wait_for_doorbell(),
                Err(RecvError::Disconnected) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        let number = read(self.consumer.slot());
        self.acknowledge();
        Some(number)
    }

    /// Receives; a call may be interrupted.
    pub(super) fn recv_or_interrupted(&mut self) -> Result<u64, RecvError> {
        self.port().next(Blocking::Forever)?;
        let number = read(self.consumer.slot());
        self.acknowledge();
        Ok(number)
    }

    pub(super) fn interrupter(&mut self) -> Interrupter {
        self.member.interrupter()
    }

    /// Reads a message in place while `work` runs, then acknowledges it.
    pub(super) fn recv_ref(&mut self, work: impl FnOnce(u64)) {
        assert!(self.next(Until::Ever));
        let number = read(self.consumer.slot());
        work(number);
        assert_eq!(read(self.consumer.slot()), number, "overwritten under the guard");
        self.acknowledge();
    }

    /// Receives the available messages and acknowledges them together; blocks while the ring is
    /// empty.
    pub(super) fn recv_batch(&mut self) -> Vec<u64> {
        assert!(self.next(Until::Ever));
        let mut numbers = Vec::new();
        let most = self.consumer.ring().capacity() as usize;
        self.consumer.take_while(most, |slot| {
            numbers.push(read(slot));
            true
        });
        if self.consumer.acknowledge_passed() {
            self.port().give_credit();
        }
        numbers
    }

    /// Leaves the channel, as the endpoints do.
    pub(super) fn leave(mut self) {
        if self.consumer.ring().is_broadcast() {
            self.consumer.publish_credit();
            self.consumer.ring().leave(self.member.seat().number);
            self.member.wake(Side::Senders).unwrap();
        }
        self.member.leave();
    }

    fn next(&mut self, until: Until) -> bool {
        self.member.until = until;
        match self.port().next(Blocking::Forever) {
            Ok(()) => true,
            Err(RecvError::Disconnected) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn acknowledge(&mut self) {
        self.port().acknowledge(&()).unwrap();
    }

    fn port(&mut self) -> RecvPort<'_, &mut Consumer, Member> {
        RecvPort { ring: &mut self.consumer, member: &self.member }
    }
}

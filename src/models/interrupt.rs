//! Interrupts: does each one end a call that is blocked, or that blocks later, at whatever step it
//! comes? Under loom, a call that is not interrupted is a deadlock.

use super::ends::{Receiver, Sender};
use super::harness::{Fixture, check, together};
use super::sim_kernel::Fences;
use crate::error::{RecvError, SendError};

const WAYS: [Fences; 2] = [Fences::OnRequest, Fences::Asked];

#[test]
fn a_receiver_is_interrupted_at_any_step() {
    for fences in WAYS {
        check(&format!("receiver interrupted, {fences:?}"), move || {
            let fixture = Fixture::with(2, fences);
            let mut rx = Receiver::new(&fixture);
            let interrupter = rx.interrupter();
            interrupter.arm();
            let receiver =
                move || assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
            together(move || interrupter.interrupt(), receiver);
        });
    }
}

#[test]
fn a_sender_is_interrupted_at_any_step() {
    check("sender interrupted", || {
        let fixture = Fixture::new(1);
        let mut tx = Sender::new(&fixture);
        tx.send();
        let interrupter = tx.interrupter();
        interrupter.arm();
        let sender = move || assert_eq!(tx.send_or_interrupted(), Err(SendError::Interrupted));
        together(move || interrupter.interrupt(), sender);
    });
}

/// Each of two interrupts is returned, if the second one comes after the first was returned.
#[test]
fn every_interrupt_is_returned_once() {
    check("interrupted twice", || {
        let fixture = Fixture::new(2);
        let mut rx = Receiver::new(&fixture);
        let interrupter = rx.interrupter();
        interrupter.arm();
        interrupter.interrupt();
        assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
        let receiver = move || assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
        together(move || interrupter.interrupt(), receiver);
    });
}

/// A message and an interrupt arrive: two calls return them, in either order.
#[test]
fn neither_the_message_nor_the_interrupt_is_lost() {
    for fences in WAYS {
        check(&format!("a message and an interrupt, {fences:?}"), move || {
            let fixture = Fixture::with(2, fences);
            let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
            let interrupter = rx.interrupter();
            interrupter.arm();
            let sender = move || {
                tx.send();
                interrupter.interrupt();
            };
            let receiver = move || {
                let both = [rx.recv_or_interrupted(), rx.recv_or_interrupted()];
                assert!(both.contains(&Ok(0)) && both.contains(&Err(RecvError::Interrupted)));
            };
            together(sender, receiver);
        });
    }
}

/// The handle is asked for its first interrupter while a call is already blocked.
#[test]
fn a_call_that_blocked_before_is_interrupted() {
    check("armed late", || {
        let fixture = Fixture::new(2);
        let mut rx = Receiver::new(&fixture);
        let interrupter = rx.interrupter();
        let receiver = move || assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
        let late = move || {
            interrupter.arm();
            interrupter.interrupt();
        };
        together(late, receiver);
    });
}

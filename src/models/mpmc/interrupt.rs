//! Interrupts of members that share their side with others, which consume tokens.

use super::ends::{Receiver, Sender, message};
use crate::error::RecvError;
use crate::models::harness::{Fixture, Job, all_of, check, together};
use crate::models::member::Until;

/// Two threads of a member: an interrupted thread passes the interrupt on before it ends.
#[test]
fn all_threads_of_a_member_end() {
    check("two threads interrupted", || {
        let fixture = Fixture::new(2);
        let mut rx = Receiver::join(&fixture, 0, Until::Ever);
        let interrupter = rx.interrupter();
        interrupter.arm();
        let first = interrupter.clone();
        let ends = [rx.thread(), rx];
        let threads = ends.map(|mut rx| {
            let interrupter = interrupter.clone();
            Box::new(move || {
                assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
                interrupter.interrupt();
            }) as Job<()>
        });
        let first: Job<()> = Box::new(move || first.interrupt());
        all_of([first].into_iter().chain(threads).collect());
    });
}

/// Another member waits beside the one that is interrupted, and a message arrives. The interrupted
/// member ends without one, and must leave the message to the other one.
#[test]
fn a_message_reaches_the_member_that_is_not_interrupted() {
    check("interrupted beside another", || {
        let fixture = Fixture::new(2);
        let mut tx = Sender::join(&fixture, 0, Until::Ever);
        let mut other = Receiver::join(&fixture, 1, Until::Ever);
        let mut rx = Receiver::join(&fixture, 2, Until::Ever);
        let mut second = tx.thread(3);
        let interrupter = rx.interrupter();
        interrupter.arm();
        let jobs: Vec<Job<()>> = vec![
            Box::new(move || {
                interrupter.interrupt();
                assert!(tx.send(1));
            }),
            Box::new(move || assert!(other.recv().is_some())),
            Box::new(move || {
                if rx.recv_or_interrupted().is_ok() {
                    assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
                    // The other one gets a message of its own.
                    assert!(second.send(2));
                }
            }),
        ];
        all_of(jobs);
    });
}

/// The message is there before: the call takes it, and the next one is interrupted.
#[test]
fn a_call_that_need_not_wait_leaves_the_interrupt() {
    check("interrupted with a message", || {
        let fixture = Fixture::new(2);
        let mut tx = Sender::join(&fixture, 0, Until::Ever);
        let mut rx = Receiver::join(&fixture, 1, Until::Ever);
        let interrupter = rx.interrupter();
        interrupter.arm();
        assert!(tx.send(1));
        let receiver = move || {
            assert_eq!(rx.recv_or_interrupted(), Ok(message(0, 1)));
            assert_eq!(rx.recv_or_interrupted(), Err(RecvError::Interrupted));
        };
        together(move || interrupter.interrupt(), receiver);
    });
}

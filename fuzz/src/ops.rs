//! One step of a member: each way to send and to receive. While the library lends a slot, a
//! corrupting writer may write.

use std::time::Duration;

use sysvring::zerocopy::FromBytes;
use sysvring::{Fault, Message, RecvError, SendError};
use sysvring_support::handle::{AnyLoan, AnyReceiver, AnySender};

use crate::exercise::inspect;

/// The timeout of a step.
const SHORT: Duration = Duration::from_micros(10);

/// The result of a step, with a message or without, or why the handle stopped; `None` if the step
/// only inspected the channel.
pub(crate) type Step = Option<Result<(), Fault>>;

/// A message type of the target. Any bytes are a valid message of it.
pub(crate) trait Sample: Message + FromBytes {
    /// Returns the message that `n` stands for.
    fn make(n: u64) -> Box<Self>;

    fn loan<Tx: AnySender<Self>>(tx: &mut Tx, n: u64) -> Result<Tx::Loan<'_>, SendError>;

    /// Shortens a loan, if messages differ in length.
    fn shorten(loan: &mut impl AnyLoan<Self>, n: u64);

    /// Receives in a way that only this type has.
    fn receive(rx: &mut impl AnyReceiver<Self>, way: u8) -> Step;
}

impl Sample for u64 {
    fn make(n: u64) -> Box<u64> {
        Box::new(n)
    }

    fn loan<Tx: AnySender<u64>>(tx: &mut Tx, _: u64) -> Result<Tx::Loan<'_>, SendError> {
        tx.try_loan()
    }

    fn shorten(_: &mut impl AnyLoan<u64>, _: u64) {}

    fn receive(rx: &mut impl AnyReceiver<u64>, way: u8) -> Step {
        use Waits::{Never, Shortly};
        match way % 4 {
            0 => received(rx.try_recv(), Never),
            1 => received(rx.recv_timeout(SHORT), Shortly),
            2 => received(rx.try_recv_into(&mut 0), Never),
            _ => {
                let mut messages = Vec::new();
                let taken = rx.try_recv_batch(&mut messages, 3);
                if let Ok(taken) = taken {
                    assert_eq!(taken, messages.len());
                }
                received(taken, Never)
            }
        }
    }
}

impl Sample for [u8] {
    fn make(n: u64) -> Box<[u8]> {
        vec![n as u8; n as usize % 25].into()
    }

    fn loan<Tx: AnySender<[u8]>>(tx: &mut Tx, n: u64) -> Result<Tx::Loan<'_>, SendError> {
        tx.try_loan_with(n as usize % 25)
    }

    fn shorten(loan: &mut impl AnyLoan<[u8]>, n: u64) {
        loan.truncate(n as usize % 7);
    }

    fn receive(rx: &mut impl AnyReceiver<[u8]>, _: u8) -> Step {
        received(rx.try_recv_boxed(), Waits::Never)
    }
}

/// Sends the message that `n` stands for.
pub(crate) fn send<T: Sample + ?Sized>(
    tx: &mut impl AnySender<T>,
    way: u8,
    n: u64,
    meddle: &mut dyn FnMut(),
) -> Step {
    use Waits::{Never, Shortly};
    let message = &*T::make(n);
    match way % 8 {
        0 => sent(tx.try_send(message), Never),
        1 => sent(tx.send_timeout(message, SHORT), Shortly),
        2 => sent(tx.try_send_batch(&[message; 3]).map_err(|error| error.error), Never),
        3 => match T::loan(tx, n) {
            Ok(mut loan) => {
                read::<T>(&loan);
                meddle();
                loan.as_mut_bytes().fill(n as u8);
                T::shorten(&mut loan, n);
                sent(loan.commit(), Never)
            }
            Err(error) => sent(Err(error), Never),
        },
        4 => {
            let loan = T::loan(tx, n);
            meddle();
            sent(loan.map(drop), Never)
        }
        5 => sent(tx.flush(SHORT), Shortly),
        6 => sent(tx.wait_for_peer(SHORT), Shortly),
        _ => {
            inspect(tx);
            None
        }
    }
}

/// Receives a message.
pub(crate) fn receive<T: Sample + ?Sized>(
    rx: &mut impl AnyReceiver<T>,
    way: u8,
    meddle: &mut dyn FnMut(),
) -> Step {
    use Waits::{Never, Shortly};
    match way % 16 {
        0 => received(rx.try_recv_boxed(), Never),
        1 => received(rx.recv_boxed_timeout(SHORT), Shortly),
        2 => {
            let guard = rx.try_recv_ref();
            guard.iter().for_each(|guard| read::<T>(guard));
            meddle();
            guard.iter().for_each(|guard| read::<T>(guard));
            received(guard, Never)
        }
        3 => received(rx.recv_ref_timeout(SHORT), Shortly),
        4 => received(rx.wait_for_peer(SHORT), Shortly),
        5 => {
            inspect(rx);
            None
        }
        way => T::receive(rx, way),
    }
}

/// Which errors a call may return: a timeout only if it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Never,
    Shortly,
}

fn sent(result: Result<(), SendError>, waits: Waits) -> Step {
    Some(match checked(&result) {
        Ok(()) | Err(SendError::Disconnected) => Ok(()),
        Err(SendError::Full | SendError::Behind { .. }) if waits == Waits::Never => Ok(()),
        Err(SendError::Timeout | SendError::Blocked { .. }) if waits == Waits::Shortly => Ok(()),
        Err(SendError::Fault(fault)) => Err(*fault),
        Err(error) => panic!("{waits:?} waiting, it returned {error:?}"),
    })
}

fn received<M>(result: Result<M, RecvError>, waits: Waits) -> Step {
    Some(match checked(&result) {
        Ok(_) | Err(RecvError::Disconnected) => Ok(()),
        Err(RecvError::Empty | RecvError::Behind { .. }) if waits == Waits::Never => Ok(()),
        Err(RecvError::Timeout | RecvError::Blocked { .. }) if waits == Waits::Shortly => Ok(()),
        Err(RecvError::Fault(fault)) => Err(*fault),
        // No bytes are an invalid message here.
        Err(error) => panic!("{waits:?} waiting, it returned {error:?}"),
    })
}

/// Checks that an error has a text.
fn checked<M, E: ToString>(result: &Result<M, E>) -> Result<&M, &E> {
    result.as_ref().inspect_err(|error| assert!(!error.to_string().is_empty()))
}

/// Reads all bytes of a message in place.
fn read<T: Message + ?Sized>(message: &T) {
    std::hint::black_box(message.as_bytes().iter().fold(0u8, |sum, byte| sum ^ byte));
}

//! One step of a member: each way to send and to receive, and somebody who meddles where the library
//! lends a slot.

use std::time::Duration;

use sysvring::zerocopy::IntoBytes;
use sysvring::{Error, Fault, Handle, Message, RecvError, SendError, Stat, mpmc, spsc};

use crate::exercise::checked;

/// What a step may wait.
const SHORT: Duration = Duration::from_micros(10);

/// What came of a step: a message, none, or why the handle stopped. `None`: it only looked.
pub(crate) type Step = Option<Result<(), Fault>>;

/// A sender of any kind.
pub(crate) trait Sending<T: Message + ?Sized>: Handle {
    /// Sends the message that `n` stands for.
    fn send(&mut self, way: u8, n: u64, meddle: &mut dyn FnMut()) -> Step;
    fn stat(&self) -> Result<Stat, Error>;
}

/// A receiver of any kind.
pub(crate) trait Receiving<T: Message + ?Sized>: Handle {
    fn receive(&mut self, way: u8, meddle: &mut dyn FnMut()) -> Step;
}

/// Which errors a call may give: one that does not wait is not late, one that waits says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Never,
    Shortly,
}

fn sent(result: Result<(), SendError>, waits: Waits) -> Step {
    Some(match checked_ref(&result) {
        Ok(()) | Err(SendError::Disconnected) => Ok(()),
        Err(SendError::Full) if waits == Waits::Never => Ok(()),
        Err(SendError::Timeout | SendError::Blocked { .. }) if waits == Waits::Shortly => Ok(()),
        Err(SendError::Fault(fault)) => Err(*fault),
        Err(error) => panic!("{waits:?} waiting, it says {error:?}"),
    })
}

fn received<M>(result: Result<M, RecvError>, waits: Waits) -> Step {
    Some(match checked_ref(&result) {
        Ok(_) | Err(RecvError::Disconnected) => Ok(()),
        Err(RecvError::Empty) if waits == Waits::Never => Ok(()),
        Err(RecvError::Timeout | RecvError::Blocked { .. }) if waits == Waits::Shortly => Ok(()),
        Err(RecvError::Fault(fault)) => Err(*fault),
        // Any bytes are a message here.
        Err(error) => panic!("{waits:?} waiting, it says {error:?}"),
    })
}

/// An error must speak.
fn checked_ref<M, E: ToString>(result: &Result<M, E>) -> Result<&M, &E> {
    result.as_ref().inspect_err(|error| assert!(!error.to_string().is_empty()))
}

fn text(n: u64) -> Vec<u8> {
    vec![n as u8; n as usize % 25]
}

/// Reads all of a message that lies in the segment.
fn read<T: Message + ?Sized>(message: &T) {
    std::hint::black_box(message.as_bytes().iter().fold(0u8, |sum, byte| sum ^ byte));
}

macro_rules! sending {
    ($module:ident, $message:ty, |$n:ident| $make:expr, |$tx:ident| $loan:expr,
     |$lent:ident| $commit:expr, |$looks:ident| $look:expr) => {
        impl Sending<$message> for $module::Sender<$message> {
            fn send(&mut self, way: u8, $n: u64, meddle: &mut dyn FnMut()) -> Step {
                use Waits::{Never, Shortly};
                let message = $make;
                let message: &$message = &message;
                match way % 8 {
                    0 => sent(self.try_send(message), Never),
                    1 => sent(self.send_timeout(message, SHORT), Shortly),
                    2 => {
                        let batch = self.try_send_batch([message, message, message]);
                        sent(batch.map_err(|error| error.error), Never)
                    }
                    3 => {
                        let $tx = &mut *self;
                        match $loan {
                            Ok(mut $lent) => {
                                read::<$message>(&$lent);
                                meddle();
                                $lent.as_mut_bytes().fill($n as u8);
                                sent($commit, Never)
                            }
                            Err(error) => sent(Err(error), Never),
                        }
                    }
                    4 => {
                        let $tx = &mut *self;
                        let loan = $loan;
                        meddle();
                        sent(loan.map(drop), Never)
                    }
                    5 => sent(self.flush(SHORT), Shortly),
                    6 => sent(self.wait_for_peer(SHORT).map(drop), Shortly),
                    _ => {
                        assert!(self.len() <= self.capacity());
                        let _ = (self.is_empty(), self.is_full());
                        checked(self.stat()).inspect(|stat| drop(stat.to_string()));
                        let $looks = &mut *self;
                        $look;
                        None
                    }
                }
            }

            fn stat(&self) -> Result<Stat, Error> {
                self.stat()
            }
        }
    };
}

macro_rules! receiving {
    ($module:ident, $message:ty, |$rx:ident, $way:ident| $ways:expr, |$looks:ident| $look:expr) => {
        impl Receiving<$message> for $module::Receiver<$message> {
            fn receive(&mut self, $way: u8, meddle: &mut dyn FnMut()) -> Step {
                use Waits::{Never, Shortly};
                match $way % 16 {
                    0 => received(self.try_recv_boxed(), Never),
                    1 => received(self.recv_boxed_timeout(SHORT), Shortly),
                    2 => {
                        let guard = self.try_recv_ref();
                        guard.iter().for_each(|guard| read::<$message>(guard));
                        meddle();
                        guard.iter().for_each(|guard| read::<$message>(guard));
                        received(guard.map(drop), Never)
                    }
                    3 => received(self.recv_ref_timeout(SHORT).map(drop), Shortly),
                    4 => received(self.wait_for_peer(SHORT), Shortly),
                    5 => {
                        assert!(self.len() <= self.capacity());
                        let _ = (self.is_empty(), self.is_full());
                        checked(self.stat()).inspect(|stat| drop(stat.to_string()));
                        let $looks = &mut *self;
                        $look;
                        None
                    }
                    _ => {
                        let $rx = self;
                        $ways
                    }
                }
            }
        }
    };
}

/// Of a fixed size.
macro_rules! ways_of_numbers {
    ($rx:ident, $way:ident) => {
        match $way % 4 {
            0 => received($rx.try_recv(), Never),
            1 => received($rx.recv_timeout(SHORT), Shortly),
            2 => received($rx.try_recv_into(&mut 0), Never),
            _ => {
                let mut messages = Vec::new();
                let taken = $rx.try_recv_batch(&mut messages, 3);
                if let Ok(taken) = taken {
                    assert_eq!(taken, messages.len());
                }
                received(taken, Never)
            }
        }
    };
}

sending!(
    spsc,
    u64,
    |n| n,
    |tx| tx.try_loan(),
    |loan| {
        loan.commit();
        Ok(())
    },
    |tx| (checked(tx.peer()), tx.position())
);
sending!(
    spsc,
    [u8],
    |n| text(n),
    |tx| tx.try_loan_with(n as usize % 25),
    |loan| {
        loan.truncate(n as usize % 7);
        loan.commit();
        Ok(())
    },
    |tx| (checked(tx.peer()), tx.position())
);
sending!(mpmc, u64, |n| n, |tx| tx.try_loan(), |loan| loan.commit(), |tx| checked(tx.deaths()));
sending!(
    mpmc,
    [u8],
    |n| text(n),
    |tx| tx.try_loan_with(n as usize % 25),
    |loan| {
        loan.truncate(n as usize % 7);
        loan.commit()
    },
    |tx| checked(tx.deaths())
);
receiving!(spsc, u64, |rx, way| ways_of_numbers!(rx, way), |rx| (
    checked(rx.peer()),
    rx.position()
));
receiving!(mpmc, u64, |rx, way| ways_of_numbers!(rx, way), |rx| checked(rx.deaths()));
receiving!(spsc, [u8], |rx, _way| received(rx.try_recv_boxed(), Never), |rx| (
    checked(rx.peer()),
    rx.position()
));
receiving!(mpmc, [u8], |rx, _way| received(rx.try_recv_boxed(), Never), |rx| checked(rx.deaths()));

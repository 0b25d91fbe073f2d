//! Both endpoints of a channel, opened and used in ways that never wait for long.

use std::time::Duration;

use sysvring::{Error, Fault, Flavor, Options, RecvError, SendError};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender};
use sysvring_support::shared_counters::now_ns;

use crate::objects::is_late;

/// The maximum lateness of a call; the host's excuse is added.
pub const GRACE: Duration = Duration::from_millis(100);
/// The timeout of opening and of calls that wait.
pub const SHORT: Duration = Duration::from_millis(20);
/// The number of slots of the ring.
pub const CAPACITY: usize = 2;
/// The number of seats of an MPMC or broadcast channel.
pub const SEATS: usize = 3;

/// The outcome of using a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Works,
    /// A call returned an error.
    Refused,
    /// There was no error, but the other side's state was reported late or incorrectly.
    Odd,
}

/// Returns whether opening may return this error for a channel whose bytes were changed.
pub fn is_documented(error: &Error) -> bool {
    assert!(!error.to_string().is_empty());
    matches!(
        error,
        Error::ForeignObject { .. }
            | Error::LayoutVersion { .. }
            | Error::Truncated { .. }
            | Error::TypeMismatch { .. }
            | Error::NotFound { .. }
            | Error::Busy { .. }
            | Error::Corrupt { .. }
            | Error::Fault(Fault::Removed)
    )
}

/// Runs a call that may take `time`. Returns also whether it was late.
pub fn timed<R>(time: Duration, call: impl FnOnce() -> R) -> (R, bool) {
    let since = now_ns();
    let result = call();
    (result, is_late(time + GRACE, since))
}

/// Returns the options of a new channel of a flavor.
pub fn options<F: AnyFlavor>(options: Options) -> Options {
    match F::FLAVOR {
        Flavor::Spsc => options.capacity(CAPACITY),
        _ => options.capacity(CAPACITY).max_members(SEATS),
    }
}

/// Both endpoints of a channel.
pub struct Endpoints<F: AnyFlavor> {
    tx: F::Sender<u64>,
    rx: F::Receiver<u64>,
}

impl<F: AnyFlavor> Endpoints<F> {
    /// Opens both endpoints, the receiver or the sender first.
    pub fn open(options: impl Fn() -> Options, receiver_first: bool) -> Result<Self, Error> {
        Ok(match receiver_first {
            true => {
                let rx = options().open()?;
                Endpoints { tx: options().open()?, rx }
            }
            false => {
                let tx = options().open()?;
                Endpoints { rx: options().open()?, tx }
            }
        })
    }

    /// Sends and receives without waiting, more than the ring holds.
    pub fn poke(&mut self) -> Outcome {
        let mut outcome = Outcome::Works;
        for n in 0..=CAPACITY as u64 {
            outcome = sent(self.tx.try_send(&n), outcome);
        }
        let _ = (self.tx.len(), self.rx.len(), self.tx.is_full(), self.rx.is_empty());
        for _ in 0..=CAPACITY as u64 + 1 {
            outcome = received(self.rx.try_recv(), outcome);
        }
        outcome
    }

    /// Sends and receives with deadlines. Returns also whether any call was late.
    pub fn converse(&mut self) -> (Outcome, bool) {
        let mut outcome = Outcome::Works;
        let mut late = false;
        if F::FLAVOR == Flavor::Broadcast {
            // It begins with what is in the ring, and the sender waits until it has received that.
            for _ in 0..CAPACITY {
                outcome = received(self.rx.try_recv(), outcome);
            }
        }
        for n in 100..103 {
            let (result, was_late) = timed(SHORT, || self.tx.send_timeout(&n, SHORT));
            (outcome, late) = (sent(result, outcome), late || was_late);
            // Older messages may be in the ring.
            for _ in 0..=CAPACITY {
                if outcome != Outcome::Works {
                    break;
                }
                let (result, was_late) = timed(SHORT, || self.rx.recv_timeout(SHORT));
                late |= was_late;
                if result == Ok(n) {
                    break;
                }
                outcome = received(result.map(drop), outcome);
            }
        }
        (outcome, late)
    }
}

/// Returns the worse of the previous outcome and that of this send.
fn sent(result: Result<(), SendError>, before: Outcome) -> Outcome {
    match result {
        Ok(()) | Err(SendError::Full | SendError::Behind { .. }) => before,
        Err(SendError::Fault(fault)) => refused(fault),
        Err(SendError::Timeout | SendError::Blocked { .. } | SendError::Disconnected)
            if before != Outcome::Refused =>
        {
            Outcome::Odd
        }
        Err(_) => before,
    }
}

fn received<T>(result: Result<T, RecvError>, before: Outcome) -> Outcome {
    match result {
        Ok(_) | Err(RecvError::Empty | RecvError::Behind { .. }) => before,
        Err(RecvError::Fault(fault)) => refused(fault),
        Err(RecvError::Invalid { .. }) => panic!("any bytes are a valid number"),
        Err(_) if before != Outcome::Refused => Outcome::Odd,
        Err(_) => before,
    }
}

fn refused(fault: Fault) -> Outcome {
    // No semaphore was changed and no call was refused by the kernel.
    assert!(matches!(fault, Fault::Corrupt { .. } | Fault::Removed), "{fault:?}");
    Outcome::Refused
}

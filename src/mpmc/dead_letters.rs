//! How a receiver sends messages to the dead-letter channel.

use std::sync::Mutex;
use std::time::Duration;

use super::Sender;
use crate::dead_letter::DeadLetter;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::dead_letters::{DeadLetterBox, Letter};
use crate::error::{DeadLetterFailure, Error, SendError};
use crate::liveness;
use crate::options::Options;
use crate::sysv::shm;
use crate::wait::adaptive_spin::Wait;

/// How long a receiver waits for another process that is creating or removing the dead-letter
/// channel.
const OPEN_TIMEOUT: Duration = Duration::from_millis(100);

/// The sending end of a dead-letter channel, opened when the first letter is sent.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    options: Options,
    slot_size: usize,
    /// Locked only by `try_lock`: a receiver in a signal handler must not wait for the call that it
    /// interrupts.
    sender: Mutex<Option<Sender<DeadLetter>>>,
}

impl DeadLetters {
    /// Returns the box for the dead letters of a channel, if it has any.
    pub(crate) fn of(attachment: &Attachment) -> Result<Option<Box<dyn DeadLetterBox>>, Error> {
        let facts = &attachment.facts;
        if facts.dead_letters.is_empty() {
            return Ok(None);
        }
        let segment = shm::stat(attachment.id.segment).map_err(liveness::fault("shmctl"))?;
        let options = Options::named(&facts.dead_letters)
            .owner(segment.uid)
            .mode(segment.mode & 0o666 | 0o600)
            .label("dead letters")
            .wait(Wait::Park)
            .open_timeout(OPEN_TIMEOUT);
        let slot_size = DeadLetter::slot_size(facts.geometry.slot_size);
        Ok(Some(Box::new(DeadLetters { options, slot_size, sender: Mutex::new(None) })))
    }

    /// Opens the channel as it is, or makes it.
    fn open(&self) -> Result<Sender<DeadLetter>, Error> {
        match self.options.clone().attach() {
            Err(Error::NotFound { .. }) => self.options.clone().slot_size(self.slot_size).open(),
            opened => opened,
        }
    }
}

impl DeadLetterBox for DeadLetters {
    fn put(&self, letter: &Letter) -> Result<(), DeadLetterFailure> {
        let Ok(mut sender) = self.sender.try_lock() else {
            return Err(DeadLetterFailure::Unavailable);
        };
        // A second time if the channel was removed meanwhile.
        for is_last in [false, true] {
            let open = match sender.take() {
                Some(open) => open,
                None => self.open().map_err(|error| reason_of(&error))?,
            };
            // A channel that was removed meanwhile loses what is sent to it.
            let sent = send(&open, letter).and_then(|()| Ok(open.confirm()?));
            match sent {
                Err(SendError::Fault(_)) if !is_last => continue,
                Err(SendError::Fault(_)) => break,
                Err(SendError::TooLong { .. }) => return Err(DeadLetterFailure::TooLong),
                sent => {
                    *sender = Some(open);
                    return sent.map_err(|_| DeadLetterFailure::Full);
                }
            }
        }
        Err(DeadLetterFailure::Unavailable)
    }
}

/// Writes a letter in place.
fn send(sender: &Sender<DeadLetter>, letter: &Letter) -> Result<(), SendError> {
    let mut loan = sender.try_loan_with(letter.len)?;
    loan.describe(letter.position, letter.nonce, letter.deliveries);
    let payload = loan.bytes_mut();
    // SAFETY: the caller owns these bytes of a slot, which is another one than the loan's; both are
    // `len` bytes long.
    unsafe {
        payload.as_mut_ptr().copy_from_nonoverlapping(letter.payload.as_ptr(), payload.len());
    }
    loan.commit()
}

fn reason_of(error: &Error) -> DeadLetterFailure {
    match error {
        Error::PermissionDenied { .. } | Error::ForeignOwner { .. } => {
            DeadLetterFailure::PermissionDenied
        }
        Error::NoSeat { .. } => DeadLetterFailure::NoSeat,
        _ => DeadLetterFailure::Unavailable,
    }
}

//! How a receiver sends messages to the dead-letter channel.

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

/// How long a receiver waits for another process that is creating, joining or removing the
/// dead-letter channel, which takes microseconds unless that process is stopped.
const OPEN_TIMEOUT: Duration = Duration::from_millis(10);

/// Where the dead letters of a channel go. The channel is opened for each letter: letters are rare,
/// and a receiver that kept a seat there could keep the readers of the letters out.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    options: Options,
    slot_size: usize,
    /// The mode of a new channel; one that exists is taken as it is.
    mode: u32,
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
            .label("dead letters")
            .courier()
            .prefault(false)
            .wait(Wait::Park)
            .open_timeout(OPEN_TIMEOUT);
        let slot_size = DeadLetter::slot_size(facts.geometry.slot_size);
        Ok(Some(Box::new(DeadLetters { options, slot_size, mode: segment.mode | 0o600 })))
    }

    /// Opens the channel as it is, or makes it.
    fn open(&self) -> Result<Sender<DeadLetter>, Error> {
        match self.options.clone().attach() {
            Err(Error::NotFound { .. }) => {
                let options = self.options.clone().mode(self.mode).slot_size(self.slot_size);
                match options.create() {
                    // Another receiver was faster.
                    Err(Error::AlreadyExists { .. }) => self.options.clone().attach(),
                    created => created,
                }
            }
            opened => opened,
        }
    }
}

impl DeadLetterBox for DeadLetters {
    fn put(&self, letter: &Letter) -> Result<(), DeadLetterFailure> {
        let letters = self.open().map_err(|error| reason_of(&error))?;
        // A channel that was removed meanwhile loses what is sent to it.
        let sent = send(&letters, letter).and_then(|()| Ok(letters.confirm()?));
        sent.map_err(|error| match error {
            SendError::Fault(_) => DeadLetterFailure::Unavailable,
            SendError::TooLong { .. } => DeadLetterFailure::TooLong,
            _ => DeadLetterFailure::Full,
        })
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

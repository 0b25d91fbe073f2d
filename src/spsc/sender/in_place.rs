//! Writing messages in place.

use core::time::Duration;

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::error::SendError;
use crate::message::Message;
use crate::spsc::Loan;
use crate::wait::blocking::Blocking;

/// Writing in place, for types of which any bytes are a value. What a slot holds at first is some
/// former message, or zeros.
impl<T: Message + FromBytes> Sender<T> {
    /// Lends the next slot, to be written in place; waits while the channel is full.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    #[inline]
    pub fn loan(&mut self) -> Result<Loan<'_, T>, SendError> {
        self.claim(Blocking::Forever)?;
        Ok(Loan::new(self))
    }

    /// Lends the next slot if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan(&mut self) -> Result<Loan<'_, T>, SendError> {
        self.claim(Blocking::Never)?;
        Ok(Loan::new(self))
    }

    /// Lends the next slot; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_timeout(&mut self, timeout: Duration) -> Result<Loan<'_, T>, SendError> {
        self.claim(Blocking::For(timeout))?;
        Ok(Loan::new(self))
    }
}

/// Writing messages of variable length in place.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Lends the next slot for a message whose trailing slice has `elements` elements, which
    /// [`Loan::truncate`] can make fewer; waits while the channel is full.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    pub fn loan_with(&mut self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::Forever)
    }

    /// Lends the next slot for a message of that many elements, if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    pub fn try_loan_with(&mut self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::Never)
    }

    /// Lends the next slot for a message of that many elements; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn loan_with_timeout(
        &mut self,
        elements: usize,
        timeout: Duration,
    ) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::For(timeout))
    }

    fn lend(&mut self, elements: usize, blocking: Blocking) -> Result<Loan<'_, T>, SendError> {
        let (len, max) = (T::size_for_metadata(elements).unwrap_or(usize::MAX), self.slot_size());
        if len > max {
            return Err(SendError::TooLong { len, max });
        }
        self.claim(blocking)?;
        Loan::with_elements(self, elements).ok_or(SendError::TooLong { len, max })
    }
}

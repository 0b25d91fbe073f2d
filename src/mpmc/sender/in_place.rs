//! Writing messages in place.

use core::time::Duration;

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::error::SendError;
use crate::message::Message;
use crate::mpmc::Loan;
use crate::wait::blocking::Blocking;

/// Writing in place, for types of which any bytes are a value. What a slot holds at first is some
/// former message, or zeros.
impl<T: Message + FromBytes> Sender<T> {
    /// Lends a slot, to be written in place; waits while the channel is full.
    ///
    /// The slot holds its place in the order: messages sent after it was lent wait for it.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    #[inline]
    pub fn loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Blocking::Forever).map(|claim| Loan::new(self, claim))
    }

    /// Lends a slot if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Blocking::Never).map(|claim| Loan::new(self, claim))
    }

    /// Lends a slot; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Blocking::For(timeout)).map(|claim| Loan::new(self, claim))
    }
}

/// Writing messages of variable length in place.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Lends a slot for a message whose trailing slice has `elements` elements, which
    /// [`Loan::truncate`] can make fewer; waits while the channel is full.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    #[inline]
    pub fn loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::Forever)
    }

    /// Lends a slot for a message of that many elements, if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::Never)
    }

    /// Lends a slot for a message of that many elements; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_with_timeout(
        &self,
        elements: usize,
        timeout: Duration,
    ) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Blocking::For(timeout))
    }

    #[inline(always)]
    fn lend(&self, elements: usize, blocking: Blocking) -> Result<Loan<'_, T>, SendError> {
        let (len, max) = (T::size_for_metadata(elements).unwrap_or(usize::MAX), self.slot_size());
        if len > max {
            return Err(SendError::TooLong { len, max });
        }
        let claim = self.inner.claim(blocking)?;
        Loan::with_elements(self, claim, elements).ok_or(SendError::TooLong { len, max })
    }
}

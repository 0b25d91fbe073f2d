//! Writing messages in place.

use core::time::Duration;

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::error::SendError;
use crate::message::Message;
use crate::mpmc::Loan;
use crate::wait::blocking::Blocking;

/// Writing in place, for types of which any bytes are a valid value. A slot initially holds some
/// earlier message, or zeros.
impl<T: Message + FromBytes> Sender<T> {
    /// Borrows a free slot for writing in place, blocking while the channel is full.
    ///
    /// The slot keeps its place in the order: messages sent after it was borrowed wait for it.
    ///
    /// All bytes must be values of the type (`FromBytes`).
    /// [`#[sysvring::message]`](macro@crate::message) derives that for a struct of plain numbers, and
    /// `#[sysvring::message(from_bytes)]` for one with other fields of which it holds.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<[u64; 512]> = Options::private().capacity(16).create()?;
    /// # let rx: mpmc::Receiver<[u64; 512]> = Options::id(tx.id()).attach()?;
    /// let mut loan = tx.loan()?;
    /// loan.fill(7);
    /// loan.commit()?; // without this, nothing is sent
    /// assert_eq!(rx.recv_ref()?.read(|message| message[511])?, 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`send`](Sender::send).
    #[inline]
    pub fn loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.end.reserve(Blocking::Forever).map(|claim| Loan::new(self, claim))
    }

    /// Attempts to borrow a free slot without blocking.
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.end.reserve(Blocking::Never).map(|claim| Loan::new(self, claim))
    }

    /// Borrows a free slot, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Loan<'_, T>, SendError> {
        self.end.reserve(Blocking::For(timeout)).map(|claim| Loan::new(self, claim))
    }
}

/// Writing messages of variable length in place.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Borrows a free slot for a message whose trailing slice has `elements` elements, blocking
    /// while the channel is full. [`Loan::truncate`] can shorten it.
    ///
    /// All bytes must be values of the type (`FromBytes`).
    /// [`#[sysvring::message]`](macro@crate::message) derives that for a struct of plain numbers, and
    /// `#[sysvring::message(from_bytes)]` for one with other fields of which it holds.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let rx: mpmc::Receiver<[u8]> = Options::id(tx.id()).attach()?;
    /// let mut loan = tx.loan_with(64)?;
    /// loan[..5].copy_from_slice(b"hello");
    /// loan.truncate(5);
    /// loan.commit()?;
    /// rx.recv_ref()?.read(|message| assert_eq!(message, b"hello"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`send`](Sender::send).
    #[inline]
    pub fn loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.loan_slot(elements, Blocking::Forever)
    }

    /// Attempts to borrow a free slot for a message of `elements` elements without blocking.
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.loan_slot(elements, Blocking::Never)
    }

    /// Borrows a free slot for a message of `elements` elements, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_with_timeout(
        &self,
        elements: usize,
        timeout: Duration,
    ) -> Result<Loan<'_, T>, SendError> {
        self.loan_slot(elements, Blocking::For(timeout))
    }

    #[inline(always)]
    fn loan_slot(&self, elements: usize, blocking: Blocking) -> Result<Loan<'_, T>, SendError> {
        let (len, max) = self.check_elements(elements)?;
        let claim = self.end.reserve(blocking)?;
        Loan::with_elements(self, claim, elements).ok_or(SendError::TooLong { len, max })
    }

    /// Returns the length of a message of `elements` elements, and the maximum.
    #[inline(always)]
    pub(super) fn check_elements(&self, elements: usize) -> Result<(usize, usize), SendError> {
        let (len, max) = (T::size_for_metadata(elements).unwrap_or(usize::MAX), self.slot_size());
        if len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok((len, max))
    }
}

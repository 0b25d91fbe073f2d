//! Writing messages in place.

use core::time::Duration;

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::broadcast::Loan;
use crate::error::SendError;
use crate::message::Message;

/// Writing in place, for types of which any bytes are a valid value. A slot initially holds some
/// earlier message, or zeros.
impl<T: Message + FromBytes> Sender<T> {
    /// Borrows the next free slot for writing in place, blocking while the channel is full.
    ///
    /// All bytes must be values of the type (`FromBytes`).
    /// [`#[sysvring::message]`](macro@crate::message) derives that for a struct of plain numbers, and
    /// `#[sysvring::message(from_bytes)]` for one with other fields of which it holds.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u64; 512]> = Options::private().capacity(16).create()?;
    /// # let mut rx: broadcast::Receiver<[u64; 512]> = Options::id(tx.id()).attach()?;
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
    pub fn loan(&mut self) -> Result<Loan<'_, T>, SendError> {
        self.one.loan()
    }

    /// Attempts to borrow the next free slot without blocking.
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_loan(&mut self) -> Result<Loan<'_, T>, SendError> {
        self.one.try_loan()
    }

    /// Borrows the next free slot, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`send_timeout`](Sender::send_timeout).
    #[inline]
    pub fn loan_timeout(&mut self, timeout: Duration) -> Result<Loan<'_, T>, SendError> {
        self.one.loan_timeout(timeout)
    }
}

/// Writing messages of variable length in place.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Borrows the next free slot for a message whose trailing slice has `elements` elements,
    /// blocking while the channel is full. [`Loan::truncate`] can shorten it.
    ///
    /// All bytes must be values of the type (`FromBytes`).
    /// [`#[sysvring::message]`](macro@crate::message) derives that for a struct of plain numbers, and
    /// `#[sysvring::message(from_bytes)]` for one with other fields of which it holds.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let mut rx: broadcast::Receiver<[u8]> = Options::id(tx.id()).attach()?;
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
    pub fn loan_with(&mut self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.one.loan_with(elements)
    }

    /// Attempts to borrow the next free slot for a message of `elements` elements without blocking.
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send).
    pub fn try_loan_with(&mut self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.one.try_loan_with(elements)
    }

    /// Borrows the next free slot for a message of `elements` elements, blocking for at most
    /// `timeout`.
    ///
    /// # Errors
    /// As for [`send_timeout`](Sender::send_timeout).
    pub fn loan_with_timeout(
        &mut self,
        elements: usize,
        timeout: Duration,
    ) -> Result<Loan<'_, T>, SendError> {
        self.one.loan_with_timeout(elements, timeout)
    }
}

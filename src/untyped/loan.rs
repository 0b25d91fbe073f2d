//! A slot reserved for writing.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use super::send_end::Reserved;
use crate::error::SendError;

/// A reserved slot, in which a message is written in place; [`commit`](Loan::commit) sends it.
///
/// It derefs to the bytes of the message, which hold an older message or zeros at first, and begin
/// at an address of the messages' [alignment](crate::MessageLayout::align), at least 8. A loan that
/// is dropped sends nothing.
///
/// The slot is memory that other processes have mapped. No correct member touches it while the
/// loan exists, but see [Trust](crate#trust).
#[must_use = "what is written into a loan is sent by commit"]
pub struct Loan<'a> {
    slot: ManuallyDrop<Reserved<'a>>,
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: as for an exclusive reference to the bytes and to the sender, which may move to another
// thread.
unsafe impl Send for Loan<'_> {}
// SAFETY: a shared loan only gives access to the bytes, for reading.
unsafe impl Sync for Loan<'_> {}

impl<'a> Loan<'a> {
    /// The length was checked.
    pub(crate) fn new(slot: Reserved<'a>, len: usize) -> Loan<'a> {
        let bytes = slot.payload();
        Loan { slot: ManuallyDrop::new(slot), bytes, len }
    }

    /// Returns the message's position in the sequence of all messages of this channel.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let rx: mpmc::Receiver<[u8]> = Options::private().create()?;
    /// let mut tx: untyped::Sender = Options::id(rx.id()).attach()?;
    /// tx.send(b"first")?;
    /// let loan = tx.loan(6)?;
    /// assert_eq!(loan.position(), 1);
    /// # Ok(()) }
    /// ```
    pub fn position(&self) -> u64 {
        self.slot.position()
    }

    /// Shortens the message.
    #[cfg(feature = "postcard")]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Sends the message.
    ///
    /// # Errors
    /// [`SendError::Fault`] if the handle cannot go on; nothing was sent then.
    pub fn commit(self) -> Result<(), SendError> {
        let mut loan = ManuallyDrop::new(self);
        // SAFETY: taken once: the loan is not dropped.
        let slot = unsafe { ManuallyDrop::take(&mut loan.slot) };
        slot.commit(loan.len)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // SAFETY: taken once: `commit`, which takes it too, does not run this destructor.
        unsafe { ManuallyDrop::take(&mut self.slot) }.abandon();
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the slot is reserved until the loan ends, has room for that many bytes, and was
        // initialised by the kernel.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&&**self).finish()
    }
}

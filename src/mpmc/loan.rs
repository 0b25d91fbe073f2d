//! A slot reserved for writing.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::{fmt, slice};

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::error::SendError;
use crate::message::Message;
use crate::ring::mpmc::Claim;

/// A slot reserved for writing a message in place.
///
/// [`commit`](Loan::commit) sends the message. If the loan is dropped without `commit`, nothing is
/// sent; the sender's next message uses the position again, or receivers skip it if there is a
/// message behind it.
///
/// The slot is memory that other processes have mapped. No correct member touches it while the loan
/// exists, but see [Trust](crate#trust).
#[must_use = "what is written into a loan is sent by commit"]
pub struct Loan<'a, T: Message + ?Sized> {
    sender: &'a Sender<T>,
    claim: ManuallyDrop<Claim>,
    message: NonNull<T>,
    /// Length of the trailing slice, for types that have one.
    elements: usize,
}

// SAFETY: as for an exclusive reference to the message; the sender may be used by all threads.
unsafe impl<T: Message + ?Sized + Send> Send for Loan<'_, T> {}
// SAFETY: as for a reference to the message.
unsafe impl<T: Message + ?Sized + Sync> Sync for Loan<'_, T> {}

impl<'a, T: Message + FromBytes> Loan<'a, T> {
    #[inline]
    pub(super) fn new(sender: &'a Sender<T>, claim: Claim) -> Loan<'a, T> {
        let message = sender.payload(&claim).cast();
        Loan { sender, claim: ManuallyDrop::new(claim), message, elements: 0 }
    }
}

impl<'a, T> Loan<'a, T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Returns `None` if a message of `elements` elements does not fit in a slot.
    pub(super) fn with_elements(
        sender: &'a Sender<T>,
        claim: Claim,
        elements: usize,
    ) -> Option<Loan<'a, T>> {
        match place(sender, &claim, elements) {
            Some(message) => {
                Some(Loan { sender, claim: ManuallyDrop::new(claim), message, elements })
            }
            None => {
                sender.abandon(claim);
                None
            }
        }
    }

    /// Shortens the trailing slice to `elements` elements. A message that is not longer than that
    /// is left unchanged.
    pub fn truncate(&mut self, elements: usize) {
        let elements = elements.min(self.elements);
        if let Some(message) = place(self.sender, &self.claim, elements) {
            (self.message, self.elements) = (message, elements);
        }
    }
}

/// Returns a message of `elements` elements at the start of the claimed slot.
fn place<T>(sender: &Sender<T>, claim: &Claim, elements: usize) -> Option<NonNull<T>>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    let len = T::size_for_metadata(elements).filter(|&len| len <= sender.slot_size())?;
    // SAFETY: the claimed slot is ours, as long as the slot size, and initialised by the kernel.
    let bytes = unsafe { slice::from_raw_parts_mut(sender.payload(claim).as_ptr(), len) };
    T::mut_from_bytes_with_elems(bytes, elements).ok().map(NonNull::from)
}

impl<T: Message + ?Sized> Loan<'_, T> {
    /// Returns the message's position in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.claim.position()
    }

    /// Sends the message.
    ///
    /// # Errors
    /// [`SendError::Fault`] if the handle cannot go on, for example because this process lost its
    /// seat, or because a clone of the sender was closed. Nothing is sent then, and receivers skip
    /// the position. [`Fault::Forked`](crate::Fault::Forked) in a forked child, where the loan
    /// belongs to the parent: nothing is sent, and the slot remains the parent's.
    #[inline]
    pub fn commit(self) -> Result<(), SendError> {
        let len = size_of_val::<T>(&self);
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        let claim = unsafe { ManuallyDrop::take(&mut this.claim) };
        this.sender.commit(claim, len)
    }
}

impl<T: Message + ?Sized> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        // SAFETY: taken once: `commit`, which takes it too, does not run this destructor.
        self.sender.abandon(unsafe { ManuallyDrop::take(&mut self.claim) });
    }
}

impl<T: Message + ?Sized> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the claimed slot is ours until the loan ends; any bytes are a `T`, since loans
        // exist only for such types.
        unsafe { self.message.as_ref() }
    }
}

impl<T: Message + ?Sized> DerefMut for Loan<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.message.as_mut() }
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&&**self).finish()
    }
}

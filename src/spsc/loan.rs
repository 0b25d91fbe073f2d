//! A slot reserved for writing.

use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::{fmt, slice};

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::error::SendError;
use crate::message::Message;

/// A slot reserved for writing a message in place.
///
/// [`commit`](Loan::commit) sends the message. If the loan is dropped without `commit`, nothing is
/// sent, and the next loan or send uses the same slot.
///
/// The slot is memory that other processes have mapped. No correct member touches it while the loan
/// exists, but see [Trust](crate#trust).
#[must_use = "what is written into a loan is sent by commit"]
pub struct Loan<'a, T: Message + ?Sized> {
    sender: &'a mut Sender<T>,
    message: NonNull<T>,
    /// Length of the trailing slice, for types that have one.
    elements: usize,
}

impl<'a, T: Message + FromBytes> Loan<'a, T> {
    #[inline(always)]
    pub(super) fn new(sender: &'a mut Sender<T>) -> Loan<'a, T> {
        let message = sender.payload().cast();
        Loan { sender, message, elements: 0 }
    }
}

impl<'a, T> Loan<'a, T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Returns `None` if a message of `elements` elements does not fit in a slot.
    pub(super) fn with_elements(sender: &'a mut Sender<T>, elements: usize) -> Option<Loan<'a, T>> {
        let message = place(sender, elements)?;
        Some(Loan { sender, message, elements })
    }

    /// Shortens the trailing slice to `elements` elements. A message that is not longer than that
    /// is left unchanged.
    pub fn truncate(&mut self, elements: usize) {
        let elements = elements.min(self.elements);
        if let Some(message) = place(self.sender, elements) {
            (self.message, self.elements) = (message, elements);
        }
    }
}

/// Returns a message of `elements` elements at the start of the reserved slot.
fn place<T>(sender: &Sender<T>, elements: usize) -> Option<NonNull<T>>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    let len = T::size_for_metadata(elements).filter(|&len| len <= sender.slot_size())?;
    // SAFETY: the reserved slot is ours, as long as the slot size, and initialised by the kernel.
    let bytes = unsafe { slice::from_raw_parts_mut(sender.payload().as_ptr(), len) };
    T::mut_from_bytes_with_elems(bytes, elements).ok().map(NonNull::from)
}

impl<T: Message + ?Sized> Loan<'_, T> {
    /// Sends the message.
    ///
    /// # Errors
    /// [`SendError::Fault`] if the handle cannot go on; nothing is sent then. In particular
    /// [`Fault::Forked`](crate::Fault::Forked) in a forked child, where the loan belongs to the
    /// parent.
    #[inline]
    pub fn commit(self) -> Result<(), SendError> {
        let message = Layout::for_value::<T>(&self);
        self.sender.commit(message)
    }
}

impl<T: Message + ?Sized> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the reserved slot is ours as long as the sender is borrowed; any bytes are a `T`,
        // since loans exist only for such types.
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

//! Which types can be messages, and how their bytes are copied into and out of a slot.

pub mod check;
mod types;

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::alloc::{alloc, dealloc, handle_alloc_error};

use zerocopy::error::TryCastError;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::layout::SLOTS_ALIGN;
use crate::structure::Structure;
use crate::sync::plain::{AtomicU64, Ordering};

/// A type that can be sent through a channel.
///
/// [`#[sysvring::message]`](macro@crate::message) declares a struct or a fieldless enum as a message, with
/// the four traits of [`zerocopy`] and its [`Structure`]. The integers and floats, `bool`, `char`, arrays,
/// slices and `str` are messages, and so are the integers and floats of `zerocopy` with a byte order. Sized
/// types are sent in slots of exactly their size; types that end in a slice are sent in slots of
/// [`Options::slot_size`](crate::Options::slot_size).
///
/// A type that derives those traits itself becomes a message by `impl sysvring::Message for T {}`, which
/// compares only its size with that of the other side; [`structure`](Message::structure) may describe it.
/// `IntoBytes` rejects types with padding:
///
/// ```
/// use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
/// use sysvring::{Message, Structure};
///
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[zerocopy(crate = "sysvring::zerocopy")]
/// #[repr(C)]
/// struct Tick {
///     id: u64,
///     price: f64,
/// }
///
/// impl Message for Tick {
///     fn structure() -> Structure {
///         let fields = [("id", u64::structure()), ("price", f64::structure())];
///         Structure::of_struct("Tick", fields)
///     }
/// }
/// ```
///
/// Received messages are validated: a foreign `bool` with the value 7 is
/// [`RecvError::Invalid`](crate::RecvError::Invalid).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "declare the type with `#[sysvring::message]`; a type that derives zerocopy's \
            `TryFromBytes`, `IntoBytes`, `Immutable` and `KnownLayout` needs \
            `impl sysvring::Message for T {{}}`",
    note = "`String`, `Vec` and other types with pointers do not travel between processes"
)]
pub trait Message: TryFromBytes + IntoBytes + Immutable + KnownLayout {
    /// Returns the structure of this type, which both sides of a channel compare when it is opened; by
    /// default only the size is known. It must have the size of the type, names of letters, digits and
    /// underscores, at most 64 structures inside one another, and a text of at most 65,536 bytes:
    /// otherwise opening fails with [`Error::InvalidOption`](crate::Error::InvalidOption).
    fn structure() -> Structure {
        Structure::Opaque { size: if is_variable::<Self>() { None } else { size_with::<Self>(0) } }
    }
}

/// The layout of a message type, on which both sides of a channel must agree. It is compared when a
/// channel is opened, after the [structures](Message::structure) of the types; if a side does not describe
/// itself, nothing but the layout is compared.
///
/// ```
/// use sysvring::MessageLayout;
///
/// let tick = MessageLayout::of::<u64>();
/// assert_eq!((tick.variable, tick.size, tick.align), (false, 8, 8));
/// let words = MessageLayout::of::<[u32]>();
/// assert_eq!((words.variable, words.size, words.element), (true, 0, 4));
/// assert!(words.allows(12) && !words.allows(13));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLayout {
    /// Whether messages have variable length.
    pub variable: bool,
    /// Size in bytes of a message, or of the part before its trailing slice.
    pub size: usize,
    /// Size in bytes of one element of the trailing slice; 0 for messages of one size.
    pub element: usize,
    /// Alignment of a message in bytes, at most 4096; 0 for a type with a larger one, which no
    /// channel can have.
    pub align: usize,
}

impl MessageLayout {
    /// Returns the layout of a type.
    pub fn of<T: Message + ?Sized>() -> MessageLayout {
        let variable = is_variable::<T>();
        let size = size_with::<T>(0).unwrap_or(usize::MAX);
        let element = if variable { element_of::<T>(size) } else { 0 };
        MessageLayout { variable, size, element, align: align_of_message::<T>(size) }
    }

    /// Returns whether a message can be `len` bytes long, if its slot is large enough: exactly
    /// [`size`](MessageLayout::size), or, with variable length, that and any number of elements.
    pub const fn allows(&self, len: usize) -> bool {
        match len.checked_sub(self.size) {
            Some(rest) if self.variable => rest.is_multiple_of(self.element),
            Some(rest) => rest == 0,
            None => false,
        }
    }
}

/// What a handle requires of the messages of its channel.
#[derive(Clone, Debug)]
pub(crate) struct MessageType {
    pub(crate) layout: MessageLayout,
    /// `None` for a handle of bytes, which knows no type.
    pub(crate) structure: Option<Structure>,
}

impl MessageType {
    /// Returns that of a typed handle.
    pub(crate) fn of<T: Message + ?Sized>() -> MessageType {
        MessageType { layout: MessageLayout::of::<T>(), structure: Some(T::structure()) }
    }

    /// Returns that of a handle of bytes.
    pub(crate) fn bytes() -> MessageType {
        MessageType { layout: MessageLayout::of::<[u8]>(), structure: None }
    }
}

/// Returns whether messages of this type differ in length.
#[inline(always)]
pub(crate) const fn is_variable<T: Message + ?Sized>() -> bool {
    size_of::<T::PointerMetadata>() != 0
}

impl fmt::Display for MessageLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageLayout { variable, size, element, align } = self;
        match variable {
            false => write!(f, "{size} bytes aligned to {align}"),
            true => write!(f, "{size} bytes and elements of {element}, aligned to {align}"),
        }
    }
}

/// Returns the size of a `T` whose trailing slice has `elements` elements (ignored for sized
/// types).
pub(crate) fn size_with<T: Message + ?Sized>(elements: usize) -> Option<usize> {
    // SAFETY: pointer metadata is `()` for sized types and `usize` for those that end in a slice
    // (documented by zerocopy); `()` reads nothing of the value.
    let metadata = unsafe { core::mem::transmute_copy(&elements) };
    T::size_for_metadata(metadata)
}

/// Returns the size of one more element: types that implement `IntoBytes` have no padding after the
/// slice.
fn element_of<T: Message + ?Sized>(base: usize) -> usize {
    size_with::<T>(1).map_or(0, |size| size.saturating_sub(base))
}

/// Returns the alignment of `T`, or 0 if it is above [`SLOTS_ALIGN`].
///
/// For a type that ends in a slice there is no value here to query, and zerocopy does not expose
/// the alignment; but its errors distinguish a misaligned reference from every other refusal.
fn align_of_message<T: Message + ?Sized>(size: usize) -> usize {
    const FIRST: usize = 2 * SLOTS_ALIGN;
    let Some(len) = size.checked_add(2 * FIRST).filter(|&len| len <= isize::MAX as usize) else {
        return 0;
    };
    let zeros = vec![0u8; len];
    let start = zeros.as_ptr().align_offset(FIRST);
    let mut align = 1;
    while align <= SLOTS_ALIGN {
        let bytes = &zeros[start + align..][..size];
        if !matches!(T::try_ref_from_bytes(bytes), Err(TryCastError::Alignment(_))) {
            return align;
        }
        align *= 2;
    }
    0
}

/// Copies `len` bytes of a slot to private memory.
///
/// Another process may violate the protocol and write there at the same time. In Rust such a read
/// is undefined behaviour unless it is atomic or not made by compiled Rust code: words are read as
/// relaxed atomics, and pairs of words, where that is faster, in assembly. The copy then holds
/// arbitrary bytes, and is validated afterwards.
///
/// # Safety
/// `from` must be aligned to 8 and valid for reads of `len` rounded up to 8, `to` valid for writes
/// of `len`.
#[inline(always)]
pub(crate) unsafe fn copy_out(from: NonNull<u8>, to: *mut u8, len: usize) {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    while len - done >= 16 {
        // SAFETY: two whole words are left on both sides.
        unsafe {
            let words = pair(from.as_ptr().add(done));
            to.add(done).copy_from_nonoverlapping((&raw const words).cast(), 16);
        }
        done += 16;
    }
    while len - done >= 8 {
        // SAFETY: a whole word is left on both sides.
        unsafe { to.add(done).cast::<u64>().write_unaligned(word(from, done)) };
        done += 8;
    }
    if done != len {
        // SAFETY: the slot is padded to whole words; fewer bytes than a word are left in `to`.
        unsafe {
            let rest = word(from, done).to_ne_bytes();
            to.add(done).copy_from_nonoverlapping(rest.as_ptr(), len - done);
        }
    }
}

/// Copies the bytes of a message to a slot of an SPSC ring.
///
/// A short message was usually written just before, field by field. A load of 16 bytes that spans
/// two of those stores cannot be forwarded from the store buffer: it waits until both are in the
/// cache, after all earlier stores to slots, each of which waits for a line from the other
/// processor. So words are copied one by one.
///
/// # Safety
/// `to` must be aligned to 8 and valid for writes of the bytes, and no process may read there.
#[inline(always)]
pub(crate) unsafe fn copy_in(message: &[u8], to: NonNull<u8>) {
    let (from, len) = (message.as_ptr(), message.len());
    if len > BY_WORDS || len % 8 != 0 {
        // SAFETY: the caller's contract.
        unsafe { to.as_ptr().copy_from_nonoverlapping(from, len) };
        return;
    }
    for offset in (0..len).step_by(8) {
        // SAFETY: a whole word is left on both sides.
        unsafe {
            let word = from.add(offset).cast::<u64>().read_unaligned();
            // An atomic store, because the compiler would merge others into larger ones.
            to.add(offset).cast::<AtomicU64>().as_ref().store(word, Ordering::Relaxed);
        }
    }
}

/// The maximum length of a message that is copied by words, in bytes.
const BY_WORDS: usize = 128;

/// Loads one word of a slot.
///
/// # Safety
/// `offset` must be a multiple of 8, and a word must lie there.
#[inline(always)]
unsafe fn word(from: NonNull<u8>, offset: usize) -> u64 {
    // SAFETY: the caller's contract; every bit pattern is a u64.
    unsafe { from.add(offset).cast::<AtomicU64>().as_ref() }.load(Ordering::Relaxed)
}

/// Loads two words of a slot with one SSE2 load, which every x86-64 processor supports. It is
/// faster than single words (docs/design/experiments.md).
///
/// # Safety
/// 16 bytes must be readable there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn pair(from: *const u8) -> core::arch::x86_64::__m128i {
    let pair;
    // SAFETY: reads 16 bytes, as the caller allows, and writes the register named here.
    unsafe {
        core::arch::asm!(
            "movups {pair}, [{from}]",
            from = in(reg) from,
            pair = out(xmm_reg) pair,
            options(nostack, preserves_flags, readonly),
        );
    }
    pair
}

/// Copies a message out of its slot. Returns whether the copy, private by then, is a valid `T`.
///
/// # Safety
/// As for [`copy_out`], with the size of `T`.
#[inline(always)]
pub(crate) unsafe fn read<T: Message>(from: NonNull<u8>, to: &mut MaybeUninit<T>) -> bool {
    let start = to.as_mut_ptr().cast::<u8>();
    // SAFETY: the caller's contract; `to` has room for a `T`.
    unsafe { copy_out(from, start, size_of::<T>()) };
    // SAFETY: all of them were just written.
    let bytes = unsafe { core::slice::from_raw_parts(start, size_of::<T>()) };
    T::try_ref_from_bytes(bytes).is_ok()
}

/// Like [`read`], into an existing value of a type for which all bytes are valid.
///
/// # Safety
/// As for [`copy_out`], with the size of `T`.
#[inline(always)]
pub(crate) unsafe fn read_over<T: Message + FromBytes>(from: NonNull<u8>, to: &mut T) {
    // SAFETY: the caller's contract; `to` is a `T`, and remains one whatever is written.
    unsafe { copy_out(from, core::ptr::from_mut(to).cast(), size_of::<T>()) };
}

/// Like [`read`], for a message of any kind and `len` bytes.
///
/// # Safety
/// As for [`copy_out`].
pub(crate) unsafe fn read_boxed<T: Message + ?Sized>(
    from: NonNull<u8>,
    len: usize,
    align: usize,
) -> Option<Box<T>> {
    let layout = Layout::from_size_align(len, align).ok()?;
    let start = match len {
        // As `Box` does for a value of size zero.
        0 => NonNull::new(core::ptr::without_provenance_mut(align)),
        // SAFETY: the layout has a non-zero size.
        _ => NonNull::new(unsafe { alloc(layout) }),
    }
    .unwrap_or_else(|| handle_alloc_error(layout));
    // SAFETY: the caller's contract; `start` has room for `len` bytes.
    unsafe { copy_out(from, start.as_ptr(), len) };
    // SAFETY: all of them were just written, and there is no other reference to them.
    let bytes = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) };
    match T::try_mut_from_bytes(bytes) {
        // SAFETY: a value of exactly `len` bytes and this alignment, in memory of that layout.
        Ok(message) => Some(unsafe { Box::from_raw(message) }),
        Err(_) if len == 0 => None,
        Err(_) => {
            // SAFETY: allocated above, with this layout.
            unsafe { dealloc(start.as_ptr(), layout) };
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Message for Lines {}
    impl Message for Wide {}
    impl Message for TooWide {}

    #[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Lines {
        file: u32,
        first: u32,
        text: [u32],
    }

    #[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C, align(64))]
    struct Wide([u8; 64]);

    #[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C, align(8192))]
    struct TooWide([u8; 8192]);

    fn shape(variable: bool, size: usize, element: usize, align: usize) -> MessageLayout {
        MessageLayout { variable, size, element, align }
    }

    #[test]
    fn shapes() {
        assert_eq!(MessageLayout::of::<u64>(), shape(false, 8, 0, 8));
        assert_eq!(MessageLayout::of::<()>(), shape(false, 0, 0, 1));
        assert_eq!(MessageLayout::of::<[u8; 5]>(), shape(false, 5, 0, 1));
        assert_eq!(MessageLayout::of::<u128>(), shape(false, 16, 0, align_of::<u128>()));
        assert_eq!(MessageLayout::of::<bool>(), shape(false, 1, 0, 1));
        assert_eq!(MessageLayout::of::<Wide>(), shape(false, 64, 0, 64));
        assert_eq!(MessageLayout::of::<TooWide>().align, 0);
        assert_eq!(MessageLayout::of::<[u8]>(), shape(true, 0, 1, 1));
        assert_eq!(MessageLayout::of::<str>(), shape(true, 0, 1, 1));
        assert_eq!(MessageLayout::of::<[u32]>(), shape(true, 0, 4, 4));
        assert_eq!(MessageLayout::of::<Lines>(), shape(true, 8, 4, 4));
    }

    #[test]
    fn possible_lengths() {
        let allowed = |layout: MessageLayout| -> Vec<usize> {
            (0..=20).filter(|&len| layout.allows(len)).collect()
        };
        assert_eq!(allowed(shape(false, 8, 0, 8)), [8]);
        assert_eq!(allowed(shape(false, 0, 0, 1)), [0]);
        // A header may contain any element.
        assert_eq!(allowed(shape(false, 8, 4, 8)), [8]);
        assert_eq!(allowed(shape(true, 0, 4, 4)), [0, 4, 8, 12, 16, 20]);
        assert_eq!(allowed(shape(true, 10, 3, 1)), [10, 13, 16, 19]);
        assert_eq!(allowed(shape(true, 8, 0, 4)), [8]);
        assert_eq!(allowed(shape(true, usize::MAX, 1, 1)), []);
        assert_eq!(allowed(shape(true, 0, usize::MAX, 1)), [0]);
    }

    #[test]
    fn copies_every_length() {
        let words: Vec<u64> =
            (0..25).map(|i| 0x0807_0605_0403_0201u64.wrapping_mul(i + 1)).collect();
        let from = NonNull::from(words.as_slice()).cast::<u8>();
        for len in 0..=200 {
            let mut to = vec![0xEEu8; len + 1];
            // SAFETY: 200 bytes lie behind `from`, `len` and more behind `to`.
            unsafe { copy_out(from, to.as_mut_ptr(), len) };
            assert_eq!(to[..len], words.as_bytes()[..len]);
            assert_eq!(to[len], 0xEE);
        }
    }

    #[test]
    fn copies_every_length_into_a_slot() {
        let message: Vec<u8> = (0..=200).collect();
        for len in 0..=200 {
            let mut slot = [0xEEEE_EEEE_EEEE_EEEEu64; 26];
            // At an odd address, which a message can have.
            let bytes = &message[1..][..len];
            // SAFETY: 208 bytes lie there.
            unsafe { copy_in(bytes, NonNull::from(&mut slot).cast()) };
            assert_eq!(&slot.as_bytes()[..len], bytes);
            assert!(slot.as_bytes()[len..].iter().all(|byte| *byte == 0xEE));
        }
    }

    #[test]
    fn invalid_bytes_are_refused() {
        let words = [7u64];
        // SAFETY: one word lies there.
        unsafe {
            let from = NonNull::from(&words).cast();
            assert!(!read::<bool>(from, &mut MaybeUninit::uninit()));
            let mut byte = MaybeUninit::uninit();
            assert!(read::<u8>(from, &mut byte) && byte.assume_init() == 7);
        }
    }
}

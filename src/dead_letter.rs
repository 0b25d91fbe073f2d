//! What the messages of a dead-letter channel look like.

use core::fmt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::message::Message;
use crate::ring::slot_state::DELIVERIES_SHOWN;
use crate::structure::Structure;

/// The number of bytes before the message.
const HEAD: usize = 16;

/// A message of a dead-letter channel: a message that its receivers rejected, or that was delivered
/// as often as its channel permits.
///
/// [`Options::dead_letters`](crate::Options::dead_letters) names the channel that these messages are moved to: an ordinary MPMC
/// channel of this message type.
///
/// ```
/// use sysvring::{DeadLetter, Lifetime, Options, mpmc};
///
/// # fn main() -> Result<(), sysvring::Error> {
/// let name = format!("doc-dead-letters-{}", std::process::id());
/// let letters: mpmc::Receiver<DeadLetter> =
///     Options::named(&name).slot_size(256).lifetime(Lifetime::LastMember).create()?;
///
/// let jobs: mpmc::Sender<u64> = Options::private().dead_letters(&name, 3).create()?;
/// let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?;
/// jobs.send(&7)?;
/// worker.recv_ref()?.reject()?;
///
/// let letter = letters.recv_ref()?;
/// assert_eq!(letter.message::<u64>(), Some(&7));
/// assert_eq!((letter.source_position(), letter.deliveries()), (0, 1));
/// letter.ack()?;
/// # Ok(()) }
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DeadLetter {
    position: U64,
    nonce: U32,
    deliveries: U32,
    payload: [u8],
}

impl Message for DeadLetter {
    fn structure() -> Structure {
        Structure::of_struct(
            "DeadLetter",
            [
                ("position", U64::structure()),
                ("nonce", U32::structure()),
                ("deliveries", U32::structure()),
                ("payload", <[u8]>::structure()),
            ],
        )
    }
}

impl DeadLetter {
    /// Returns the `slot_size` that a dead-letter channel needs for messages of this length in
    /// bytes.
    pub const fn slot_size(message_len: usize) -> usize {
        (HEAD + message_len).next_multiple_of(8)
    }

    /// Returns the position that the message had in its channel. With
    /// [`source_nonce`](DeadLetter::source_nonce) it identifies the message: a receiver that is
    /// killed while it moves a message can cause a second letter with the same two numbers.
    pub fn source_position(&self) -> u64 {
        self.position.get()
    }

    /// Returns the nonce of the message's channel: the second number of the text of its
    /// [`ChannelId`](crate::ChannelId).
    pub fn source_nonce(&self) -> u32 {
        self.nonce.get()
    }

    /// Returns how often the message was delivered before it was moved; 16 stands for 16 or more.
    pub fn deliveries(&self) -> u8 {
        self.deliveries.get().min(DELIVERIES_SHOWN.into()) as u8
    }

    /// Returns the bytes of the message.
    pub fn bytes(&self) -> &[u8] {
        &self.payload
    }

    /// Sets everything but the message.
    pub(crate) fn describe(&mut self, position: u64, nonce: u32, deliveries: u8) {
        self.position.set(position);
        self.nonce.set(nonce);
        self.deliveries.set(deliveries.into());
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.payload
    }

    /// Returns the message; `None` if the bytes are not a valid `T`. Received in place, a message
    /// is aligned for types whose alignment is at most 8.
    pub fn message<T: Message + ?Sized>(&self) -> Option<&T> {
        T::try_ref_from_bytes(&self.payload).ok()
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("source_position", &self.source_position())
            .field("source_nonce", &self.source_nonce())
            .field("deliveries", &self.deliveries())
            .field("bytes", &self.bytes())
            .finish()
    }
}

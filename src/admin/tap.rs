//! Reading the messages of a channel without joining it: the read-only [`Tap`].

use std::thread;
use std::time::Duration;

use super::locate::{FoundSegment, find_channel};
use crate::address::{Address, ChannelId};
use crate::error::{Error, Fault};
use crate::liveness::ChannelSemaphores;
use crate::message;
use crate::message::MessageLayout;
use crate::ring::tap::{Follower, Tapped as Found};
use crate::ring::{Ring, Slot};
use crate::segment::ChannelInfo;
use crate::structure::Structure;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::Errno;
use crate::sysv::sem::Set;
use crate::sysv::shm::{self, Mapping};
use crate::sysv::time::{self, Deadline};

/// The first pause of a waiting tap. Each one is twice as long as the last one, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// The minimum time between two questions to the kernel whether the channel was removed, in
/// nanoseconds.
const ASK_EVERY: u64 = 1_000_000;

/// Where a [`Tap`] starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TapStart {
    /// With the next message that is sent. In an MPMC channel, one whose slot was reserved before is
    /// left out if a later one was sent already.
    #[default]
    Now,
    /// With the oldest message that can still be read. It may have been received long ago: a
    /// message stays in its slot until another one is written there.
    Oldest,
    /// At this position, as [`Tap::position`] returned it. What was overwritten since then counts as
    /// [missed](Tap::missed). A position that was not sent yet is waited for. Positions of another
    /// channel mean nothing here: compare [`Tap::id`] before.
    Position(u64),
}

/// What a [`Tap`] tells about a message that it copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tapped {
    /// The position of the message.
    pub position: u64,
    /// Number of positions that were [missed](Tap::missed) between the last message and this one.
    pub missed: u64,
}

/// A read-only view of the messages of one channel. It does not join the channel: it takes no seat,
/// acknowledges nothing, and no member waits for it or can find out about it. Read permission is
/// sufficient.
///
/// A tap copies each message, received or not, in the order of positions. It cannot slow down the
/// senders, so they overtake it where they are faster: such messages are counted as
/// [missed](Tap::missed). A copy that may contain a part of another message is thrown away and
/// counted likewise. The bytes are those that the sender wrote; whether they are a valid message of
/// the channel's type is for the caller to check, for example with
/// [`FromBytes::read_from_bytes`](zerocopy::FromBytes::read_from_bytes).
///
/// How much a tap finds that keeps up: in an SPSC or broadcast channel every message that was not
/// acknowledged, and of the others the last `capacity` without 1 KiB of slots, or 8 slots if those are longer. So a small
/// ring that was drained shows nothing. In an MPMC channel it finds messages whose slot was not claimed
/// again, except for some that receivers held for a lap. There, a message that is still being written
/// holds up the tap as it holds up receivers. A tap that was overtaken gives up a quarter of the ring
/// beside what was overwritten, so that it is not overtaken again at once, and counts all of it as
/// missed.
///
/// The segment stays attached, read-only, as long as the tap exists, and with it the memory of a
/// channel that was removed. A tap works in a forked child, too.
///
/// *Trust.* A process that may write to the segment can make a tap miss messages and return any
/// bytes, but not more of them than a slot holds, and cannot cause undefined behaviour.
///
/// ```
/// use sysvring::{Options, Tap, TapStart, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<u64> = Options::private().capacity(1024).create()?;
/// let mut tap = Tap::open(tx.id(), TapStart::Oldest)?;
/// tx.send_batch(&[7, 8])?;
///
/// let mut message = Vec::new();
/// while let Some(tapped) = tap.try_next(&mut message)? {
///     println!("{}: {message:02x?}", tapped.position);
/// }
/// assert_eq!((tap.seen(), tap.missed(), tap.position()), (2, 0, 2));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Tap {
    follower: Follower,
    slot: SlotContents,
    channel: ChannelState,
    structure: Option<Structure>,
    /// The number of missed positions at the last message.
    missed_before: u64,
    fault: Option<Fault>,
}

impl Tap {
    /// Attaches a channel and starts at a position.
    ///
    /// # Errors
    /// As [`Observer::open`](crate::Observer::open).
    pub fn open(address: impl Into<Address>, start: TapStart) -> Result<Tap, Error> {
        let address = address.into();
        let found = find_channel(&address)?;
        Tap::of(found, start)
    }

    /// Returns a tap of an attached channel.
    pub(super) fn of(found: FoundSegment, start: TapStart) -> Result<Tap, Error> {
        let FoundSegment { mapping, stat, facts } = found;
        let ChannelInfo { flavor, geometry, structure, set, nonce, .. } = facts?;
        // SAFETY: the geometry was checked against this segment; the mapping is dropped with the
        // ring, which is used nowhere else.
        let ring = unsafe { Ring::new(mapping.base(), &geometry) };
        let position = match start {
            TapStart::Now => ring.tap_from_now(flavor),
            TapStart::Oldest => ring.tap_from_oldest(flavor),
            TapStart::Position(position) => position,
        };
        // If that is not supported, a dump has the messages in it.
        let _ = mapping.leave_out_of_dumps(stat.size, None);
        let id = ChannelId { segment: stat.id, nonce };
        let is_private = stat.key == 0;
        Ok(Tap {
            follower: Follower::new(ring, flavor, position),
            slot: SlotContents { shape: geometry.shape, slot_size: geometry.slot_size },
            channel: ChannelState { _mapping: mapping, id, set, is_private, asked_at: 0 },
            structure,
            missed_before: 0,
            fault: None,
        })
    }

    /// Copies the next message into `message`, in place of what is there, and returns its position.
    /// Returns `None`, and an empty `message`, if there is none now. Makes no system call while there
    /// are messages; otherwise it asks the kernel now and then whether the channel still exists.
    ///
    /// # Errors
    /// [`Error::Fault`]: [`Fault::Removed`] if the channel or its semaphore set was removed and all
    /// messages were read, [`Fault::Corrupt`]. Every later call returns the same fault.
    pub fn try_next(&mut self, message: &mut Vec<u8>) -> Result<Option<Tapped>, Error> {
        match self.poll(message)? {
            Poll::Message(tapped) => Ok(Some(tapped)),
            Poll::Nothing | Poll::Overtaken => Ok(None),
        }
    }

    /// Does the same, and waits for a message for at most `timeout`.
    ///
    /// A process that may only read cannot be woken. So the call pauses and looks again: after 50
    /// microseconds at first, then after twice the time, up to 5 milliseconds. A message is returned
    /// that much late. After a message, the pauses are short again.
    ///
    /// # Errors
    /// As [`try_next`](Tap::try_next).
    pub fn next_timeout(
        &mut self,
        message: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<Option<Tapped>, Error> {
        let deadline = Deadline::after(timeout);
        let left = || deadline.map_or(PAUSE_MAX, |deadline| deadline.remaining());
        let mut pause = PAUSE_FIRST;
        loop {
            match self.poll(message)? {
                Poll::Message(tapped) => return Ok(Some(tapped)),
                _ if left().is_zero() => return Ok(None),
                Poll::Overtaken => {}
                Poll::Nothing => {
                    thread::sleep(pause.min(left()));
                    pause = (2 * pause).min(PAUSE_MAX);
                }
            }
        }
    }

    fn poll(&mut self, message: &mut Vec<u8>) -> Result<Poll, Fault> {
        if let Some(fault) = self.fault {
            message.clear();
            return Err(fault);
        }
        let found = self.look(message).and_then(|found| match found {
            Poll::Nothing if self.channel.is_removed() => match self.look(message)? {
                // Nothing is sent any more, except by members that have not noticed it yet.
                Poll::Nothing => Err(Fault::Removed),
                found => Ok(found),
            },
            found => Ok(found),
        });
        if !matches!(found, Ok(Poll::Message(_))) {
            message.clear();
        }
        self.fault = found.as_ref().err().copied();
        found
    }

    fn look(&mut self, message: &mut Vec<u8>) -> Result<Poll, Fault> {
        let slot = self.slot;
        match self.follower.next(|_, at| slot.copy(at, message))? {
            Found::Message { copy: false, .. } => {
                Err(Fault::Corrupt { what: "the length of a message exceeds the slot size" })
            }
            Found::Message { position, copy: true } => {
                let missed = self.missed();
                let before = core::mem::replace(&mut self.missed_before, missed);
                Ok(Poll::Message(Tapped { position, missed: missed.wrapping_sub(before) }))
            }
            Found::Nothing => Ok(Poll::Nothing),
            Found::Overtaken => Ok(Poll::Overtaken),
        }
    }

    /// Returns whether the message of a position waits in the channel: it was sent, and no receiver has
    /// acknowledged it yet.
    ///
    /// ```
    /// use sysvring::{Options, Tap, TapStart, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[7, 8])?;
    /// rx.recv()?;
    /// let tap = Tap::open(tx.id(), TapStart::Oldest)?;
    /// assert!(!tap.is_waiting(0) && tap.is_waiting(1) && !tap.is_waiting(2));
    /// # Ok(()) }
    /// ```
    pub fn is_waiting(&self, position: u64) -> bool {
        self.follower.is_waiting(position)
    }

    /// Returns the next position. A tap that starts there, also in another process, continues where
    /// this one is.
    pub fn position(&self) -> u64 {
        self.follower.position()
    }

    /// Returns the number of messages that were copied.
    pub fn seen(&self) -> u64 {
        self.follower.counts().seen
    }

    /// Returns the number of positions that were given up: overwritten before they were read, or
    /// perhaps while they were. In an MPMC channel, some of them may have held no message.
    pub fn missed(&self) -> u64 {
        self.follower.counts().missed
    }

    /// Returns the number of positions that were passed because no message was sent there; only in
    /// MPMC channels. A position is abandoned if its sender dies or drops a loan, and stepped over
    /// while an older message in its slot is not acknowledged.
    ///
    /// An abandoned position may still be claimed again by a sender that was stopped just before it
    /// did so; such a message is not returned if the tap has passed the position by then.
    pub fn unsent(&self) -> u64 {
        self.follower.counts().unsent
    }

    /// Returns the structure of the channel's messages; `None` if the type of its creator does not describe
    /// itself. A process that may write to the segment can make it any structure whose size is that of the
    /// messages.
    ///
    /// ```
    /// use sysvring::{Options, Tap, TapStart, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let pixels: mpmc::Sender<[[u8; 3]]> = Options::private().create()?;
    /// let tap = Tap::open(pixels.id(), TapStart::Now)?;
    /// let structure = tap.structure().map(|structure| structure.to_string());
    /// assert_eq!(structure.as_deref(), Some("[[u8; 3]]"));
    /// # Ok(()) }
    /// ```
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }

    /// Returns the identifier of the channel.
    pub fn id(&self) -> ChannelId {
        self.channel.id
    }
}

/// The outcome of one look.
#[derive(Debug)]
enum Poll {
    Message(Tapped),
    Nothing,
    Overtaken,
}

/// How a message lies in its slot, by the private copy of the geometry.
#[derive(Clone, Copy, Debug)]
struct SlotContents {
    shape: MessageLayout,
    slot_size: usize,
}

impl SlotContents {
    /// Copies a message that may be overwritten meanwhile. Returns whether its length is possible.
    fn copy(self, slot: Slot<'_>, to: &mut Vec<u8>) -> bool {
        to.clear();
        let len = match self.shape.variable {
            true => usize::try_from(slot.length().load(Relaxed)).unwrap_or(usize::MAX),
            false => self.shape.size,
        };
        if len > self.slot_size {
            return false;
        }
        to.reserve(len);
        // SAFETY: the payload is aligned to 8, and its slot has room for the slot size rounded up to
        // 8; `to` has room for `len` bytes, all of which are written.
        unsafe {
            message::copy_out(slot.payload(), to.as_mut_ptr(), len);
            to.set_len(len);
        }
        true
    }
}

/// The attached channel, and whether it still exists.
#[derive(Debug)]
struct ChannelState {
    /// Keeps the segment attached.
    _mapping: Mapping,
    id: ChannelId,
    set: i32,
    /// Whether the segment has no key. Then it is marked for removal as long as it exists.
    is_private: bool,
    /// When the kernel was asked, in nanoseconds of the monotonic clock.
    asked_at: u64,
}

impl ChannelState {
    /// Returns whether the channel was removed, as far as that is known or due to be asked.
    fn is_removed(&mut self) -> bool {
        let now = time::coarse_ns();
        if now.wrapping_sub(self.asked_at) < ASK_EVERY {
            return false;
        }
        self.asked_at = now;
        self.has_lost_set() || self.has_lost_key()
    }

    /// Returns whether the set does not exist any more, or is another one. It stays unknown if the
    /// set may not be read.
    fn has_lost_set(&self) -> bool {
        match ChannelSemaphores::new(Set::from_id(self.set)).nonce() {
            Ok(nonce) => nonce != self.id.nonce,
            Err(errno) => matches!(errno, Errno::EIDRM | Errno::EINVAL),
        }
    }

    /// Returns whether the segment was removed.
    fn has_lost_key(&self) -> bool {
        !self.is_private && shm::stat(self.id.segment).is_ok_and(|stat| stat.marked_for_removal)
    }
}

//! The public calls that turn [`Options`] into a handle.

use super::{Kind, OpenMode, open, text_of};
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::message::MessageType;
use crate::options::Options;
use crate::os_error::Call;
use crate::role::Side;
use crate::sysv::Errno;
use crate::wait::adaptive_spin::Wait;

impl Options {
    /// Opens the channel, creating it if it does not exist. The handle type selects the role.
    ///
    /// # Errors
    /// Every [`Error`] except [`AlreadyExists`](Error::AlreadyExists). The most common are:
    ///
    /// - [`SeatTaken`](Error::SeatTaken) (SPSC, and the sender of a broadcast channel) or
    ///   [`NoSeat`](Error::NoSeat) (MPMC, and receivers of a broadcast channel) if no seat is free: wait
    ///   for a member to leave, or end it;
    /// - [`TypeMismatch`](Error::TypeMismatch) and [`OptionMismatch`](Error::OptionMismatch) if the
    ///   channel exists with another message type or option: use the same on both sides, or remove
    ///   the channel;
    /// - [`PermissionDenied`](Error::PermissionDenied) if the channel's mode excludes this user:
    ///   ask its owner for another mode;
    /// - [`Limit`](Error::Limit) if a limit of the system is reached: the error says which and what
    ///   to do.
    pub fn open<H: Handle>(self) -> Result<H, Error> {
        self.reach(OpenMode::Open)
    }

    /// Creates the channel; fails if it already exists.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if the channel exists: use [`open`](Options::open), or remove it
    /// first. [`Error::InvalidOption`] for [`Options::id`], since the kernel chooses identifiers, and for
    /// the name of another [`owner`](Options::owner). Otherwise as for [`open`](Options::open).
    pub fn create<H: Handle>(self) -> Result<H, Error> {
        self.reach(OpenMode::Create)
    }

    /// Attaches to an existing channel; fails if it does not exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such channel: start its creator first, or use
    /// [`open`](Options::open). [`Error::InvalidOption`] for [`Options::private`], which has no address:
    /// use [`Options::id`]. Otherwise as for [`open`](Options::open).
    pub fn attach<H: Handle>(self) -> Result<H, Error> {
        self.reach(OpenMode::Attach)
    }

    fn reach<H: Handle>(self, how: OpenMode) -> Result<H, Error> {
        let kind = Kind { flavor: H::FLAVOR, message: H::message_type(), takes_any: H::TAKES_ANY };
        let handle = open(&self, how, H::SIDE, kind)
            .and_then(|attachment| H::from_attachment(attachment, self.wait));
        handle.map_err(|error| self.name_channel(error))
    }

    /// Names the channel in an error that a handle of it returned.
    fn name_channel(&self, error: Error) -> Error {
        let channel = text_of(self.address.as_ref());
        match error {
            Error::Fault(Fault::Corrupt { what }) => Error::Corrupt { channel, what },
            Error::Fault(Fault::System { call, errno }) => {
                Call::new(call, &channel).error(Errno(errno))
            }
            error => error,
        }
    }
}

/// A type that [`Options`] can open: the senders and receivers of [`spsc`](crate::spsc),
/// [`mpmc`](crate::mpmc), [`broadcast`](crate::broadcast) and [`untyped`](crate::untyped).
pub trait Handle: sealed::Sealed + Sized {}

pub(crate) mod sealed {
    use super::{Attachment, Error, Flavor, MessageType, Side, Wait};

    /// The parts of a handle; out of reach for users, so that no other type can be a handle.
    pub trait Sealed: Sized {
        /// The flavor of the channels that it creates.
        #[doc(hidden)]
        const FLAVOR: Flavor;
        /// Whether it attaches to channels of any flavor and shape.
        #[doc(hidden)]
        const TAKES_ANY: bool = false;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        const SIDE: Side;
        /// The messages of the channels that it creates.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        fn message_type() -> MessageType;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error>;
    }
}

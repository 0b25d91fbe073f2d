//! From options to a handle.

use super::{How, open};
use crate::endpoint::attachment::Attachment;
use crate::error::Error;
use crate::flavor::Flavor;
use crate::message::MessageLayout;
use crate::options::Options;
use crate::role::Side;
use crate::wait::adaptive_spin::Wait;

impl Options {
    /// Opens the channel, creating it if it is not there. The type asked for chooses the role.
    ///
    /// # Errors
    /// Every [`Error`] but [`AlreadyExists`](Error::AlreadyExists); above all
    /// [`SeatTaken`](Error::SeatTaken), [`TypeMismatch`](Error::TypeMismatch),
    /// [`OptionMismatch`](Error::OptionMismatch), [`PermissionDenied`](Error::PermissionDenied),
    /// [`Limit`](Error::Limit).
    pub fn open<H: Handle>(self) -> Result<H, Error> {
        self.reach(How::Open)
    }

    /// Creates the channel; fails if it is there.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], and as [`open`](Options::open).
    pub fn create<H: Handle>(self) -> Result<H, Error> {
        self.reach(How::Create)
    }

    /// Attaches to the channel; fails if it is not there.
    ///
    /// # Errors
    /// [`Error::NotFound`], and as [`open`](Options::open).
    pub fn attach<H: Handle>(self) -> Result<H, Error> {
        self.reach(How::Attach)
    }

    fn reach<H: Handle>(self, how: How) -> Result<H, Error> {
        let attachment = open(&self, how, H::FLAVOR, H::SIDE, H::shape())?;
        H::from_attachment(attachment, self.wait)
    }
}

/// What [`Options`] open: the senders and receivers of [`spsc`](crate::spsc) and
/// [`mpmc`](crate::mpmc).
pub trait Handle: sealed::Sealed + Sized {}

pub(crate) mod sealed {
    use super::{Attachment, Error, Flavor, MessageLayout, Side, Wait};

    /// What a handle is made of; out of reach for users, so that there are no other handles.
    pub trait Sealed: Sized {
        #[doc(hidden)]
        const FLAVOR: Flavor;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        const SIDE: Side;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        fn shape() -> MessageLayout;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error>;
    }
}

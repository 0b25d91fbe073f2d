//! Readiness: waiting for many handles at once, and for a handle by a file descriptor.

pub(crate) mod event;
pub(crate) mod readiness;
pub(crate) mod wait_set;

use crate::endpoint::Endpoint;
use crate::message::Message;
use crate::{mpmc, spsc};

/// A handle that can be waited for together with others: the senders and receivers of
/// [`spsc`](crate::spsc) and [`mpmc`](crate::mpmc).
pub trait Pollable: sealed::Sealed {}

pub(crate) mod sealed {
    use super::Endpoint;

    /// The part of a handle that is waited for; out of reach for users.
    pub trait Sealed {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "sealed")]
        fn endpoint(&self) -> &Endpoint;
    }
}

macro_rules! pollable {
    ($($handle:ty),+) => {$(
        impl<T: Message + ?Sized> Pollable for $handle {}

        #[expect(private_interfaces, reason = "sealed")]
        impl<T: Message + ?Sized> sealed::Sealed for $handle {
            fn endpoint(&self) -> &Endpoint {
                self.as_endpoint()
            }
        }
    )+};
}

pollable!(spsc::Sender<T>, spsc::Receiver<T>, mpmc::Sender<T>, mpmc::Receiver<T>);

//! Readiness: waiting for many handles at once, for a handle by a file descriptor, and in tasks.

pub(crate) mod event;
#[cfg(feature = "async")]
pub(crate) mod flush;
#[cfg(feature = "async")]
pub(crate) mod future;
#[cfg(feature = "async")]
pub(crate) mod peer;
#[cfg(feature = "async")]
pub(crate) mod reactor;
pub(crate) mod readiness;
#[cfg(feature = "async")]
pub(crate) mod sink;
#[cfg(feature = "async")]
pub(crate) mod stream;
pub(crate) mod wait_set;

use crate::endpoint::Endpoint;

/// A handle that can be waited for together with others: the senders and receivers of
/// [`spsc`](crate::spsc), [`mpmc`](crate::mpmc), [`broadcast`](crate::broadcast) and
/// [`untyped`](crate::untyped).
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

/// Makes handles pollable. They return their endpoints by `as_endpoint`.
macro_rules! pollable {
    ($($handle:ident),+) => {$(
        impl<T: $crate::Message + ?Sized> $crate::Pollable for $handle<T> {}

        #[expect(private_interfaces, reason = "sealed")]
        impl<T: $crate::Message + ?Sized> $crate::poll::sealed::Sealed for $handle<T> {
            fn endpoint(&self) -> &$crate::endpoint::Endpoint {
                self.as_endpoint()
            }
        }
    )+};
}

pub(crate) use pollable;

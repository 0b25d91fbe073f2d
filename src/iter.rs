//! Iterators over messages, for the receivers of every kind of channel.

use crate::error::RecvError;

/// Converts the result of a receive call to an iterator's item and sets `is_over` at the end. A fault
/// is returned once; after it, and at the end, the iterator returns `None`.
pub(crate) fn next<T>(
    result: Result<T, RecvError>,
    is_over: &mut bool,
) -> Option<Result<T, RecvError>> {
    match result {
        Err(RecvError::Disconnected | RecvError::Empty | RecvError::Behind { .. }) => {
            *is_over = true;
            None
        }
        Err(RecvError::Fault(_)) => {
            *is_over = true;
            Some(result)
        }
        other => Some(other),
    }
}

/// Defines the three iterators of a receiver; the second argument is how they borrow it.
macro_rules! iterators {
    ($receiver:ident, $borrowed:ty) => {
        $crate::iter::iterators! {
            /// A blocking iterator over messages; it ends when the channel is disconnected and
            /// drained, and after a fault. Made by [`Receiver::iter`].
            Iter<'a>, $borrowed, recv
        }
        $crate::iter::iterators! {
            /// A non-blocking iterator over messages; it ends when no message is available, and
            /// after a fault. Made by [`Receiver::try_iter`].
            TryIter<'a>, $borrowed, try_recv
        }
        $crate::iter::iterators! {
            /// A blocking iterator like [`Iter`] that owns its receiver.
            IntoIter, $receiver<T>, recv
        }

        impl<T: $crate::Message> IntoIterator for $receiver<T> {
            type Item = Result<T, $crate::RecvError>;
            type IntoIter = IntoIter<T>;

            fn into_iter(self) -> IntoIter<T> {
                IntoIter { receiver: self, is_over: false }
            }
        }
    };
    ($(#[$doc:meta])* $name:ident $(<$life:lifetime>)?, $receiver:ty, $call:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($life,)? T: $crate::Message> {
            receiver: $receiver,
            is_over: bool,
        }

        impl<$($life,)? T: $crate::Message> Iterator for $name<$($life,)? T> {
            type Item = Result<T, $crate::RecvError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.is_over {
                    return None;
                }
                $crate::iter::next(self.receiver.$call(), &mut self.is_over)
            }
        }

        impl<$($life,)? T: $crate::Message> core::iter::FusedIterator for $name<$($life,)? T> {}
    };
}

pub(crate) use iterators;

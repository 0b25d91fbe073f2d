//! Messages as iterators.

use core::iter::FusedIterator;

use super::Receiver;
use crate::error::RecvError;
use crate::message::Message;

/// A message, or why there is none. `None` at the end; after a fault, once it was told.
fn next<T>(result: Result<T, RecvError>, ended: &mut bool) -> Option<Result<T, RecvError>> {
    match result {
        Err(RecvError::Disconnected | RecvError::Empty) => {
            *ended = true;
            None
        }
        Err(RecvError::Fault(_)) => {
            *ended = true;
            Some(result)
        }
        other => Some(other),
    }
}

macro_rules! iterator {
    ($(#[$doc:meta])* $name:ident $(<$life:lifetime>)?, $receiver:ty, $call:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($life,)? T: Message> {
            receiver: $receiver,
            ended: bool,
        }

        impl<$($life,)? T: Message> $name<$($life,)? T> {
            pub(super) fn new(receiver: $receiver) -> Self {
                $name { receiver, ended: false }
            }
        }

        impl<$($life,)? T: Message> Iterator for $name<$($life,)? T> {
            type Item = Result<T, RecvError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.ended {
                    return None;
                }
                next(self.receiver.$call(), &mut self.ended)
            }
        }

        impl<$($life,)? T: Message> FusedIterator for $name<$($life,)? T> {}
    };
}

iterator! {
    /// Waits for each message; ends when the channel is drained and its sender gone, and after a
    /// fault. Made by [`Receiver::iter`].
    Iter<'a>, &'a mut Receiver<T>, recv
}

iterator! {
    /// The messages that are there; ends at the first moment without one. Made by
    /// [`Receiver::try_iter`].
    TryIter<'a>, &'a mut Receiver<T>, try_recv
}

iterator! {
    /// As [`Iter`], of a receiver of its own.
    IntoIter, Receiver<T>, recv
}

impl<'a, T: Message> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter::new(self)
    }
}

//! Handles of any flavor behind one pair of traits, so that a test is written once for all flavors. MPMC
//! handles take `&self` and the others `&mut self`; the traits take `&mut self`.
//!
//! An MPMC handle in an `Arc` implements the traits as well, for tests in which one handle lends
//! several slots: what it lends does not borrow the `Arc`.

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sysvring::mpmc::{self, Death};
use sysvring::zerocopy::{FromBytes, KnownLayout};
use sysvring::{
    BatchError, ChannelId, Error, Fault, Flavor, Handle, Interrupter, Message, Pollable, RecvError,
    SendError, Stat,
};
use sysvring::{broadcast, spsc};

/// A flavor as a type, which names the handles of its channels.
pub trait AnyFlavor: Debug + 'static {
    const FLAVOR: Flavor;
    type Sender<T: Message + ?Sized>: AnySender<T> + Handle + Pollable + Send;
    type Receiver<T: Message + ?Sized>: AnyReceiver<T> + Handle + Pollable + Send;
}

/// A flavor in which a message is received once, and of which a sender notices that all receivers are
/// gone.
pub trait TakingFlavor: AnyFlavor {}

impl TakingFlavor for Spsc {}
impl TakingFlavor for Mpmc {}

/// The flavor of SPSC channels.
#[derive(Debug)]
pub struct Spsc;

/// The flavor of MPMC channels.
#[derive(Debug)]
pub struct Mpmc;

/// The flavor of broadcast channels.
#[derive(Debug)]
pub struct Broadcast;

impl AnyFlavor for Broadcast {
    const FLAVOR: Flavor = Flavor::Broadcast;
    type Sender<T: Message + ?Sized> = broadcast::Sender<T>;
    type Receiver<T: Message + ?Sized> = broadcast::Receiver<T>;
}

impl AnyFlavor for Spsc {
    const FLAVOR: Flavor = Flavor::Spsc;
    type Sender<T: Message + ?Sized> = spsc::Sender<T>;
    type Receiver<T: Message + ?Sized> = spsc::Receiver<T>;
}

impl AnyFlavor for Mpmc {
    const FLAVOR: Flavor = Flavor::Mpmc;
    type Sender<T: Message + ?Sized> = mpmc::Sender<T>;
    type Receiver<T: Message + ?Sized> = mpmc::Receiver<T>;
}

/// The calls that all handles have in common.
pub trait AnyHandle {
    fn id(&self) -> ChannelId;
    fn stat(&self) -> Result<Stat, Error>;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool;
    fn is_full(&self) -> bool;
    fn capacity(&self) -> usize;
    fn slot_size(&self) -> usize;
    fn interrupter(&self) -> Interrupter;

    /// Returns the position of the next message, which MPMC handles do not know.
    fn position(&self) -> Option<u64>;

    /// Returns the deaths that an MPMC handle has not reported yet. An SPSC handle checks its peer
    /// instead, and reports none, as handles of broadcast channels do.
    fn deaths(&mut self) -> Result<Vec<Death>, Fault>;
}

/// A sender of any flavor.
pub trait AnySender<T: Message + ?Sized>: AnyHandle {
    type Loan<'a>: AnyLoan<T>
    where
        Self: 'a;

    fn try_send(&mut self, message: &T) -> Result<(), SendError>;
    fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendError>;
    fn try_send_batch(&mut self, messages: &[&T]) -> Result<(), BatchError>;
    fn flush(&mut self, timeout: Duration) -> Result<(), SendError>;
    fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendError>;
    /// Finishes. The handle must not be shared.
    fn finish(self) -> Result<(), Error>;
    fn try_loan(&mut self) -> Result<Self::Loan<'_>, SendError>
    where
        T: FromBytes + Sized;
    fn loan_timeout(&mut self, timeout: Duration) -> Result<Self::Loan<'_>, SendError>
    where
        T: FromBytes + Sized;
    fn try_loan_with(&mut self, elements: usize) -> Result<Self::Loan<'_>, SendError>
    where
        T: FromBytes + KnownLayout<PointerMetadata = usize>;
}

/// A receiver of any flavor.
pub trait AnyReceiver<T: Message + ?Sized>: AnyHandle {
    type Guard<'a>: AnyGuard<T>
    where
        Self: 'a;

    fn try_recv(&mut self) -> Result<T, RecvError>
    where
        T: Sized;
    fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError>
    where
        T: Sized;
    fn try_recv_into(&mut self, message: &mut T) -> Result<(), RecvError>
    where
        T: FromBytes + Sized;
    fn recv_into_timeout(&mut self, message: &mut T, timeout: Duration) -> Result<(), RecvError>
    where
        T: FromBytes + Sized;
    fn try_recv_batch(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError>
    where
        T: Sized;
    fn recv_batch_timeout(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, RecvError>
    where
        T: Sized;
    fn try_recv_boxed(&mut self) -> Result<Box<T>, RecvError>;
    fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<T>, RecvError>;
    fn try_recv_ref(&mut self) -> Result<Self::Guard<'_>, RecvError>;
    fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Self::Guard<'_>, RecvError>;
    fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvError>;
}

/// A loan of any flavor.
pub trait AnyLoan<T: Message + ?Sized>: DerefMut<Target = T> {
    /// Returns the position, which only MPMC loans know.
    fn position(&self) -> Option<u64>;
    fn truncate(&mut self, elements: usize)
    where
        T: FromBytes + KnownLayout<PointerMetadata = usize>;
    fn commit(self) -> Result<(), SendError>;
}

/// A guard of any flavor.
pub trait AnyGuard<T: Message + ?Sized>: Deref<Target = T> + Sized {
    fn position(&self) -> u64;
    fn delivery_count(&self) -> u8;
    fn ack(self) -> Result<(), RecvError>;
    fn release(self) -> Result<(), RecvError>;
    fn reject(self) -> Result<(), RecvError>;
    fn read<R>(self, f: impl FnOnce(&T) -> R) -> Result<R, RecvError>;
}

/// Implements methods by the inherent ones of the same names.
macro_rules! forward {
    ($handle:ty: $(
        fn $call:ident(&$($mut:ident)? $(, $arg:ident: $type:ty)*) -> $result:ty
        $(where $($bound:path),+)?;
    )*) => {
        $(fn $call(&$($mut)? self $(, $arg: $type)*) -> $result
        $(where T: $($bound +)+)?
        {
            <$handle>::$call(self $(, $arg)*)
        })*
    };
}

/// Implements what only one flavor has.
macro_rules! of_flavor {
    (spsc, $handle:ty) => {
        fn position(&self) -> Option<u64> {
            Some(<$handle>::position(self))
        }

        fn deaths(&mut self) -> Result<Vec<Death>, Fault> {
            self.peer().map(|_| Vec::new())
        }
    };
    (broadcast, $handle:ty) => {
        fn position(&self) -> Option<u64> {
            Some(<$handle>::position(self))
        }

        fn deaths(&mut self) -> Result<Vec<Death>, Fault> {
            Ok(Vec::new())
        }
    };
    (mpmc, $handle:ty) => {
        fn position(&self) -> Option<u64> {
            None
        }

        forward! { $handle: fn deaths(&mut) -> Result<Vec<Death>, Fault>; }
    };
}

/// Implements what a sender of a broadcast channel calls by another name.
macro_rules! wait_for_receiver {
    (broadcast) => {
        fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendError> {
            self.wait_for_receivers(1, timeout)
        }
    };
    ($module:ident) => {
        fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendError> {
            $module::Sender::<T>::wait_for_peer(self, timeout).map(drop)
        }
    };
}

/// Implements the traits for the handles of a flavor, or for shared ones.
macro_rules! implement {
    ($module:ident, $sender:ty, $receiver:ty, $finish:expr) => {
        implement!(@handle $module, $module::Sender<T>, $sender);
        implement!(@handle $module, $module::Receiver<T>, $receiver);

        impl<T: Message + ?Sized> AnySender<T> for $sender {
            type Loan<'a>
                = $module::Loan<'a, T>
            where
                Self: 'a;

            forward! { $module::Sender<T>:
                fn try_send(&mut, message: &T) -> Result<(), SendError>;
                fn send_timeout(&mut, message: &T, timeout: Duration) -> Result<(), SendError>;
                fn flush(&mut, timeout: Duration) -> Result<(), SendError>;
                fn try_loan(&mut) -> Result<Self::Loan<'_>, SendError> where FromBytes, Sized;
                fn loan_timeout(&mut, timeout: Duration) -> Result<Self::Loan<'_>, SendError>
                    where FromBytes, Sized;
                fn try_loan_with(&mut, elements: usize) -> Result<Self::Loan<'_>, SendError>
                    where FromBytes, KnownLayout<PointerMetadata = usize>;
            }

            fn try_send_batch(&mut self, messages: &[&T]) -> Result<(), BatchError> {
                $module::Sender::<T>::try_send_batch(self, messages.iter().copied())
            }

            wait_for_receiver!($module);

            fn finish(self) -> Result<(), Error> {
                let finish: fn(Self) -> Result<(), Error> = $finish;
                finish(self)
            }
        }

        impl<T: Message + ?Sized> AnyReceiver<T> for $receiver {
            type Guard<'a>
                = $module::Guard<'a, T>
            where
                Self: 'a;

            forward! { $module::Receiver<T>:
                fn try_recv(&mut) -> Result<T, RecvError> where Sized;
                fn recv_timeout(&mut, timeout: Duration) -> Result<T, RecvError> where Sized;
                fn try_recv_into(&mut, message: &mut T) -> Result<(), RecvError>
                    where FromBytes, Sized;
                fn recv_into_timeout(&mut, message: &mut T, timeout: Duration)
                    -> Result<(), RecvError> where FromBytes, Sized;
                fn try_recv_batch(&mut, messages: &mut Vec<T>, max: usize)
                    -> Result<usize, RecvError> where Sized;
                fn recv_batch_timeout(&mut, messages: &mut Vec<T>, max: usize, timeout: Duration)
                    -> Result<usize, RecvError> where Sized;
                fn try_recv_boxed(&mut) -> Result<Box<T>, RecvError>;
                fn recv_boxed_timeout(&mut, timeout: Duration) -> Result<Box<T>, RecvError>;
                fn try_recv_ref(&mut) -> Result<Self::Guard<'_>, RecvError>;
                fn recv_ref_timeout(&mut, timeout: Duration) -> Result<Self::Guard<'_>, RecvError>;
            }

            fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvError> {
                $module::Receiver::<T>::wait_for_peer(self, timeout).map(drop)
            }
        }
    };
    (@handle $module:ident, $handle:ty, $implementor:ty) => {
        impl<T: Message + ?Sized> AnyHandle for $implementor {
            forward! { $handle:
                fn id(&) -> ChannelId;
                fn stat(&) -> Result<Stat, Error>;
                fn len(&) -> usize;
                fn is_empty(&) -> bool;
                fn is_full(&) -> bool;
                fn capacity(&) -> usize;
                fn slot_size(&) -> usize;
                fn interrupter(&) -> Interrupter;
            }

            of_flavor!($module, $handle);
        }
    };
}

implement!(spsc, spsc::Sender<T>, spsc::Receiver<T>, spsc::Sender::finish);
implement!(broadcast, broadcast::Sender<T>, broadcast::Receiver<T>, broadcast::Sender::finish);
implement!(mpmc, mpmc::Sender<T>, mpmc::Receiver<T>, mpmc::Sender::finish);
implement!(mpmc, Arc<mpmc::Sender<T>>, Arc<mpmc::Receiver<T>>, |tx| {
    Arc::into_inner(tx).expect("a handle that is not shared").finish()
});

impl<T: Message + ?Sized> AnyLoan<T> for spsc::Loan<'_, T> {
    fn position(&self) -> Option<u64> {
        None
    }

    fn truncate(&mut self, elements: usize)
    where
        T: FromBytes + KnownLayout<PointerMetadata = usize>,
    {
        spsc::Loan::truncate(self, elements);
    }

    fn commit(self) -> Result<(), SendError> {
        spsc::Loan::commit(self)
    }
}

impl<T: Message + ?Sized> AnyLoan<T> for mpmc::Loan<'_, T> {
    fn position(&self) -> Option<u64> {
        Some(mpmc::Loan::position(self))
    }

    fn truncate(&mut self, elements: usize)
    where
        T: FromBytes + KnownLayout<PointerMetadata = usize>,
    {
        mpmc::Loan::truncate(self, elements);
    }

    fn commit(self) -> Result<(), SendError> {
        mpmc::Loan::commit(self)
    }
}

/// Implements the trait for the guards of a flavor.
macro_rules! guard {
    ($module:ident) => {
        impl<T: Message + ?Sized> AnyGuard<T> for $module::Guard<'_, T> {
            fn position(&self) -> u64 {
                $module::Guard::position(self)
            }

            fn delivery_count(&self) -> u8 {
                $module::Guard::delivery_count(self)
            }

            fn ack(self) -> Result<(), RecvError> {
                $module::Guard::ack(self)
            }

            fn release(self) -> Result<(), RecvError> {
                $module::Guard::release(self)
            }

            fn reject(self) -> Result<(), RecvError> {
                $module::Guard::reject(self)
            }

            fn read<R>(self, f: impl FnOnce(&T) -> R) -> Result<R, RecvError> {
                $module::Guard::read(self, f)
            }
        }
    };
}

guard!(spsc);
guard!(mpmc);

//! What sending and receiving values needs of the ends of each flavor.

#[cfg(feature = "async")]
use std::future::Future;

use crate::error::{RecvError, SendError};
#[cfg(feature = "async")]
use crate::poll::future::Waiting;
use crate::untyped::{Reserved, Taken};
use crate::wait::blocking::Blocking;
use crate::{mpmc, spsc};

/// A sending end, which lends a slot.
pub(super) trait Lend<'a>: Sized {
    fn reserve_slot(self, blocking: Blocking) -> Result<Reserved<'a>, SendError>;

    #[cfg(feature = "async")]
    fn reserve_slot_async(self) -> impl Future<Output = Result<Reserved<'a>, SendError>>;
}

/// A receiving end, which takes a message.
pub(super) trait Take<'a>: Sized {
    fn take_next(self, blocking: Blocking) -> Result<Taken<'a>, RecvError>;

    #[cfg(feature = "async")]
    fn take_next_async(self) -> impl Future<Output = Result<Taken<'a>, RecvError>>;
}

impl<'a> Lend<'a> for &'a mut spsc::SendEnd {
    fn reserve_slot(self, blocking: Blocking) -> Result<Reserved<'a>, SendError> {
        self.reserve(blocking)?;
        Ok(Reserved::Spsc(self))
    }

    #[cfg(feature = "async")]
    async fn reserve_slot_async(self) -> Result<Reserved<'a>, SendError> {
        Waiting::on(&mut *self).await?;
        Ok(Reserved::Spsc(self))
    }
}

impl<'a> Lend<'a> for &'a mpmc::SendEnd {
    fn reserve_slot(self, blocking: Blocking) -> Result<Reserved<'a>, SendError> {
        Ok(Reserved::Mpmc(self, self.reserve(blocking)?))
    }

    #[cfg(feature = "async")]
    async fn reserve_slot_async(self) -> Result<Reserved<'a>, SendError> {
        Ok(Reserved::Mpmc(self, Waiting::on(self).await?))
    }
}

impl<'a> Take<'a> for &'a mut spsc::RecvEnd {
    fn take_next(self, blocking: Blocking) -> Result<Taken<'a>, RecvError> {
        self.next(blocking)?;
        Ok(Taken::Spsc(self))
    }

    #[cfg(feature = "async")]
    async fn take_next_async(self) -> Result<Taken<'a>, RecvError> {
        Waiting::on(&mut *self).await?;
        Ok(Taken::Spsc(self))
    }
}

impl<'a> Take<'a> for &'a mpmc::RecvEnd {
    fn take_next(self, blocking: Blocking) -> Result<Taken<'a>, RecvError> {
        Ok(Taken::Mpmc(self, self.next(blocking)?))
    }

    #[cfg(feature = "async")]
    async fn take_next_async(self) -> Result<Taken<'a>, RecvError> {
        Ok(Taken::Mpmc(self, Waiting::on(self).await?))
    }
}

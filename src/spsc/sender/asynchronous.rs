//! Sending in tasks: the calls of this sender as futures, and a sink.

use core::pin::Pin;
use core::task::{Context, Poll};

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::endpoint::Endpoint;
use crate::error::{BatchError, SendError};
use crate::message::Message;
use crate::poll::flush::{Flush, Flushable};
use crate::poll::future::{Party, Waiting};
use crate::poll::peer::Peer;
use crate::poll::sink::{Outbox, Target};
use crate::spsc::Loan;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Party for Sender<T> {
    type Got = ();
    type Error = SendError;

    fn endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.reserve(blocking)
    }
}

impl<T: Message + ?Sized> Flushable for Sender<T> {
    fn is_flushed(&mut self) -> Result<bool, SendError> {
        self.end.port().try_flush()
    }
}

/// The sender of a broadcast channel that waits for so many receivers.
struct Gathering<'a, T: Message + ?Sized> {
    sender: &'a mut Sender<T>,
    count: usize,
}

impl<T: Message + ?Sized> Party for Gathering<'_, T> {
    type Got = ();
    type Error = SendError;

    fn endpoint(&self) -> &Endpoint {
        Party::endpoint(self.sender)
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.sender.attempt(blocking)
    }
}

impl<T: Message + ?Sized> Flushable for Gathering<'_, T> {
    fn is_flushed(&mut self) -> Result<bool, SendError> {
        Ok(self.sender.end.count_receivers()? >= self.count)
    }
}

impl<T: Message + ?Sized> Sender<T> {
    /// Waits until a broadcast channel has so many receivers.
    pub(crate) async fn gather_async(&mut self, count: usize) -> Result<(), SendError> {
        Flush::of(Gathering { sender: self, count }).await
    }
}

impl<T: Message> Target for Sender<T> {
    type Message = T;

    fn put(&mut self, (): (), message: &T) -> Result<(), SendError> {
        self.put_reserved(message);
        Ok(())
    }
}

/// Sending in tasks (feature `async`).
impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message, waiting without blocking the thread while the channel is full.
    ///
    /// Within a tokio runtime, with the feature `tokio`, a task of that runtime wakes the tasks that
    /// wait; elsewhere, one thread of this process does. A task is woken when half of the ring is
    /// free; a little room is noticed after 200 ms.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send_async(&7).await?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and [`SendError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn send_async(&mut self, message: &T) -> Result<(), SendError> {
        self.check_length(message)?;
        Waiting::on(&mut *self).await?;
        self.put_reserved(message);
        Ok(())
    }

    /// Sends messages in order, waiting while the channel is full. Each message is published before
    /// the iterator is asked for the next one.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send_batch_async(&[1, 2, 3]).await?;
    /// assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent all messages that it took from the
    /// iterator, except for the last one.
    ///
    /// # Errors
    /// A [`BatchError`], which contains the number of messages sent and the error of the next one,
    /// as for [`send_async`](Sender::send_async).
    pub async fn send_batch_async<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        let mut messages = messages.into_iter();
        let (mut sent, mut next) = (0, messages.next());
        while let Some(message) = next {
            let reserved = match self.check_length(message) {
                Ok(()) => Waiting::on(&mut *self).await,
                too_long => too_long,
            };
            reserved.map_err(|error| BatchError { sent, error })?;
            next = self.put_run(message, &mut messages, &mut sent);
        }
        Ok(())
    }

    /// Waits until every sent message is acknowledged.
    ///
    /// It polls, so it is ready late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send_async(&7).await?;
    /// assert_eq!(rx.recv_async().await?, 7);
    /// tx.flush_async().await?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// - [`SendError::Disconnected`] if the receiver is gone and left messages unacknowledged;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::NotRegistered`] if there can be no timer;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub async fn flush_async(&mut self) -> Result<(), SendError> {
        Flush::of(self).await
    }

    /// Waits until a receiver has joined. One that has left again counts if it joined after this
    /// handle last found the other side empty: after a call returned `Disconnected`, no receiver is
    /// missed.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.wait_for_peer_async().await?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// [`SendError::NotRegistered`] if a task cannot wait for this handle; [`SendError::Fault`] if it
    /// cannot go on.
    pub async fn wait_for_peer_async(&mut self) -> Result<(), SendError> {
        Peer::of(self).await
    }
}

/// Writing in place in tasks.
impl<T: Message + FromBytes> Sender<T> {
    /// Borrows the next free slot for writing in place, waiting while the channel is full.
    /// [`Loan::commit`] sends it.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<[u64; 512]> = Options::private().capacity(16).create()?;
    /// # let mut rx: spsc::Receiver<[u64; 512]> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// let mut loan = tx.loan_async().await?;
    /// loan.fill(7);
    /// loan.commit()?; // without this, nothing is sent
    /// assert_eq!(rx.recv_ref()?.read(|message| message[511])?, 7);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and [`SendError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn loan_async(&mut self) -> Result<Loan<'_, T>, SendError> {
        Waiting::on(&mut *self).await?;
        Ok(Loan::new(self))
    }
}

/// Writing messages of variable length in place in tasks.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Borrows the next free slot for a message whose trailing slice has `elements` elements, waiting
    /// while the channel is full. [`Loan::truncate`] can shorten it.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let mut rx: spsc::Receiver<[u8]> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// let mut loan = tx.loan_with_async(5).await?;
    /// loan.copy_from_slice(b"hello");
    /// loan.commit()?;
    /// rx.recv_ref()?.read(|message| assert_eq!(message, b"hello"))?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and [`SendError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn loan_with_async(&mut self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        let (len, max) = self.check_elements(elements)?;
        Waiting::on(&mut *self).await?;
        Loan::with_elements(self, elements).ok_or(SendError::TooLong { len, max })
    }
}

impl<T: Message> Sender<T> {
    /// Returns a sink of messages.
    ///
    /// A message is sent as soon as the sink gets it; the sink keeps at most one message, for which
    /// there was no room, and sends it first whenever it is polled. Flushing or closing the sink
    /// sends that message; neither waits for acknowledgements ([`flush_async`](Sender::flush_async)
    /// does) nor leaves the channel.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// use futures_util::{SinkExt, StreamExt, stream};
    ///
    /// let mut numbers = stream::iter([1, 2, 3]).map(Ok);
    /// tx.sink().send_all(&mut numbers).await?;
    /// assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the sink drops the message that it keeps, if it was not flushed.
    ///
    /// # Errors
    /// Those of the sink are those of [`send_async`](Sender::send_async). A message that is kept stays
    /// so after an error; one that was just passed in does not.
    pub fn sink(&mut self) -> Sink<'_, T> {
        Sink { outbox: Outbox::of(self) }
    }
}

/// A sink of messages. Made by [`Sender::sink`].
#[derive(Debug)]
#[must_use = "a sink does nothing unless it is polled"]
pub struct Sink<'a, T: Message> {
    outbox: Outbox<&'a mut Sender<T>>,
}

// The message that it keeps is never pinned.
impl<T: Message> Unpin for Sink<'_, T> {}

impl<T: Message> futures_sink::Sink<T> for Sink<'_, T> {
    type Error = SendError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.outbox.poll_flush(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError> {
        self.outbox.start(message)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.outbox.poll_flush(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.outbox.poll_flush(context)
    }
}

//! Sending in tasks: the calls of this sender as futures, and a sink.

use zerocopy::{FromBytes, KnownLayout};

use super::Sender;
use crate::broadcast::{Loan, Sink};
use crate::error::{BatchError, SendError};
use crate::message::Message;

/// Sending in tasks (feature `async`).
impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message, waiting without blocking the thread while the channel is full.
    ///
    /// Within a tokio runtime, with the feature `tokio`, a task of that runtime wakes the tasks that
    /// wait; elsewhere, one thread of this process does. A task is woken when half of the ring is
    /// free; a little room is noticed after 200 ms.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.one.send_async(message).await
    }

    /// Sends messages in order, waiting while the channel is full. Each message is published before
    /// the iterator is asked for the next one.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.one.send_batch_async(messages).await
    }

    /// Waits until every receiver has acknowledged every message that was sent; in an overwriting
    /// channel it is ready at once.
    ///
    /// It polls, so it is ready late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::NotRegistered`] if there can be no timer;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub async fn flush_async(&mut self) -> Result<(), SendError> {
        self.one.flush_async().await
    }

    /// Waits until there are at least `count` receivers. Each of them gets every message that is sent
    /// after that.
    ///
    /// It polls, so it is ready late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.wait_for_receivers_async(1).await?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// [`SendError::NotRegistered`] if there can be no timer; [`SendError::Fault`] if the handle cannot
    /// go on.
    pub async fn wait_for_receivers_async(&mut self, count: usize) -> Result<(), SendError> {
        self.one.gather_async(count).await
    }
}

/// Writing in place in tasks.
impl<T: Message + FromBytes> Sender<T> {
    /// Borrows the next free slot for writing in place, waiting while the channel is full.
    /// [`Loan::commit`] sends it.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u64; 512]> = Options::private().capacity(16).create()?;
    /// # let mut rx: broadcast::Receiver<[u64; 512]> = Options::id(tx.id()).attach()?;
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
        self.one.loan_async().await
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
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let mut rx: broadcast::Receiver<[u8]> = Options::id(tx.id()).attach()?;
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
        self.one.loan_with_async(elements).await
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
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.one.sink()
    }
}

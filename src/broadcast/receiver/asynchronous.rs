//! Receiving in tasks: the calls of this receiver as futures, and streams.

use zerocopy::FromBytes;

use super::Receiver;
use crate::broadcast::{Guard, IntoStream, Stream};
use crate::error::RecvError;
use crate::message::Message;

/// Receiving in tasks (feature `async`).
impl<T: Message> Receiver<T> {
    /// Receives the next message, waiting for one without blocking the thread.
    ///
    /// Within a tokio runtime, with the feature `tokio`, a task of that runtime wakes the tasks that
    /// wait; elsewhere, one thread of this process does.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv_async().await?, 7);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv), and [`RecvError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn recv_async(&mut self) -> Result<T, RecvError> {
        self.one.recv_async().await
    }

    /// Appends up to `max` available messages to `messages` and returns how many, waiting for the
    /// first one; see [`recv_batch`](Receiver::recv_batch).
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send_batch(&[1, 2, 3])?;
    /// let mut messages = Vec::new();
    /// assert_eq!(rx.recv_batch_async(&mut messages, 100).await?, 3);
    /// assert_eq!(messages, [1, 2, 3]);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_batch`](Receiver::recv_batch), and [`RecvError::NotRegistered`] if a task cannot wait
    /// for this handle.
    pub async fn recv_batch_async(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        self.one.recv_batch_async(messages, max).await
    }

    /// Returns the messages as a stream; it ends when this receiver has received every message and the
    /// sender is gone, and after a fault. An interrupt and [`Lagged`](RecvError::Lagged) are items like
    /// others, and the stream can go on.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// use futures_util::StreamExt;
    ///
    /// tx.send_batch(&[1, 2, 3])?;
    /// tx.finish()?;
    /// let messages: Vec<_> = rx.stream().collect().await;
    /// assert_eq!(messages, [Ok(1), Ok(2), Ok(3)]);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// What the stream has not returned stays in the channel, also when it is dropped.
    pub fn stream(&mut self) -> Stream<'_, T> {
        self.one.stream()
    }

    /// Returns the same stream, which owns the receiver.
    pub fn into_stream(self) -> IntoStream<T> {
        self.one.into_stream()
    }
}

/// Receiving in tasks into a caller-provided buffer.
impl<T: Message + FromBytes> Receiver<T> {
    /// Receives the next message into `message`, waiting for one.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u64; 4]> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<[u64; 4]> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send(&[1, 2, 3, 4])?;
    /// let mut message = [0; 4]; // reused for every message
    /// rx.recv_into_async(&mut message).await?;
    /// assert_eq!(message, [1, 2, 3, 4]);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_into`](Receiver::recv_into), and [`RecvError::NotRegistered`] if a task cannot wait
    /// for this handle.
    pub async fn recv_into_async(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.one.recv_into_async(message).await
    }
}

/// Receiving messages of any length in tasks.
impl<T: Message + ?Sized> Receiver<T> {
    /// Receives the next message, of any length, into a `Box`, waiting for one.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<str> = Options::private().slot_size(64).create()?;
    /// # let mut rx: broadcast::Receiver<str> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send("hello")?;
    /// assert_eq!(&*rx.recv_boxed_async().await?, "hello");
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_boxed`](Receiver::recv_boxed), and [`RecvError::NotRegistered`] if a task cannot wait
    /// for this handle.
    pub async fn recv_boxed_async(&mut self) -> Result<Box<T>, RecvError> {
        self.one.recv_boxed_async().await
    }

    /// Receives the next message in place, waiting for one. [`Guard::ack`] acknowledges it for this
    /// receiver; a guard that is dropped, also together with the future that holds it, returns it, and
    /// the next call receives it again.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let mut rx: broadcast::Receiver<[u8]> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send(b"hello")?;
    /// let message = rx.recv_ref_async().await?;
    /// assert_eq!(&*message, b"hello");
    /// message.ack()?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_ref`](Receiver::recv_ref), and [`RecvError::NotRegistered`] if a task cannot wait
    /// for this handle.
    pub async fn recv_ref_async(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.one.recv_ref_async().await
    }

    /// Waits until a sender has joined. One that has left again counts if it joined after this
    /// handle last found no sender: after a call returned `Disconnected`, no sender is missed.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # pollster::block_on(async {
    /// rx.wait_for_peer_async().await?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// [`RecvError::Interrupted`] if an [`interrupter`](Receiver::interrupter) ended the call;
    /// [`RecvError::NotRegistered`] if a task cannot wait for this handle; [`RecvError::Fault`] if it
    /// cannot go on.
    pub async fn wait_for_peer_async(&mut self) -> Result<(), RecvError> {
        self.one.wait_for_peer_async().await
    }
}

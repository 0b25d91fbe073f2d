//! Receiving in tasks: the calls of this receiver as futures, and a stream.

use core::pin::Pin;
use core::task::{Context, Poll};

use zerocopy::FromBytes;

use super::Receiver;
use crate::endpoint::Endpoint;
use crate::error::RecvError;
use crate::message::Message;
use crate::mpmc::Guard;
use crate::poll::future::{Party, Waiting};
use crate::poll::peer::Peer;
use crate::poll::stream::{Messages, Source};
use crate::ring::mpmc::Held;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Party for Receiver<T> {
    type Got = Held;
    type Error = RecvError;

    fn endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<Held, RecvError> {
        self.end.next(blocking)
    }
}

impl<T: Message + ?Sized> Party for &Receiver<T> {
    type Got = Held;
    type Error = RecvError;

    fn endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<Held, RecvError> {
        self.end.next(blocking)
    }
}

impl<T: Message> Source for Receiver<T> {
    type Message = T;

    fn value(&mut self, held: Held) -> Result<T, RecvError> {
        Receiver::value(self, held)
    }
}

impl<T: Message> Source for &Receiver<T> {
    type Message = T;

    fn value(&mut self, held: Held) -> Result<T, RecvError> {
        Receiver::value(self, held)
    }
}

/// Receiving in tasks (feature `async`).
impl<T: Message> Receiver<T> {
    /// Receives the next message, waiting for one without blocking the thread.
    ///
    /// Any number of tasks may wait on one receiver and its clones; each message goes to one of them.
    ///
    /// Within a tokio runtime, with the feature `tokio`, a task of that runtime wakes the tasks that
    /// wait; elsewhere, one thread of this process does.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        let held = Waiting::on(self).await?;
        self.value(held)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, waiting for the
    /// first one; see [`recv_batch`](Receiver::recv_batch).
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    /// As for [`recv`](Receiver::recv_batch), and [`RecvError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn recv_batch_async(
        &self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let held = Waiting::on(self).await?;
        self.batch(held, messages, max)
    }

    /// Returns the messages as a stream; it ends when the channel is drained and all senders are
    /// gone, and after a fault. An interrupt is an item like another, and the stream can go on.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    pub fn stream(&self) -> Stream<'_, T> {
        Stream { messages: Messages::of(self) }
    }

    /// Returns the same stream, which owns the receiver.
    pub fn into_stream(self) -> IntoStream<T> {
        IntoStream { messages: Messages::of(self) }
    }
}

/// Receiving in tasks into a caller-provided buffer.
impl<T: Message + FromBytes> Receiver<T> {
    /// Receives the next message into `message`, waiting for one.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<[u64; 4]> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<[u64; 4]> = Options::id(tx.id()).attach()?;
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
    /// As for [`recv`](Receiver::recv_into), and [`RecvError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn recv_into_async(&self, message: &mut T) -> Result<(), RecvError> {
        let held = Waiting::on(self).await?;
        self.value_into(held, message)
    }
}

/// Receiving messages of any length in tasks.
impl<T: Message + ?Sized> Receiver<T> {
    /// Receives the next message, of any length, into a `Box`, waiting for one.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<str> = Options::private().slot_size(64).create()?;
    /// # let rx: mpmc::Receiver<str> = Options::id(tx.id()).attach()?;
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
    /// As for [`recv`](Receiver::recv_boxed), and [`RecvError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn recv_boxed_async(&self) -> Result<Box<T>, RecvError> {
        let held = Waiting::on(self).await?;
        self.boxed(held)
    }

    /// Receives the next message in place, waiting for one. [`Guard::ack`] acknowledges it; a guard
    /// that is dropped, also together with the future that holds it, returns it.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<[u8]> = Options::private().slot_size(64).create()?;
    /// # let rx: mpmc::Receiver<[u8]> = Options::id(tx.id()).attach()?;
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
    /// As for [`recv`](Receiver::recv_ref), and [`RecvError::NotRegistered`] if a task cannot wait for this
    /// handle.
    pub async fn recv_ref_async(&self) -> Result<Guard<'_, T>, RecvError> {
        let held = Waiting::on(self).await?;
        self.guard(held)
    }

    /// Waits until a sender has joined.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    pub async fn wait_for_peer_async(&self) -> Result<(), RecvError> {
        Peer::of(self).await
    }
}

/// The messages of a receiver. Made by [`Receiver::stream`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Stream<'a, T: Message> {
    messages: Messages<&'a Receiver<T>>,
}

impl<T: Message> futures_core::Stream for Stream<'_, T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_next(context)
    }
}

impl<T: Message> futures_core::FusedStream for Stream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.messages.is_over
    }
}

/// The messages of a receiver that it owns. Made by [`Receiver::into_stream`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoStream<T: Message> {
    messages: Messages<Receiver<T>>,
}

impl<T: Message> futures_core::Stream for IntoStream<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_next(context)
    }
}

impl<T: Message> futures_core::FusedStream for IntoStream<T> {
    fn is_terminated(&self) -> bool {
        self.messages.is_over
    }
}

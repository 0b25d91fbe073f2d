//! Sending and receiving in tasks (feature `async`): the calls of the handles as futures.

use super::receiver::{boxed, copy_into};
use super::recv_end::{RecvEnd, Taken};
use super::send_end::{Reserved, SendEnd};
use super::{Batch, Guard, Loan, Receiver, Sender};
use crate::endpoint::Endpoint;
use crate::error::{RecvError, SendError};
use crate::poll::flush::{Flush, Flushable};
use crate::poll::future::{Party, Waiting};
use crate::poll::peer::Peer;
use crate::ring::mpmc::{Claim, Held};
use crate::wait::blocking::Blocking;
use crate::{mpmc, spsc};

impl Party for spsc::SendEnd {
    type Got = ();
    type Error = SendError;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.reserve(blocking)
    }
}

impl Flushable for spsc::SendEnd {
    fn is_flushed(&mut self) -> Result<bool, SendError> {
        self.port().try_flush()
    }
}

impl Party for &mpmc::SendEnd {
    type Got = Claim;
    type Error = SendError;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<Claim, SendError> {
        self.reserve(blocking)
    }
}

impl Flushable for &mpmc::SendEnd {
    fn is_flushed(&mut self) -> Result<bool, SendError> {
        self.port().try_flush()
    }
}

impl Party for spsc::RecvEnd {
    type Got = ();
    type Error = RecvError;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        self.next(blocking)
    }
}

impl Party for &mpmc::RecvEnd {
    type Got = Held;
    type Error = RecvError;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<Held, RecvError> {
        self.next(blocking)
    }
}

impl SendEnd {
    async fn reserve_async(&mut self) -> Result<Reserved<'_>, SendError> {
        Ok(match self {
            SendEnd::Spsc(end) => {
                Waiting::on(&mut **end).await?;
                Reserved::Spsc(end)
            }
            SendEnd::Mpmc(end) => Reserved::Mpmc(end, Waiting::on(&**end).await?),
        })
    }
}

impl RecvEnd {
    async fn next_async(&mut self) -> Result<Taken<'_>, RecvError> {
        Ok(match self {
            RecvEnd::Spsc(end) => {
                Waiting::on(&mut **end).await?;
                Taken::Spsc(end)
            }
            RecvEnd::Mpmc(end) => Taken::Mpmc(end, Waiting::on(&**end).await?),
        })
    }
}

/// Sending in tasks (feature `async`).
impl Sender {
    /// Sends a message, waiting for a slot without blocking the thread.
    ///
    /// ```
    /// # use sysvring::{Options, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut ticks: spsc::Receiver<u64> = Options::private().create()?;
    /// let mut tx: untyped::Sender = Options::id(ticks.id()).attach()?;
    /// # pollster::block_on(async {
    /// tx.send_async(&7u64.to_ne_bytes()).await?;
    /// assert_eq!(ticks.recv_async().await?, 7);
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and [`SendError::NotRegistered`] if a task cannot wait for
    /// this handle.
    pub async fn send_async(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.end.check_length(message.len())?;
        self.end.reserve_async().await?.send(message)
    }

    /// Reserves a slot for a message of `len` bytes, waiting for one without blocking the thread;
    /// see [`loan`](Sender::loan).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has reserved nothing.
    ///
    /// # Errors
    /// As for [`send_async`](Sender::send_async).
    pub async fn loan_async(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.end.check_length(len)?;
        Ok(Loan::new(self.end.reserve_async().await?, len))
    }

    /// Waits until every message is acknowledged, without blocking the thread; see
    /// [`flush`](Sender::flush).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has changed nothing.
    ///
    /// # Errors
    /// As for [`flush`](Sender::flush), except `Timeout`, and [`SendError::NotRegistered`] if a
    /// task cannot wait for this handle.
    pub async fn flush_async(&mut self) -> Result<(), SendError> {
        match &mut self.end {
            SendEnd::Spsc(end) => Flush::of(&mut **end).await,
            SendEnd::Mpmc(end) => Flush::of(&**end).await,
        }
    }

    /// Waits until a receiver has joined, without blocking the thread.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has changed nothing.
    ///
    /// # Errors
    /// As for [`wait_for_peer`](Sender::wait_for_peer), except `Timeout`, and
    /// [`SendError::NotRegistered`] if a task cannot wait for this handle.
    pub async fn wait_for_peer_async(&mut self) -> Result<(), SendError> {
        match &mut self.end {
            SendEnd::Spsc(end) => Peer::of(&mut **end).await,
            SendEnd::Mpmc(end) => Peer::of(&**end).await,
        }
    }
}

/// Receiving in tasks (feature `async`).
impl Receiver {
    /// Receives the next message in place, waiting for one without blocking the thread; see
    /// [`recv_ref`](Receiver::recv_ref).
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<str> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(jobs.id()).attach()?;
    /// # pollster::block_on(async {
    /// jobs.send("compress")?;
    /// let job = rx.recv_ref_async().await?;
    /// assert_eq!(&*job, b"compress");
    /// job.ack()?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_ref`](Receiver::recv_ref), and [`RecvError::NotRegistered`] if a task cannot
    /// wait for this handle.
    pub async fn recv_ref_async(&mut self) -> Result<Guard<'_>, RecvError> {
        Guard::of(self.end.next_async().await?)
    }

    /// Receives up to `max` available messages in place, waiting for the first one without blocking
    /// the thread; see [`recv_batch_ref`](Receiver::recv_batch_ref).
    ///
    /// ```
    /// # use sysvring::{Options, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut ticks: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(ticks.id()).attach()?;
    /// ticks.send_batch(&[7, 8, 9])?;
    /// # pollster::block_on(async {
    /// let batch = rx.recv_batch_ref_async(2).await?;
    /// assert!(batch.iter().eq([7u64.to_ne_bytes(), 8u64.to_ne_bytes()]));
    /// batch.ack()?;
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_ref_async`](Receiver::recv_ref_async), of the first message.
    pub async fn recv_batch_ref_async(&mut self, max: usize) -> Result<Batch<'_>, RecvError> {
        Batch::of(self.end.next_async().await?, max)
    }

    /// Receives the next message into `message`, waiting for one without blocking the thread; see
    /// [`recv_into`](Receiver::recv_into).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_ref_async`](Receiver::recv_ref_async).
    pub async fn recv_into_async(&mut self, message: &mut Vec<u8>) -> Result<(), RecvError> {
        copy_into(self.end.next_async().await?, message)
    }

    /// Receives the next message in a new allocation, waiting for one without blocking the thread.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As for [`recv_ref_async`](Receiver::recv_ref_async).
    pub async fn recv_boxed_async(&mut self) -> Result<Box<[u8]>, RecvError> {
        boxed(self.end.next_async().await?)
    }

    /// Waits until a sender has joined, without blocking the thread.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has changed nothing.
    ///
    /// # Errors
    /// As for [`wait_for_peer`](Receiver::wait_for_peer), except `Timeout`, and
    /// [`RecvError::NotRegistered`] if a task cannot wait for this handle.
    pub async fn wait_for_peer_async(&mut self) -> Result<(), RecvError> {
        match &mut self.end {
            RecvEnd::Spsc(end) => Peer::of(&mut **end).await,
            RecvEnd::Mpmc(end) => Peer::of(&**end).await,
        }
    }
}

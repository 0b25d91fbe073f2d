//! Receiving the newest message only.

use core::time::Duration;

use super::Receiver;
use crate::error::RecvError;
use crate::message::Message;
use crate::spsc;

/// How often a receiver tries again whose newest message was overwritten while it was copied.
const TRIES: usize = 64;

/// Receiving the newest message: those before it are passed over, and not counted as missed.
impl<T: Message> Receiver<T> {
    /// Receives the newest message, blocking until there is one that was not received yet.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// assert_eq!(rx.latest()?, 3);
    /// assert_eq!(rx.try_latest(), Err(RecvError::Empty));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv); [`RecvError::Lagged`] only if the sender overtook this call by a
    /// whole ring many times.
    pub fn latest(&mut self) -> Result<T, RecvError> {
        self.newest(|one| one.recv())
    }

    /// Attempts to receive the newest message without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none that was not received yet; otherwise as for
    /// [`latest`](Receiver::latest).
    pub fn try_latest(&mut self) -> Result<T, RecvError> {
        self.newest(|one| one.try_recv())
    }

    /// Receives the newest message, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if none arrived in time: try again; otherwise as for
    /// [`latest`](Receiver::latest).
    pub fn latest_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.newest(|one| one.recv_timeout(timeout))
    }

    fn newest(
        &mut self,
        mut recv: impl FnMut(&mut spsc::Receiver<T>) -> Result<T, RecvError>,
    ) -> Result<T, RecvError> {
        for _ in 1..TRIES {
            self.one.skip_to_newest()?;
            match recv(&mut self.one) {
                Err(RecvError::Lagged { .. }) => {}
                other => return other,
            }
        }
        self.one.skip_to_newest()?;
        recv(&mut self.one)
    }

    /// Receives the newest message, waiting until there is one that was not received yet.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has received nothing; it may have passed over
    /// messages before the newest one.
    ///
    /// # Errors
    /// As for [`latest`](Receiver::latest), and [`RecvError::NotRegistered`] if a task cannot wait for
    /// this handle.
    #[cfg(feature = "async")]
    pub async fn latest_async(&mut self) -> Result<T, RecvError> {
        loop {
            self.one.skip_to_newest()?;
            match self.one.recv_async().await {
                Err(RecvError::Lagged { .. }) => {}
                other => return other,
            }
        }
    }
}

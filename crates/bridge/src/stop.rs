//! The order to end.

use std::time::Duration;

use tokio::sync::watch;

/// Gives the order to end.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Awaits the order to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Returns both ends.
pub fn channel() -> (Stopper, Stop) {
    let (stopper, stop) = watch::channel(false);
    (Stopper(stopper), Stop(stop))
}

impl Stopper {
    /// Gives the order.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns whether the order was given.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the order.
    pub async fn wait(&mut self) {
        // Without anyone to give it, it counts as given.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Waits for a time; returns whether the order came before.
    pub async fn pause(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.wait()).await.is_ok()
    }
}

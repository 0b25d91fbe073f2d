//! The requests that wait for their answers, and what it costs to wait for messages.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Locks a mutex; nothing here is left half done by a panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The requests that wait for their answers, by their numbers.
#[derive(Default)]
pub struct Waiting {
    requests: Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>>>,
    next: AtomicU64,
    duplicates: AtomicU64,
}

/// A request that waits. Dropped, it waits no more.
pub struct Request<'a> {
    waiting: &'a Waiting,
    pub id: u64,
    answer: oneshot::Receiver<Vec<u8>>,
}

impl Waiting {
    /// Enters a new request.
    pub fn enter(&self) -> Request<'_> {
        let id = self.next.fetch_add(1, Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.requests).insert(id, sender);
        Request { waiting: self, id, answer }
    }

    /// Gives a request its answer. An answer to a request that does not wait is dropped: it came
    /// before, from a worker that was killed before it acknowledged the request, or the client is
    /// gone.
    pub fn deliver(&self, id: u64, answer: &[u8]) {
        let request = lock(&self.requests).remove(&id);
        if request.is_none_or(|request| request.send(answer.to_vec()).is_err()) {
            self.duplicates.fetch_add(1, Relaxed);
        }
    }

    /// Returns whether a request still waits.
    pub fn is_waiting(&self, id: u64) -> bool {
        lock(&self.requests).contains_key(&id)
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// Returns the number of answers that were dropped.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Relaxed)
    }
}

impl Request<'_> {
    /// Waits for the answer. `None` if there will be none, because the front ends.
    pub async fn answer(mut self) -> Option<Vec<u8>> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        lock(&self.waiting.requests).remove(&self.id);
    }
}

/// How often the front was woken for messages, and how often there was none.
#[derive(Default)]
pub struct Wakes {
    wakes: AtomicU64,
    futile: AtomicU64,
}

impl Wakes {
    /// Waits for a future, and counts how often it is polled because it was woken, and how often it
    /// is still pending then.
    pub async fn count<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut is_first = true;
        std::future::poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            if !std::mem::replace(&mut is_first, false) {
                self.wakes.fetch_add(1, Relaxed);
                self.futile.fetch_add(u64::from(polled.is_pending()), Relaxed);
            }
            polled
        })
        .await
    }

    /// Returns the two numbers.
    pub fn numbers(&self) -> (u64, u64) {
        (self.wakes.load(Relaxed), self.futile.load(Relaxed))
    }
}

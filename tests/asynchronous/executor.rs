//! Executors of the tests.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Longer than anything takes.
pub const LONG: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which has no runtime. Fails if it takes too long.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(LONG, future).expect("the future is ready in time")
}

/// Does the same for at most `time`; returns `None` then.
pub fn block_on_for<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // A wake-up that came before is kept.
        thread::park_timeout(time.checked_sub(start.elapsed())?);
    }
}

/// Where futures run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A thread without a runtime.
    Thread,
    #[cfg(feature = "tokio")]
    CurrentThread,
    #[cfg(feature = "tokio")]
    Workers,
}

pub const PLACES: &[Place] = &[
    Place::Thread,
    #[cfg(feature = "tokio")]
    Place::CurrentThread,
    #[cfg(feature = "tokio")]
    Place::Workers,
];

/// Runs a future in a place.
#[track_caller]
pub fn run<F: Future>(place: Place, future: F) -> F::Output {
    match place {
        Place::Thread => block_on(future),
        #[cfg(feature = "tokio")]
        Place::CurrentThread => runtime(0).block_on(within(future)),
        #[cfg(feature = "tokio")]
        Place::Workers => runtime(2).block_on(within(future)),
    }
}

/// Does the same for as long as it takes.
pub fn run_for_ever<F: Future>(place: Place, future: F) -> F::Output {
    match place {
        Place::Thread => block_on_for(Duration::MAX, future).expect("there is no deadline"),
        #[cfg(feature = "tokio")]
        Place::CurrentThread => runtime(0).block_on(future),
        #[cfg(feature = "tokio")]
        Place::Workers => runtime(2).block_on(future),
    }
}

#[cfg(feature = "tokio")]
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("the future is ready in time")
}

/// Makes a runtime with so many workers, or one of the current thread.
#[cfg(feature = "tokio")]
pub fn runtime(workers: usize) -> tokio::runtime::Runtime {
    use tokio::runtime::Builder;
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(workers.max(1)).enable_all().build().expect("a runtime")
}

/// Polls a future once, by a waker that does nothing.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future a number of times, then gives up: `None`.
pub struct Abandon<F> {
    future: F,
    polls: u64,
}

impl<F> Abandon<F> {
    pub fn after(polls: u64, future: F) -> Abandon<F> {
        Abandon { future, polls }
    }
}

impl<F: Future> Future for Abandon<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        // SAFETY: the future stays where it is.
        let (future, polls) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.polls)
        };
        if *polls == 0 {
            return Poll::Ready(None);
        }
        *polls -= 1;
        match future.poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if *polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Counts the polls of a future.
pub struct Counted<'a, F> {
    future: F,
    polls: &'a AtomicU64,
}

impl<'a, F> Counted<'a, F> {
    pub fn new(polls: &'a AtomicU64, future: F) -> Counted<'a, F> {
        Counted { future, polls }
    }
}

impl<F: Future> Future for Counted<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Relaxed);
        // SAFETY: the future stays where it is.
        unsafe { self.map_unchecked_mut(|this| &mut this.future) }.poll(context)
    }
}

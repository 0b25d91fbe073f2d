//! Values in tasks.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sysvring::{
    Options, Postcard, RecvError, SendError, ValueFailure, broadcast, mpmc, spsc, untyped,
};
use sysvring_support::name::Name;
use sysvring_support::test;

type Value = (u32, Option<String>);

/// Polls a future once, which is then dropped.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

macro_rules! tests {
    ($($test:ident: $flavor:ident;)*) => {$(
        /// A future that is dropped has neither sent nor taken anything; one that waits is woken.
        #[test]
        #[allow(unused_mut, reason = "as the flavor needs")]
        fn $test() {
            let name = Name::new();
            let options = || name.options().capacity(1).slot_size(32);
            let mut tx: $flavor::Sender<Postcard<Value>> = options().create().expect("create");
            let mut rx: $flavor::Receiver<Postcard<Value>> = options().attach().expect("attach");
            let value = |n: u32| (n, Some(n.to_string()));
            assert_eq!(poll_once(rx.recv_value_async()), Poll::Pending);
            assert_eq!(poll_once(tx.send_value_async(&value(1))), Poll::Ready(Ok(())));
            assert_eq!(poll_once(tx.send_value_async(&value(2))), Poll::Pending);
            assert_eq!(pollster::block_on(rx.recv_value_async()), Ok(value(1)));
            assert_eq!(poll_once(rx.recv_value_async()), Poll::Pending);

            let sender = std::thread::spawn(move || {
                pollster::block_on(async {
                    for n in 10..40 {
                        tx.send_value_async(&value(n)).await?;
                    }
                    let long = (7, Some("x".repeat(40)));
                    let error = tx.send_value_async(&long).await;
                    assert_eq!(error, Err(SendError::TooLong { len: 43, max: 32 }));
                    Ok::<(), SendError>(())
                })
            });
            for n in 10..40 {
                assert_eq!(pollster::block_on(rx.recv_value_async()), Ok(value(n)));
            }
            assert_eq!(sender.join().expect("no panic"), Ok(()));
            assert_eq!(pollster::block_on(rx.recv_value_async()), Err(RecvError::Disconnected));
        }
    )*};
}

tests! {
    values_in_tasks_spsc: spsc;
    values_in_tasks_mpmc: mpmc;
    values_in_tasks_broadcast: broadcast;
}

#[test]
fn malformed_messages_in_tasks() {
    let rx: mpmc::Receiver<Postcard<Value>> =
        Options::private().slot_size(32).create().expect("create");
    let mut tx: untyped::Sender = Options::id(rx.id()).attach().expect("attach");
    tx.send(&[1, 0, 0]).expect("room");
    let Err(RecvError::NotDeserialized { position: 0, cause }) =
        pollster::block_on(rx.recv_value_async())
    else {
        panic!("it is no value")
    };
    assert_eq!((cause.offset, cause.reason), (2, ValueFailure::TrailingBytes));
}

/// A task that calls them may move between threads.
#[test]
fn the_futures_are_send() {
    fn is_send<T: Send>(_: T) {}
    let name = Name::new();
    let mut tx: spsc::Sender<Postcard<Value>> = name.options().open().expect("open");
    let mut rx: spsc::Receiver<Postcard<Value>> = name.options().open().expect("open");
    is_send(tx.send_value_async(&(1, None)));
    is_send(rx.recv_value_async());
}

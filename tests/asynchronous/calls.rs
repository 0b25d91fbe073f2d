//! Every call as a future: that it waits, what it returns, and which errors.

use std::future::Future;
use std::thread;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, join};
use sysvring::{Error, Options, RecvError, SendError, WaitSet, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::test;

use crate::executor::{PLACES, block_on, run};

/// Longer than a task needs to begin to wait.
const SOON: Duration = Duration::from_millis(5);

/// Waits a moment in a thread of its own, then calls.
fn later<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::spawn(move || {
        thread::sleep(SOON);
        call()
    })
}

/// Receives by each call, after the message was sent, and before it is sent.
macro_rules! receiving {
    ($flavor:ident) => {
        for &place in PLACES {
            let tx: $flavor::Sender<u64> = Options::private().create().expect("create");
            let mut rx: $flavor::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
            let (to, from) = std::sync::mpsc::channel::<Vec<u64>>();
            let sending = thread::spawn(move || {
                let mut tx = tx;
                for batch in from {
                    thread::sleep(SOON);
                    tx.send_batch(&batch).expect("a receiver");
                }
            });
            run(place, async {
                to.send(vec![1]).expect("a thread");
                assert_eq!(rx.recv_async().await, Ok(1));
                to.send(vec![2, 3]).expect("a thread");
                let mut batch = Vec::new();
                while batch.len() < 2 {
                    rx.recv_batch_async(&mut batch, 10).await.expect("messages");
                }
                assert_eq!(
                    (batch, rx.recv_batch_async(&mut Vec::new(), 0).await),
                    (vec![2, 3], Ok(0))
                );
                to.send(vec![4]).expect("a thread");
                let mut message = 0;
                rx.recv_into_async(&mut message).await.expect("a message");
                assert_eq!(message, 4);
                to.send(vec![5]).expect("a thread");
                assert_eq!(rx.recv_boxed_async().await, Ok(Box::new(5)));
                to.send(vec![6]).expect("a thread");
                let guard = rx.recv_ref_async().await.expect("a message");
                assert_eq!(*guard, 6);
                drop(guard);
                let guard = rx.recv_ref_async().await.expect("it was returned");
                assert_eq!((*guard, guard.delivery_count()), (6, 2));
                guard.ack().expect("a member");
                to.send(vec![7, 8]).expect("a thread");
                drop(to);
                let all: Vec<_> = rx.stream().collect().await;
                assert_eq!(all, [Ok(7), Ok(8)]);
                assert_eq!(rx.recv_async().await, Err(RecvError::Disconnected));
                assert_eq!(rx.into_stream().next().await, None);
            });
            sending.join().expect("no panic");
        }
    };
}

#[test]
fn receiving_from_spsc() {
    receiving!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn receiving_from_mpmc() {
    receiving!(mpmc);
}

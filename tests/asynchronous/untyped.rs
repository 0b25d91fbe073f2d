//! The calls of untyped handles as futures.

use std::pin::pin;
use std::thread;
use std::time::Duration;

use sysvring::{Options, RecvError, SendError, untyped};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::executor::{LONG, PLACES, block_on, poll_once, run};

/// Longer than a task needs to begin to wait.
const SOON: Duration = Duration::from_millis(5);

/// Each receiving call waits for a message, and for the end.
#[test]
fn receiving<F: AnyFlavor>() {
    for &place in PLACES {
        let mut tx: F::Sender<[u8]> = Options::private().slot_size(16).create().expect("create");
        let mut rx: untyped::Receiver = Options::id(tx.id()).attach().expect("attach");
        let sending = thread::spawn(move || {
            for message in [&b"into"[..], b"boxed", b"in place"] {
                thread::sleep(SOON);
                tx.try_send(message).expect("room");
            }
            thread::sleep(SOON);
        });
        run(place, async {
            rx.wait_for_peer_async().await.expect("a sender");
            let mut message = Vec::new();
            rx.recv_into_async(&mut message).await.expect("a message");
            assert_eq!(message, b"into");
            assert_eq!(*rx.recv_boxed_async().await.expect("a message"), *b"boxed");
            drop(rx.recv_ref_async().await.expect("a message"));
            let guard = rx.recv_ref_async().await.expect("it was returned");
            assert_eq!((&*guard, guard.delivery_count()), (&b"in place"[..], 2));
            guard.ack().expect("a member");
            assert_eq!(rx.recv_ref_async().await.err(), Some(RecvError::Disconnected));
        });
        sending.join().expect("no panic");
    }
}

/// Each sending call waits for room; impossible lengths are refused at once.
#[test]
fn sending<F: AnyFlavor>() {
    for &place in PLACES {
        let mut rx: F::Receiver<u64> = Options::private().capacity(2).create().expect("create");
        let mut tx: untyped::Sender = Options::id(rx.id()).attach().expect("attach");
        let receiving = thread::spawn(move || {
            let mut all = Vec::new();
            while let Ok(n) = rx.recv_timeout(LONG) {
                all.push(n);
                if n % 2 == 0 {
                    thread::sleep(SOON / 2);
                }
            }
            all
        });
        run(place, async {
            tx.wait_for_peer_async().await.expect("a receiver");
            let wrong = SendError::WrongLength { len: 7, size: 8, element: 0 };
            assert_eq!(tx.send_async(&[0; 7]).await, Err(wrong));
            assert_eq!(tx.loan_async(7).await.err(), Some(wrong));
            for n in 0..20u64 {
                match n % 2 {
                    0 => tx.send_async(&n.to_ne_bytes()).await.expect("a receiver"),
                    _ => {
                        let mut loan = tx.loan_async(8).await.expect("a receiver");
                        loan.copy_from_slice(&n.to_ne_bytes());
                        loan.commit().expect("a receiver");
                    }
                }
            }
            tx.flush_async().await.expect("all are received");
        });
        drop(tx);
        assert!(receiving.join().expect("no panic").into_iter().eq(0..20));
    }
}

/// A pending future that is dropped has taken nothing, and sent nothing.
#[test]
fn futures_are_cancelled<F: AnyFlavor>() {
    let name = Name::new();
    let mut typed: F::Sender<u64> = name.options().capacity(1).create().expect("create");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    {
        let mut pending = pin!(rx.recv_ref_async());
        assert!(poll_once(pending.as_mut()).is_pending());
        typed.try_send(&7).expect("room");
    }
    assert_eq!(*block_on(rx.recv_boxed_async()).expect("a message"), 7u64.to_ne_bytes());
    drop(typed);
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(&[1; 8]).expect("room");
    {
        let mut pending = pin!(tx.send_async(&[2; 8]));
        assert!(poll_once(pending.as_mut()).is_pending());
        assert_eq!(*rx.recv_boxed().expect("a message"), [1; 8]);
    }
    assert_eq!((tx.len(), rx.try_recv_boxed()), (0, Err(RecvError::Empty)));
}

/// Has a message in place, until it is killed.
#[work]
fn hold(args: &mut Args) {
    let name: String = args.next();
    let mut rx: untyped::Receiver = Options::named(name).attach().expect("attach");
    block_on(async {
        let guard = rx.recv_ref_async().await.expect("a message");
        print_line(guard.delivery_count());
        read_line();
        drop(guard);
    });
}

/// A message that a task holds survives its process, and a task that waits is told of a death.
#[test]
fn deaths<F: TakingFlavor>() {
    let name = Name::new();
    drop(name.options().capacity(1).create::<F::Sender<u64>>().expect("create"));
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(&[7; 8]).expect("room");
    let mut holder = Worker::start(&[&"untyped::hold", &name]).expect("start");
    holder.expect("1");
    block_on(async {
        let mut sending = pin!(tx.send_async(&[8; 8]));
        assert!(poll_once(sending.as_mut()).is_pending());
        holder.kill_and_wait().expect("kill");
        assert_eq!(sending.await, Err(SendError::Disconnected));
    });
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    block_on(async {
        let guard = rx.recv_ref_async().await.expect("the message");
        assert_eq!((&*guard, guard.delivery_count()), (&[7; 8][..], 2));
        guard.ack().expect("a member");
    });
}

/// The futures, and a task that holds a guard while it waits for something else, may move between
/// threads.
#[test]
fn tasks_move_between_threads<F: AnyFlavor>() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let name = Name::new();
    drop(name.options().capacity(2).create::<F::Sender<u64>>().expect("create"));
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let bridge = is_send(async {
        let guard = rx.recv_ref_async().await.expect("a message");
        let copy = publish(&guard).await;
        guard.ack().expect("a member");
        copy
    });
    block_on(is_send(tx.send_async(&[9; 8]))).expect("room");
    assert_eq!(block_on(bridge), [9; 8]);
}

/// What a bridge does with a message before it acknowledges it.
async fn publish(message: &[u8]) -> Vec<u8> {
    std::future::ready(message.to_vec()).await
}

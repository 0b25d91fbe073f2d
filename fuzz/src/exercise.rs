//! Exercises a handle in every way that does not wait for long.

use std::time::Duration;

use sysvring::Message;
use sysvring_support::handle::{AnyGuard, AnyHandle, AnyReceiver, AnySender};

/// Checks that an error has a text. Which error it is depends on the input.
pub(crate) fn checked<T, E: ToString>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// Sends more messages than there are slots.
pub(crate) fn send<T: Message + ?Sized>(tx: &mut impl AnySender<T>, message: &T) {
    for n in 0..6 {
        let _ = match n % 3 {
            0 => checked(tx.try_send(message)),
            1 => checked(tx.try_send_batch(&[message, message])),
            _ => checked(tx.send_timeout(message, Duration::from_micros(n * 3))),
        };
        measure(tx);
    }
    checked(tx.flush(Duration::from_micros(5)));
    checked(tx.wait_for_peer(Duration::ZERO));
    inspect(tx);
}

/// Receives more messages than there are slots.
pub(crate) fn receive<T: Message + ?Sized>(rx: &mut impl AnyReceiver<T>) {
    for n in 0..8 {
        match n % 3 {
            0 if n == 0 => drop(checked(rx.try_recv_ref())),
            0 => drop(checked(rx.try_recv_ref().and_then(AnyGuard::ack))),
            1 => drop(checked(rx.try_recv_boxed())),
            _ => drop(checked(rx.recv_boxed_timeout(Duration::from_micros(n * 3)))),
        }
        measure(rx);
    }
    checked(rx.wait_for_peer(Duration::ZERO));
    inspect(rx);
}

/// Makes all calls that change nothing. `try_clone` is not among them: it waits 10 seconds for a
/// process that creates or joins, and a set may claim that there is one.
pub(crate) fn inspect(handle: &mut impl AnyHandle) {
    measure(handle);
    checked(handle.stat()).inspect(|stat| drop(stat.to_string()));
    checked(handle.deaths());
    let _ = handle.position();
}

fn measure(handle: &impl AnyHandle) {
    assert!(handle.len() <= handle.capacity());
    let _ = (handle.is_empty(), handle.is_full());
}

//! The traits that a transport implements.

use std::hint::black_box;

use crate::workload::stream_workload::{shown, write};

/// Messages per batch.
pub const BATCH: usize = 16;

/// An SPSC transport between processes, for messages of `N` words. The sender's process offers, the
/// receiver's process attaches.
pub trait IpcTransport<const N: usize> {
    type Tx: Send<N>;
    type Rx: Receive<N>;

    /// Creates it, with this capacity where it is configurable. Returns a function that returns the
    /// sending end once the receiver has attached, and the address at which it attaches.
    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String);

    /// Attaches the receiving end, of the same capacity.
    fn attach(address: &str, capacity: usize) -> Self::Rx;
}

/// A transport between two threads of one process: a reference for what is possible without sharing
/// memory between processes.
pub trait ThreadTransport<const N: usize> {
    type Tx: Send<N> + core::marker::Send + 'static;
    type Rx: Receive<N> + core::marker::Send + 'static;

    fn pair(capacity: usize) -> (Self::Tx, Self::Rx);
}

pub trait Send<const N: usize> {
    fn send(&mut self, message: &[u64; N]);

    /// Writes the `n`th message and sends it: in place, or through `place`.
    #[inline(always)]
    fn send_nth(&mut self, place: &mut [u64; N], n: u64) {
        write(place, n);
        self.send(shown(place));
    }

    /// Sends a batch; transports that can do so check for room once per batch.
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        messages.iter().for_each(|message| self.send(message));
    }

    /// Writes one message per place, from the `n`th on, and sends them.
    #[inline(always)]
    fn send_nth_batch(&mut self, places: &mut [[u64; N]], n: u64) {
        for (place, n) in places.iter_mut().zip(n..) {
            write(place, n);
        }
        self.send_batch(black_box(places));
    }
}

pub trait Receive<const N: usize> {
    fn receive(&mut self, place: &mut [u64; N]);

    /// Receives the next message.
    #[inline(always)]
    fn receive_one(&mut self) -> [u64; N] {
        let mut message = [0; N];
        self.receive(&mut message);
        message
    }

    /// Passes the next message to `read`: in place, or through `place`.
    #[inline(always)]
    fn read<R>(&mut self, place: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        self.receive(place);
        read(place)
    }

    /// Receives the available messages, at least one and at most `most`, and returns their number.
    /// The contents of the other places are unspecified, and the buffer may be replaced.
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        debug_assert!(most > 0);
        self.receive(&mut places[0]);
        1
    }
}

//! One way to carry messages from one process to another.

use std::hint::black_box;

use crate::course::{shown, write};

/// Messages in a batch.
pub const BATCH: usize = 16;

/// Messages of `N` words, one to one. Which process offers and which attaches is the sender's and the
/// receiver's part.
pub trait Carrier<const N: usize> {
    /// What is there before the receiver came.
    type Offer;
    type Tx: Send<N>;
    type Rx: Receive<N>;

    /// Makes it, with room for so many messages where that is the user's choice, and says where the
    /// receiver finds it.
    fn offer(capacity: usize) -> (Self::Offer, String);

    /// The sending end, when the receiver has attached.
    fn accept(offer: Self::Offer) -> Self::Tx;

    /// The receiving end, of the same capacity.
    fn attach(address: &str, capacity: usize) -> Self::Rx;
}

/// One within a process, from one thread to another: what no channel between processes can be faster
/// than for free.
pub trait Local<const N: usize> {
    type Tx: Send<N> + core::marker::Send + 'static;
    type Rx: Receive<N> + core::marker::Send + 'static;

    fn pair(capacity: usize) -> (Self::Tx, Self::Rx);
}

pub trait Send<const N: usize> {
    fn send(&mut self, message: &[u64; N]);

    /// Writes the `n`th message and sends it: where it will be read, or in `place` first.
    #[inline(always)]
    fn make(&mut self, place: &mut [u64; N], n: u64) {
        write(place, n);
        self.send(shown(place));
    }

    /// Sends a batch, where there is a way to: with one look at what it costs to look at.
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        messages.iter().for_each(|message| self.send(message));
    }

    /// Writes the messages from the `n`th on, as many as there are places, and sends them.
    #[inline(always)]
    fn make_batch(&mut self, places: &mut [[u64; N]], n: u64) {
        for (place, n) in places.iter_mut().zip(n..) {
            write(place, n);
        }
        self.send_batch(black_box(places));
    }
}

pub trait Receive<const N: usize> {
    fn receive(&mut self, place: &mut [u64; N]);

    /// The next message.
    #[inline(always)]
    fn one(&mut self) -> [u64; N] {
        let mut message = [0; N];
        self.receive(&mut message);
        message
    }

    /// Looks at the next message: where it was written, or in `place`.
    #[inline(always)]
    fn look<R>(&mut self, place: &mut [u64; N], look: impl FnOnce(&[u64; N]) -> R) -> R {
        self.receive(place);
        look(place)
    }

    /// Receives what is there, one message at least and at most as many as there are places, and says how
    /// many. What it leaves in other places is its own business, and it may keep them elsewhere.
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        debug_assert!(most > 0);
        self.receive(&mut places[0]);
        1
    }
}

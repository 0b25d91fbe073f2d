//! Shared-memory rings: the baselines, and shaq.

use std::fs::File;
use std::num::NonZeroUsize;
use std::time::Duration;

use shaq::spsc;

use crate::baseline::{self, Consumer, Producer};
use crate::link;
use crate::traits::{IpcTransport, Receive, Send};

/// The SPSC baseline: a raw two-index ring.
pub struct Raw;

impl<const N: usize> IpcTransport<N> for Raw {
    type Offer = Producer<[u64; N]>;
    type Tx = Producer<[u64; N]>;
    type Rx = Consumer<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let tx = Producer::with_capacity(capacity);
        let address = tx.address();
        (tx, address)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        Consumer::with_capacity(address, capacity)
    }
}

impl<const N: usize> Send<N> for Producer<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        Producer::send(self, message);
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        Producer::send_batch(self, messages);
    }
}

impl<const N: usize> Receive<N> for Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv(place);
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        self.recv_batch(&mut places[..most])
    }
}

/// One cache line, which holds the first word of a message: the lower bound of communication
/// between two processors. Only for messages that are answered one by one.
pub struct Line;

/// The receiving end, and the word that it last received.
pub struct Watched(baseline::Line, u64);

impl<const N: usize> IpcTransport<N> for Line {
    type Offer = baseline::Line;
    type Tx = baseline::Line;
    type Rx = Watched;

    fn offer(_: usize) -> (Self::Offer, String) {
        let line = baseline::Line::create();
        let address = line.address();
        (line, address)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Watched(baseline::Line::attach(address), 0)
    }
}

impl<const N: usize> Send<N> for baseline::Line {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        baseline::Line::send(self, message[0]);
    }
}

impl<const N: usize> Receive<N> for Watched {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.1 = self.0.recv(self.1);
        *place = [self.1; N];
    }
}

/// shaq's SPSC queue.
pub struct Shaq;

impl<const N: usize> IpcTransport<N> for Shaq {
    type Offer = (spsc::Producer<[u64; N]>, File);
    type Tx = (spsc::Producer<[u64; N]>, File);
    type Rx = spsc::Consumer<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let len = spsc::minimum_file_size::<[u64; N]>(capacity);
        let file = link::memory(len);
        // SAFETY: created here, once; the other end uses the same type, which consists of plain
        // words.
        let tx = unsafe { spsc::Producer::create(&file, len) }.expect("a producer");
        let address = link::address(&file);
        ((tx, file), address)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        // SAFETY: the only other end uses the same type, which consists of plain words.
        unsafe { spsc::Consumer::join(&link::same_memory(address)) }.expect("a consumer")
    }
}

impl<const N: usize> Send<N> for (spsc::Producer<[u64; N]>, File) {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        link::poll_until_some(|| self.0.try_write(*message).ok());
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        let mut left = messages.iter().peekable();
        link::poll_until_some(|| {
            let mut batch = self.0.write_batch();
            while let Some(message) = left.peek() {
                batch.try_write(**message).ok()?;
                left.next();
            }
            Some(())
        });
    }
}

impl<const N: usize> Receive<N> for spsc::Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = link::poll_until_some(|| self.try_read());
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        let most = NonZeroUsize::new(most).expect("at least one");
        link::poll_until_some(|| {
            let batch = self.try_reserve_read_batch(most)?;
            places.iter_mut().zip(&batch).for_each(|(place, message)| *place = *message);
            Some(batch.len())
        })
    }
}

/// shaq's SPSC queue, its receiver blocking in the queue's own call. There is no such call for
/// senders.
pub struct ShaqBlocking;

/// The receiving end.
pub struct Blocking<const N: usize>(spsc::Consumer<[u64; N]>);

impl<const N: usize> IpcTransport<N> for ShaqBlocking {
    type Offer = <Shaq as IpcTransport<N>>::Offer;
    type Tx = <Shaq as IpcTransport<N>>::Tx;
    type Rx = Blocking<N>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        Shaq::offer(capacity)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        <Shaq as IpcTransport<N>>::accept(offer)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        Blocking(Shaq::attach(address, capacity))
    }
}

impl<const N: usize> Receive<N> for Blocking<N> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        // The longest possible timeout means forever.
        *place = self.0.read_timeout(Duration::MAX).expect("a message");
    }
}

//! Rings in shared memory: ours, and shaq's.

use std::fs::File;

use shaq::spsc;
use sysvring::{Options, spsc as ours};

use crate::carrier::{Carrier, Receive, Send};
use crate::link::{self, CAPACITY};

pub struct Sysvring;

impl<const N: usize> Carrier<N> for Sysvring {
    type Offer = ours::Sender<[u64; N]>;
    type Tx = ours::Sender<[u64; N]>;
    type Rx = ours::Receiver<[u64; N]>;

    fn offer() -> (Self::Offer, String) {
        let tx: ours::Sender<[u64; N]> = Options::private().create().expect("a channel");
        let id = tx.id().to_string();
        (tx, id)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str) -> Self::Rx {
        Options::id(address.parse().expect("an id")).attach().expect("the channel")
    }
}

impl<const N: usize> Send<N> for ours::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: [u64; N]) {
        ours::Sender::send(self, &message).expect("send");
    }
}

impl<const N: usize> Receive<N> for ours::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self) -> [u64; N] {
        let mut message = [0; N];
        self.recv_into(&mut message).expect("receive");
        message
    }
}

/// shaq's queue from one to one.
pub struct Shaq;

impl<const N: usize> Carrier<N> for Shaq {
    type Offer = (spsc::Producer<[u64; N]>, File);
    type Tx = (spsc::Producer<[u64; N]>, File);
    type Rx = spsc::Consumer<[u64; N]>;

    fn offer() -> (Self::Offer, String) {
        let len = spsc::minimum_file_size::<[u64; N]>(CAPACITY);
        let file = link::memory(len);
        // SAFETY: made here, once; the other end uses the same type, which is plain words.
        let tx = unsafe { spsc::Producer::create(&file, len) }.expect("a producer");
        let address = link::address(&file);
        ((tx, file), address)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str) -> Self::Rx {
        // SAFETY: the only other end uses the same type, which is plain words.
        unsafe { spsc::Consumer::join(&link::same_memory(address)) }.expect("a consumer")
    }
}

impl<const N: usize> Send<N> for (spsc::Producer<[u64; N]>, File) {
    #[inline]
    fn send(&mut self, message: [u64; N]) {
        link::insist(|| self.0.try_write(message).ok());
    }
}

impl<const N: usize> Receive<N> for spsc::Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self) -> [u64; N] {
        link::insist(|| self.try_read())
    }
}

//! Rings in shared memory: ours, the yardstick, and shaq's.

use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use shaq::spsc;
use sysvring::{Lifetime, Options, mpmc, spsc as ours};

use crate::carrier::{Carrier, Receive, Send};
use crate::course::write;
use crate::link;
use crate::yardstick::{Consumer, Producer};

pub struct Sysvring;

/// A new channel, and its identifier.
fn create<const N: usize>(capacity: usize) -> (ours::Sender<[u64; N]>, String) {
    let tx: ours::Sender<[u64; N]> =
        Options::private().capacity(capacity).create().expect("a channel");
    let id = tx.id().to_string();
    (tx, id)
}

fn attach<const N: usize>(address: &str) -> ours::Receiver<[u64; N]> {
    Options::id(address.parse().expect("an id")).attach().expect("the channel")
}

impl<const N: usize> Carrier<N> for Sysvring {
    type Offer = ours::Sender<[u64; N]>;
    type Tx = ours::Sender<[u64; N]>;
    type Rx = ours::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        create(capacity)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        attach(address)
    }
}

impl<const N: usize> Send<N> for ours::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        ours::Sender::send(self, message).expect("send");
    }
}

impl<const N: usize> Receive<N> for ours::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv_into(place).expect("receive");
    }
}

/// Such a channel, opened by a name.
pub struct Named;

impl<const N: usize> Carrier<N> for Named {
    type Offer = ours::Sender<[u64; N]>;
    type Tx = ours::Sender<[u64; N]>;
    type Rx = ours::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rivals-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let options = Options::named(&*name).lifetime(Lifetime::LastMember).capacity(capacity);
        (options.create().expect("a channel"), name)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Options::named(address).attach().expect("the channel")
    }
}

/// A many-to-many channel.
pub struct Many;

impl<const N: usize> Carrier<N> for Many {
    type Offer = mpmc::Sender<[u64; N]>;
    type Tx = mpmc::Sender<[u64; N]>;
    type Rx = mpmc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let tx: mpmc::Sender<[u64; N]> =
            Options::private().capacity(capacity).create().expect("a channel");
        let id = tx.id().to_string();
        (tx, id)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Options::id(address.parse().expect("an id")).attach().expect("the channel")
    }
}

impl<const N: usize> Send<N> for mpmc::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        mpmc::Sender::send(self, message).expect("send");
    }
}

impl<const N: usize> Receive<N> for mpmc::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = self.recv().expect("receive");
    }
}

/// A channel as it is by default, its messages written and read where they lie.
pub struct InPlace;

/// An end.
pub struct There<E>(E);

impl<const N: usize> Carrier<N> for InPlace {
    type Offer = Self::Tx;
    type Tx = There<ours::Sender<[u64; N]>>;
    type Rx = There<ours::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let (tx, id) = create(capacity);
        (There(tx), id)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        There(attach(address))
    }
}

impl<const N: usize> Send<N> for There<ours::Sender<[u64; N]>> {
    fn send(&mut self, message: &[u64; N]) {
        self.0.send(message).expect("send");
    }

    #[inline]
    fn make(&mut self, _: &mut [u64; N], n: u64) {
        let mut loan = self.0.loan().expect("loan");
        write(&mut loan, n);
        loan.commit();
    }
}

impl<const N: usize> Receive<N> for There<ours::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        self.0.recv_into(place).expect("receive");
    }

    #[inline]
    fn look<R>(&mut self, _: &mut [u64; N], look: impl FnOnce(&[u64; N]) -> R) -> R {
        look(&self.0.recv_ref().expect("receive in place"))
    }
}

/// The raw ring of two indexes.
pub struct Raw;

impl<const N: usize> Carrier<N> for Raw {
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
}

impl<const N: usize> Receive<N> for Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv(place);
    }
}

/// shaq's queue from one to one.
pub struct Shaq;

impl<const N: usize> Carrier<N> for Shaq {
    type Offer = (spsc::Producer<[u64; N]>, File);
    type Tx = (spsc::Producer<[u64; N]>, File);
    type Rx = spsc::Consumer<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let len = spsc::minimum_file_size::<[u64; N]>(capacity);
        let file = link::memory(len);
        // SAFETY: made here, once; the other end uses the same type, which is plain words.
        let tx = unsafe { spsc::Producer::create(&file, len) }.expect("a producer");
        let address = link::address(&file);
        ((tx, file), address)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        // SAFETY: the only other end uses the same type, which is plain words.
        unsafe { spsc::Consumer::join(&link::same_memory(address)) }.expect("a consumer")
    }
}

impl<const N: usize> Send<N> for (spsc::Producer<[u64; N]>, File) {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        link::insist(|| self.0.try_write(*message).ok());
    }
}

impl<const N: usize> Receive<N> for spsc::Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = link::insist(|| self.try_read());
    }
}

//! sysvring's own channels.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sysvring::{Lifetime, Options, Wait, mpmc, spsc as ours};

use crate::traits::{IpcTransport, Receive, Send};
use crate::workload::write;

/// A channel with one of the wait strategies.
pub struct Waiting<const MANNER: usize>;

const MANNERS: [Wait; 3] = [Wait::Balanced, Wait::Spin, Wait::Park];

/// With default options.
pub type Sysvring = Waiting<0>;
/// Waits by spinning only.
pub type Spin = Waiting<1>;
/// Parks at once.
pub type Park = Waiting<2>;

/// Creates a channel and returns its identifier.
fn create<const N: usize>(wait: Wait, capacity: usize) -> (ours::Sender<[u64; N]>, String) {
    let tx: ours::Sender<[u64; N]> =
        Options::private().wait(wait).capacity(capacity).create().expect("a channel");
    let id = tx.id().to_string();
    (tx, id)
}

fn attach<const N: usize>(wait: Wait, address: &str) -> ours::Receiver<[u64; N]> {
    Options::id(address.parse().expect("an id")).wait(wait).attach().expect("the channel")
}

impl<const MANNER: usize, const N: usize> IpcTransport<N> for Waiting<MANNER> {
    type Offer = ours::Sender<[u64; N]>;
    type Tx = ours::Sender<[u64; N]>;
    type Rx = ours::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        create(MANNERS[MANNER], capacity)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        attach(MANNERS[MANNER], address)
    }
}

impl<const N: usize> Send<N> for ours::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        ours::Sender::send(self, message).expect("send");
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        ours::Sender::send_batch(self, messages).expect("send a batch");
    }
}

impl<const N: usize> Receive<N> for ours::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv_into(place).expect("receive");
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        places.clear();
        self.recv_batch(places, most).expect("receive a batch")
    }
}

/// A channel opened by name.
pub struct Named;

impl<const N: usize> IpcTransport<N> for Named {
    type Offer = ours::Sender<[u64; N]>;
    type Tx = ours::Sender<[u64; N]>;
    type Rx = ours::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("competitors-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
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

/// An MPMC channel.
pub struct Many;

impl<const N: usize> IpcTransport<N> for Many {
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

/// A channel, messages written and read in place, with or without huge pages.
pub struct Lying<const HUGE: bool>;

/// With default options.
pub type InPlace = Lying<false>;
/// In huge pages; the system must have enough of them.
pub type Huge = Lying<true>;

/// One end.
pub struct There<E>(E);

impl<const HUGE: bool, const N: usize> IpcTransport<N> for Lying<HUGE> {
    type Offer = Self::Tx;
    type Tx = There<ours::Sender<[u64; N]>>;
    type Rx = There<ours::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (Self::Offer, String) {
        let options = Options::private().capacity(capacity).huge_pages(HUGE);
        let tx: ours::Sender<[u64; N]> = options.create().expect("a channel");
        let id = tx.id().to_string();
        (There(tx), id)
    }

    fn accept(offer: Self::Offer) -> Self::Tx {
        offer
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        There(attach(Wait::Balanced, address))
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

//! sysvring's own channels.

use sysvring::{Lifetime, Options, Wait, mpmc, spsc};

use crate::transport::ends::fresh_name;
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::workload::stream_workload::write;

/// A channel with one of the wait strategies.
pub struct WithWait<const STRATEGY: usize>;

const STRATEGIES: [Wait; 3] = [Wait::Balanced, Wait::Spin, Wait::Park];

/// With default options.
pub type Sysvring = WithWait<0>;
/// Whose members only spin.
pub type Spin = WithWait<1>;
/// Whose members park at once.
pub type Park = WithWait<2>;

/// Creates a channel and returns its identifier.
fn create<const N: usize>(wait: Wait, capacity: usize) -> (spsc::Sender<[u64; N]>, String) {
    let tx: spsc::Sender<[u64; N]> =
        Options::private().wait(wait).capacity(capacity).create().expect("a channel");
    let id = tx.id().to_string();
    (tx, id)
}

fn attach<const N: usize>(wait: Wait, address: &str) -> spsc::Receiver<[u64; N]> {
    Options::id(address.parse().expect("an id")).wait(wait).attach().expect("the channel")
}

impl<const STRATEGY: usize, const N: usize> IpcTransport<N> for WithWait<STRATEGY> {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = spsc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (tx, id) = create(STRATEGIES[STRATEGY], capacity);
        (|| tx, id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        attach(STRATEGIES[STRATEGY], address)
    }
}

impl<const N: usize> Send<N> for spsc::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        spsc::Sender::send(self, message).expect("send");
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        spsc::Sender::send_batch(self, messages).expect("send a batch");
    }
}

impl<const N: usize> Receive<N> for spsc::Receiver<[u64; N]> {
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

/// A channel with default options, messages received by value.
pub struct ByValue;

/// Its receiving end.
pub struct ByValueReceiver<const N: usize>(spsc::Receiver<[u64; N]>);

impl<const N: usize> IpcTransport<N> for ByValue {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = ByValueReceiver<N>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (tx, id) = create(Wait::Balanced, capacity);
        (|| tx, id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        ByValueReceiver(attach(Wait::Balanced, address))
    }
}

impl<const N: usize> Receive<N> for ByValueReceiver<N> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = self.0.recv().expect("receive");
    }

    #[inline]
    fn read<R>(&mut self, _: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        match &self.0.recv() {
            Ok(message) => read(message),
            Err(error) => panic!("receive: {error}"),
        }
    }
}

/// A channel opened by name.
pub struct Named;

impl<const N: usize> IpcTransport<N> for Named {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = spsc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let name = fresh_name();
        let options = Options::named(&*name).lifetime(Lifetime::LastMember).capacity(capacity);
        let tx: Self::Tx = options.create().expect("a channel");
        (|| tx, name)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Options::named(address).attach().expect("the channel")
    }
}

/// An MPMC channel.
pub struct Mpmc;

impl<const N: usize> IpcTransport<N> for Mpmc {
    type Tx = mpmc::Sender<[u64; N]>;
    type Rx = mpmc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx: mpmc::Sender<[u64; N]> =
            Options::private().capacity(capacity).create().expect("a channel");
        let id = tx.id().to_string();
        (|| tx, id)
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
pub struct InPlaceWith<const HUGE: bool>;

/// With default options.
pub type InPlace = InPlaceWith<false>;
/// In huge pages; the system must have enough of them.
pub type Huge = InPlaceWith<true>;

/// One end.
pub struct InPlaceEnd<E>(pub E);

impl<const HUGE: bool, const N: usize> IpcTransport<N> for InPlaceWith<HUGE> {
    type Tx = InPlaceEnd<spsc::Sender<[u64; N]>>;
    type Rx = InPlaceEnd<spsc::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let options = Options::private().capacity(capacity).huge_pages(HUGE);
        let tx: spsc::Sender<[u64; N]> = options.create().expect("a channel");
        let id = tx.id().to_string();
        (|| InPlaceEnd(tx), id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        InPlaceEnd(attach(Wait::Balanced, address))
    }
}

impl<const N: usize> Send<N> for InPlaceEnd<spsc::Sender<[u64; N]>> {
    fn send(&mut self, message: &[u64; N]) {
        self.0.send(message).expect("send");
    }

    #[inline]
    fn send_nth(&mut self, _: &mut [u64; N], n: u64) {
        let mut loan = self.0.loan().expect("loan");
        write(&mut loan, n);
        loan.commit().expect("commit");
    }
}

impl<const N: usize> Receive<N> for InPlaceEnd<spsc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        self.0.recv_into(place).expect("receive");
    }

    #[inline]
    fn read<R>(&mut self, _: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        self.0.recv_ref().expect("receive in place").read(read).expect("acknowledged")
    }
}

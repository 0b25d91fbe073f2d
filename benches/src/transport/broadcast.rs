//! Transports with one sender and several receivers, each of which gets every message: sysvring's
//! broadcast channel, and an SPSC channel for each receiver.

use std::marker::PhantomData;

use sysvring::{ChannelId, Handle, Options, broadcast, spsc};

use crate::transport::sysvring::InPlaceEnd;
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::workload::stream_workload::{shown, write};

/// A transport between a sender and several receivers, for messages of `N` words. The sender's
/// process offers, those of the receivers attach.
pub trait BroadcastTransport<const N: usize> {
    type Tx: Send<N>;
    type Rx: Receive<N>;

    /// Creates it for this many receivers, with this capacity. Returns a function that returns the
    /// sending end once all receivers have attached, and the address at which they attach.
    fn offer_to(capacity: usize, receivers: usize) -> (impl FnOnce() -> Self::Tx, String);

    /// Attaches one of the receivers.
    fn attach_as(address: &str, index: usize, receivers: usize, capacity: usize) -> Self::Rx;
}

/// An SPSC transport, where there is one receiver.
pub struct One<T>(PhantomData<T>);

impl<const N: usize, T: IpcTransport<N>> BroadcastTransport<N> for One<T> {
    type Tx = T::Tx;
    type Rx = T::Rx;

    fn offer_to(capacity: usize, _: usize) -> (impl FnOnce() -> Self::Tx, String) {
        T::offer(capacity)
    }

    fn attach_as(address: &str, _: usize, _: usize, capacity: usize) -> Self::Rx {
        T::attach(address, capacity)
    }
}

fn create<H: Handle>(capacity: usize) -> H {
    Options::private().capacity(capacity).create().expect("a channel")
}

fn attach<H: Handle>(address: &str) -> H {
    Options::id(address.parse().expect("an id")).attach().expect("the channel")
}

/// A broadcast channel with default options.
pub struct Broadcast;

impl<const N: usize> BroadcastTransport<N> for Broadcast {
    type Tx = broadcast::Sender<[u64; N]>;
    type Rx = broadcast::Receiver<[u64; N]>;

    fn offer_to(capacity: usize, _: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx: Self::Tx = create(capacity);
        let id = tx.id().to_string();
        (|| tx, id)
    }

    fn attach_as(address: &str, _: usize, _: usize, _: usize) -> Self::Rx {
        attach(address)
    }
}

/// The same with one receiver, where it is compared with SPSC transports.
impl<const N: usize> IpcTransport<N> for Broadcast {
    type Tx = broadcast::Sender<[u64; N]>;
    type Rx = broadcast::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Broadcast as BroadcastTransport<N>>::offer_to(capacity, 1)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        attach(address)
    }
}

impl<const N: usize> Send<N> for broadcast::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        broadcast::Sender::send(self, message).expect("send");
    }
}

impl<const N: usize> Receive<N> for broadcast::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv_into(place).expect("receive");
    }
}

/// A broadcast channel, messages written and read in place.
pub struct BroadcastInPlace;

impl<const N: usize> BroadcastTransport<N> for BroadcastInPlace {
    type Tx = InPlaceEnd<broadcast::Sender<[u64; N]>>;
    type Rx = InPlaceEnd<broadcast::Receiver<[u64; N]>>;

    fn offer_to(capacity: usize, _: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx: broadcast::Sender<[u64; N]> = create(capacity);
        let id = tx.id().to_string();
        (|| InPlaceEnd(tx), id)
    }

    fn attach_as(address: &str, _: usize, _: usize, _: usize) -> Self::Rx {
        InPlaceEnd(attach(address))
    }
}

impl<const N: usize> Send<N> for InPlaceEnd<broadcast::Sender<[u64; N]>> {
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

impl<const N: usize> Receive<N> for InPlaceEnd<broadcast::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        self.0.recv_into(place).expect("receive");
    }

    #[inline]
    fn read<R>(&mut self, _: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        self.0.recv_ref().expect("receive in place").read(read).expect("acknowledged")
    }
}

/// An SPSC channel for each receiver: the sender sends every message to each of them.
pub struct Channels;

/// Their sending ends.
pub struct Senders<T>(Vec<T>);

/// Creates a channel for each receiver, and returns their identifiers in one line.
fn create_each<const N: usize>(
    capacity: usize,
    receivers: usize,
) -> (Vec<spsc::Sender<[u64; N]>>, String) {
    let all: Vec<spsc::Sender<[u64; N]>> = (0..receivers).map(|_| create(capacity)).collect();
    let ids: Vec<String> = all.iter().map(|tx| ChannelId::to_string(&tx.id())).collect();
    (all, ids.join(","))
}

/// Attaches to one of them.
fn attach_one<const N: usize>(address: &str, index: usize) -> spsc::Receiver<[u64; N]> {
    attach(address.split(',').nth(index).expect("one for each"))
}

impl<const N: usize> BroadcastTransport<N> for Channels {
    type Tx = Senders<spsc::Sender<[u64; N]>>;
    type Rx = spsc::Receiver<[u64; N]>;

    fn offer_to(capacity: usize, receivers: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (all, ids) = create_each(capacity, receivers);
        (|| Senders(all), ids)
    }

    fn attach_as(address: &str, index: usize, _: usize, _: usize) -> Self::Rx {
        attach_one(address, index)
    }
}

impl<const N: usize, T: Send<N>> Send<N> for Senders<T> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        self.0.iter_mut().for_each(|tx| tx.send(message));
    }

    #[inline]
    fn send_nth(&mut self, place: &mut [u64; N], n: u64) {
        write(place, n);
        let message = shown(place);
        self.0.iter_mut().for_each(|tx| tx.send(message));
    }
}

/// The same, every message written into each of them and read in place.
pub struct ChannelsInPlace;

/// Their sending ends.
pub struct SendersInPlace<const N: usize>(Vec<InPlaceEnd<spsc::Sender<[u64; N]>>>);

impl<const N: usize> BroadcastTransport<N> for ChannelsInPlace {
    type Tx = SendersInPlace<N>;
    type Rx = InPlaceEnd<spsc::Receiver<[u64; N]>>;

    fn offer_to(capacity: usize, receivers: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (all, ids) = create_each(capacity, receivers);
        (|| SendersInPlace(all.into_iter().map(InPlaceEnd).collect()), ids)
    }

    fn attach_as(address: &str, index: usize, _: usize, _: usize) -> Self::Rx {
        InPlaceEnd(attach_one(address, index))
    }
}

impl<const N: usize> Send<N> for SendersInPlace<N> {
    fn send(&mut self, message: &[u64; N]) {
        self.0.iter_mut().for_each(|tx| tx.send(message));
    }

    #[inline]
    fn send_nth(&mut self, place: &mut [u64; N], n: u64) {
        self.0.iter_mut().for_each(|tx| tx.send_nth(place, n));
    }
}

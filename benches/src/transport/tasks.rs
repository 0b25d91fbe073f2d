//! Receivers that are tasks of a tokio runtime with one thread.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use sysvring::zerocopy::IntoBytes;
use sysvring::{Options, mpmc, spsc};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixDatagram, UnixStream};
use tokio::runtime::{Builder, Runtime};

use crate::transport::ends::fresh_name;
use crate::transport::pipes_and_sockets::Unix;
use crate::transport::traits::{IpcTransport, Receive, Send};

/// A task that receives, and its runtime.
pub struct Task<R> {
    receiver: R,
    runtime: Runtime,
}

/// Starts a runtime and makes what receives in it.
fn task<R>(make: impl FnOnce() -> R) -> Task<R> {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let entered = runtime.enter();
    let receiver = make();
    drop(entered);
    Task { receiver, runtime }
}

/// A Unix stream socket.
pub struct TaskUnix;

impl<const N: usize> IpcTransport<N> for TaskUnix {
    type Tx = <Unix as IpcTransport<N>>::Tx;
    type Rx = Task<UnixStream>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Unix as IpcTransport<N>>::offer(capacity)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let stream = Unix::connect(address);
        stream.set_nonblocking(true).expect("a flag");
        task(|| UnixStream::from_std(stream).expect("registered"))
    }
}

impl<const N: usize> Receive<N> for Task<UnixStream> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let Task { receiver, runtime } = self;
        runtime.block_on(receiver.read_exact(place.as_mut_bytes())).expect("read");
    }
}

/// A Unix datagram socket.
pub struct TaskDatagram;

/// The sending end.
pub struct Datagrams(StdDatagram);

/// Binds a socket to a fresh name.
fn bind() -> (StdDatagram, String) {
    let name = fresh_name();
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    (StdDatagram::bind_addr(&address).expect("a socket"), name)
}

impl<const N: usize> IpcTransport<N> for TaskDatagram {
    type Tx = Datagrams;
    type Rx = Task<UnixDatagram>;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (socket, address) = bind();
        let accept = move || {
            let (_, peer) = socket.recv_from(&mut [0]).expect("a datagram");
            socket.connect_addr(&peer).expect("connected");
            Datagrams(socket)
        };
        (accept, address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let (socket, _) = bind();
        let peer = SocketAddr::from_abstract_name(address).expect("a name");
        socket.connect_addr(&peer).expect("connected");
        socket.send(&[7]).expect("sent");
        socket.set_nonblocking(true).expect("a flag");
        task(|| UnixDatagram::from_std(socket).expect("registered"))
    }
}

impl<const N: usize> Send<N> for Datagrams {
    fn send(&mut self, message: &[u64; N]) {
        self.0.send(message.as_bytes()).expect("send");
    }
}

impl<const N: usize> Receive<N> for Task<UnixDatagram> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let Task { receiver, runtime } = self;
        runtime.block_on(receiver.recv(place.as_mut_bytes())).expect("receive");
    }
}

/// A channel.
pub struct TaskSpsc;

impl<const N: usize> IpcTransport<N> for TaskSpsc {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = Task<spsc::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx: Self::Tx = Options::private().capacity(capacity).create().expect("a channel");
        let id = tx.id().to_string();
        (|| tx, id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let id = address.parse().expect("an id");
        task(|| Options::id(id).attach().expect("the channel"))
    }
}

impl<const N: usize> Receive<N> for Task<spsc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let Task { receiver, runtime } = self;
        *place = runtime.block_on(receiver.recv_async()).expect("receive");
    }
}

/// An MPMC channel.
pub struct TaskMpmc;

impl<const N: usize> IpcTransport<N> for TaskMpmc {
    type Tx = mpmc::Sender<[u64; N]>;
    type Rx = Task<mpmc::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx: Self::Tx = Options::private().capacity(capacity).create().expect("a channel");
        let id = tx.id().to_string();
        (|| tx, id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let id = address.parse().expect("an id");
        task(|| Options::id(id).attach().expect("the channel"))
    }
}

impl<const N: usize> Receive<N> for Task<mpmc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let Task { receiver, runtime } = self;
        *place = runtime.block_on(receiver.recv_async()).expect("receive");
    }
}

/// tokio's own channel, between threads of one process.
pub struct TokioMpsc<const N: usize>(pub tokio::sync::mpsc::Sender<[u64; N]>);

impl<const N: usize> TokioMpsc<N> {
    pub fn pair(capacity: usize) -> (TokioMpsc<N>, Task<tokio::sync::mpsc::Receiver<[u64; N]>>) {
        let (tx, rx) = tokio::sync::mpsc::channel(capacity);
        (TokioMpsc(tx), task(|| rx))
    }
}

impl<const N: usize> Send<N> for TokioMpsc<N> {
    fn send(&mut self, message: &[u64; N]) {
        self.0.blocking_send(*message).expect("send");
    }
}

impl<const N: usize> Receive<N> for Task<tokio::sync::mpsc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let Task { receiver, runtime } = self;
        *place = runtime.block_on(receiver.recv()).expect("receive");
    }
}

//! Receivers that are tasks of a tokio runtime with one thread.
//!
//! They receive in a task of their own, as programs do: tokio wakes the future that it was entered
//! with in another way.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use sysvring::zerocopy::IntoBytes;
use sysvring::{Options, mpmc, spsc};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixDatagram, UnixStream};
use tokio::runtime::{Builder, Runtime};

use crate::transport::ends::fresh_name;
use crate::transport::epoll::reapable;
use crate::transport::pipes_and_sockets::Unix;
use crate::transport::traits::{IpcTransport, Send};

/// A receiver of tasks, and its runtime.
pub struct Task<R> {
    /// There between two calls.
    receiver: Option<R>,
    runtime: Runtime,
}

/// Starts a runtime and makes what receives in it.
fn task<R>(make: impl FnOnce() -> R) -> Task<R> {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let entered = runtime.enter();
    let receiver = Some(make());
    drop(entered);
    Task { receiver, runtime }
}

/// A transport between processes whose receiver is a task.
pub trait TaskTransport<const N: usize> {
    type Tx: Send<N>;
    type Rx: AsyncReceive<N>;

    /// As that of an [`IpcTransport`].
    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String);

    fn attach(address: &str) -> Task<Self::Rx>;
}

/// What a task can receive from.
pub trait AsyncReceive<const N: usize>: core::marker::Send + 'static {
    fn receive(&mut self) -> impl Future<Output = [u64; N]> + core::marker::Send;
}

impl<R> Task<R> {
    /// Receives this many messages in a task, passes each to `see` there, and returns the results.
    pub fn receive_all<const N: usize, T: core::marker::Send + 'static>(
        &mut self,
        count: u64,
        see: fn([u64; N]) -> T,
    ) -> Vec<T>
    where
        R: AsyncReceive<N>,
    {
        let mut receiver = self.receiver.take().expect("one call at a time");
        let received = self.runtime.spawn(async move {
            let mut seen = Vec::with_capacity(count as usize);
            for _ in 0..count {
                seen.push(see(receiver.receive().await));
            }
            (receiver, seen)
        });
        let (receiver, seen) = self.runtime.block_on(received).expect("no panic");
        self.receiver = Some(receiver);
        seen
    }
}

/// A Unix stream socket.
pub struct TaskUnix;

impl<const N: usize> TaskTransport<N> for TaskUnix {
    type Tx = <Unix as IpcTransport<N>>::Tx;
    type Rx = UnixStream;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Unix as IpcTransport<N>>::offer(capacity)
    }

    fn attach(address: &str) -> Task<Self::Rx> {
        let stream = Unix::connect(address);
        stream.set_nonblocking(true).expect("a flag");
        task(|| UnixStream::from_std(stream).expect("registered"))
    }
}

impl<const N: usize> AsyncReceive<N> for UnixStream {
    async fn receive(&mut self) -> [u64; N] {
        let mut message = [0; N];
        self.read_exact(message.as_mut_bytes()).await.expect("read");
        message
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

impl<const N: usize> TaskTransport<N> for TaskDatagram {
    type Tx = Datagrams;
    type Rx = UnixDatagram;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (socket, address) = bind();
        let accept = move || {
            let (_, peer) = socket.recv_from(&mut [0]).expect("a datagram");
            socket.connect_addr(&peer).expect("connected");
            Datagrams(socket)
        };
        (accept, address)
    }

    fn attach(address: &str) -> Task<Self::Rx> {
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

impl<const N: usize> AsyncReceive<N> for UnixDatagram {
    async fn receive(&mut self) -> [u64; N] {
        let mut message = [0; N];
        self.recv(message.as_mut_bytes()).await.expect("receive");
        message
    }
}

/// A channel.
pub struct TaskSpsc;

impl<const N: usize> TaskTransport<N> for TaskSpsc {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = spsc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (options, name) = reapable();
        let tx: Self::Tx = options.capacity(capacity).create().expect("a channel");
        (|| tx, name)
    }

    fn attach(address: &str) -> Task<Self::Rx> {
        task(|| Options::named(address).attach().expect("the channel"))
    }
}

impl<const N: usize> AsyncReceive<N> for spsc::Receiver<[u64; N]> {
    async fn receive(&mut self) -> [u64; N] {
        self.recv_async().await.expect("receive")
    }
}

/// An MPMC channel.
pub struct TaskMpmc;

impl<const N: usize> TaskTransport<N> for TaskMpmc {
    type Tx = mpmc::Sender<[u64; N]>;
    type Rx = mpmc::Receiver<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (options, name) = reapable();
        let tx: Self::Tx = options.capacity(capacity).create().expect("a channel");
        (|| tx, name)
    }

    fn attach(address: &str) -> Task<Self::Rx> {
        task(|| Options::named(address).attach().expect("the channel"))
    }
}

impl<const N: usize> AsyncReceive<N> for mpmc::Receiver<[u64; N]> {
    async fn receive(&mut self) -> [u64; N] {
        self.recv_async().await.expect("receive")
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

impl<const N: usize> AsyncReceive<N> for tokio::sync::mpsc::Receiver<[u64; N]> {
    async fn receive(&mut self) -> [u64; N] {
        self.recv().await.expect("receive")
    }
}

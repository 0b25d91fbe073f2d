//! Receivers that wait for descriptors: in `epoll`, or in a wait set.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use sysvring::{Lifetime, Options, RecvError, WaitSet, mpmc, spsc};

use crate::transport::ends::fresh_name;
use crate::transport::pipes_and_sockets::{Pipe, Stream, Unix};
use crate::transport::traits::{IpcTransport, Receive};

/// A kernel transport whose receiver waits in `epoll`.
pub struct Epoll<T>(T);

/// The receiver: the stream, and the `epoll` set that it is in.
pub struct EpollStream<F> {
    set: OwnedFd,
    stream: Stream<F>,
}

impl<F: AsRawFd> EpollStream<F> {
    fn new(stream: Stream<F>) -> EpollStream<F> {
        // SAFETY: takes a number, and returns a new descriptor.
        let set = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(set >= 0, "epoll_create1");
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
        // SAFETY: `event` outlives the call; both descriptors are open.
        let added =
            unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, stream.0.as_raw_fd(), &mut event) };
        assert!(added == 0, "epoll_ctl");
        // SAFETY: it was just created, and nothing else owns it.
        EpollStream { set: unsafe { OwnedFd::from_raw_fd(set) }, stream }
    }
}

impl<F: Read, const N: usize> Receive<N> for EpollStream<F> {
    fn receive(&mut self, place: &mut [u64; N]) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: there is room for eight events, and they outlive the call.
        let ready = unsafe { libc::epoll_wait(self.set.as_raw_fd(), events.as_mut_ptr(), 8, -1) };
        assert!(ready == 1, "epoll_wait");
        self.stream.receive(place);
    }
}

impl<const N: usize> IpcTransport<N> for Epoll<Pipe> {
    type Tx = <Pipe as IpcTransport<N>>::Tx;
    type Rx = EpollStream<File>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Pipe as IpcTransport<N>>::offer(capacity)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        EpollStream::new(<Pipe as IpcTransport<N>>::attach(address, capacity))
    }
}

impl<const N: usize> IpcTransport<N> for Epoll<Unix> {
    type Tx = <Unix as IpcTransport<N>>::Tx;
    type Rx = EpollStream<UnixStream>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Unix as IpcTransport<N>>::offer(capacity)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        EpollStream::new(<Unix as IpcTransport<N>>::attach(address, capacity))
    }
}

/// Returns the options of a channel with a name, and the name. After its members were killed, `reap`
/// finds it, and the message queue of a receiver that waited for a descriptor.
pub fn reapable() -> (Options, String) {
    let name = fresh_name();
    (Options::named(&*name).lifetime(Lifetime::LastMember), name)
}

/// A channel whose receiver waits in a wait set.
pub struct InWaitSet;

/// The receiver, and its set.
pub struct WaitSetEnd<R> {
    set: WaitSet,
    receiver: R,
}

impl<const N: usize> IpcTransport<N> for InWaitSet {
    type Tx = spsc::Sender<[u64; N]>;
    type Rx = WaitSetEnd<spsc::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (options, name) = reapable();
        let tx: Self::Tx = options.capacity(capacity).create().expect("a channel");
        (|| tx, name)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let receiver: spsc::Receiver<[u64; N]> =
            Options::named(address).attach().expect("the channel");
        let set = WaitSet::new().expect("a set");
        set.add(&receiver).expect("added");
        WaitSetEnd { set, receiver }
    }
}

impl<const N: usize> Receive<N> for WaitSetEnd<spsc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        loop {
            match self.receiver.try_recv() {
                Ok(message) => return *place = message,
                Err(RecvError::Empty) => {}
                Err(error) => panic!("receive: {error}"),
            }
            self.set.wait(None).expect("wait");
        }
    }
}

/// An MPMC channel whose receiver waits in a wait set.
pub struct MpmcInWaitSet;

impl<const N: usize> IpcTransport<N> for MpmcInWaitSet {
    type Tx = mpmc::Sender<[u64; N]>;
    type Rx = WaitSetEnd<mpmc::Receiver<[u64; N]>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (options, name) = reapable();
        let tx: Self::Tx = options.capacity(capacity).create().expect("a channel");
        (|| tx, name)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        let receiver: mpmc::Receiver<[u64; N]> =
            Options::named(address).attach().expect("the channel");
        let set = WaitSet::new().expect("a set");
        set.add(&receiver).expect("added");
        WaitSetEnd { set, receiver }
    }
}

impl<const N: usize> Receive<N> for WaitSetEnd<mpmc::Receiver<[u64; N]>> {
    fn receive(&mut self, place: &mut [u64; N]) {
        loop {
            match self.receiver.try_recv() {
                Ok(message) => return *place = message,
                Err(RecvError::Empty) => {}
                Err(error) => panic!("receive: {error}"),
            }
            self.set.wait(None).expect("wait");
        }
    }
}

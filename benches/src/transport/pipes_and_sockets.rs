//! Kernel transports: a pipe and sockets, one system call per message.

use std::fs::File;
use std::io::{PipeWriter, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use sysvring::zerocopy::IntoBytes;

use crate::transport::ends::fresh_name;
use crate::transport::traits::{IpcTransport, Receive, Send};

/// An end that is a file.
pub struct Stream<F>(pub F);

impl<F: Write, const N: usize> Send<N> for Stream<F> {
    fn send(&mut self, message: &[u64; N]) {
        self.0.write_all(message.as_bytes()).expect("write");
    }

    fn send_batch(&mut self, messages: &[[u64; N]]) {
        self.0.write_all(messages.as_bytes()).expect("write");
    }
}

impl<F: Read, const N: usize> Receive<N> for Stream<F> {
    fn receive(&mut self, place: &mut [u64; N]) {
        self.0.read_exact(place.as_mut_bytes()).expect("read");
    }

    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        let bytes = places[..most].as_mut_bytes();
        let got = self.0.read(bytes).expect("read");
        assert!(got > 0, "the sender is gone");
        // The read may end within a message.
        let whole = got.next_multiple_of(N * 8);
        self.0.read_exact(&mut bytes[got..whole]).expect("read");
        whole / (N * 8)
    }
}

pub struct Pipe;

impl<const N: usize> IpcTransport<N> for Pipe {
    type Tx = Stream<PipeWriter>;
    type Rx = Stream<File>;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (_, writer) = pipe().expect("a pipe");
        // The path leads to the pipe; the mode of the open selects the end.
        let address = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
        (|| Stream(writer), address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Stream(File::open(address).expect("the pipe"))
    }
}

/// A Unix stream socket.
pub struct Unix;

impl Unix {
    fn address(name: &str) -> SocketAddr {
        SocketAddr::from_abstract_name(name).expect("a name")
    }

    /// Creates a listening socket and returns its name.
    pub fn listen() -> (UnixListener, String) {
        let name = fresh_name();
        (UnixListener::bind_addr(&Unix::address(&name)).expect("a socket"), name)
    }

    pub fn connect(name: &str) -> UnixStream {
        UnixStream::connect_addr(&Unix::address(name)).expect("the socket")
    }
}

impl<const N: usize> IpcTransport<N> for Unix {
    type Tx = Stream<UnixStream>;
    type Rx = Stream<UnixStream>;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (listener, address) = Unix::listen();
        (move || Stream(listener.accept().expect("a connection").0), address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Stream(Unix::connect(address))
    }
}

/// TCP over the loopback device, with `TCP_NODELAY`.
pub struct Tcp;

impl<const N: usize> IpcTransport<N> for Tcp {
    type Tx = Stream<TcpStream>;
    type Rx = Stream<TcpStream>;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("its address").to_string();
        let accept = move || {
            let stream = listener.accept().expect("a connection").0;
            stream.set_nodelay(true).expect("no delay");
            Stream(stream)
        };
        (accept, address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Stream(TcpStream::connect(address).expect("the socket"))
    }
}

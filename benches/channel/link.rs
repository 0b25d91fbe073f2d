//! The transports between two processes, and how to open their ends.

use std::fmt;
use std::fs::File;
use std::io::{PipeWriter, pipe};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::str::FromStr;

use clap::ValueEnum;
use sysvring::spsc::{Receiver, Sender};
use sysvring::{Handle, Message, Options, Wait, mpmc};

use crate::goals::Contender;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// The SPSC baseline: a raw two-index ring.
    Baseline,
    /// One cache line.
    CacheLine,
    /// A pipe, one system call per message on each side.
    Pipe,
    /// A Unix stream socket, likewise.
    Socket,
    /// A channel with default options.
    Balanced,
    /// A channel whose members only spin.
    Spin,
    /// A channel whose members park at once.
    Park,
    /// A channel, messages received into a caller-provided buffer, as the baseline does.
    Into,
    /// A channel, messages written and read in place.
    InPlace,
    /// A channel, messages sent and received 16 at a time.
    Batch,
    /// The MPMC baseline.
    Vyukov,
    /// An MPMC channel.
    Mpmc,
    /// An MPMC channel, messages written and read in place.
    MpmcInPlace,
}

impl Transport {
    /// Returns its name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Transport::Baseline => "baseline",
            Transport::CacheLine => "one cache line (lower bound)",
            Transport::Pipe => "pipe",
            Transport::Socket => "Unix socket",
            Transport::Balanced => "sysvring",
            Transport::Spin => "sysvring, Wait::Spin",
            Transport::Park => "sysvring, Wait::Park",
            Transport::Into => "sysvring, recv_into",
            Transport::InPlace => "sysvring, in place",
            Transport::Batch => "sysvring, batches of 16",
            Transport::Vyukov => "Vyukov's ring",
            Transport::Mpmc => "sysvring MPMC",
            Transport::MpmcInPlace => "sysvring MPMC, in place",
        }
    }

    /// Returns the wait strategy of the channel.
    pub fn wait(self) -> Wait {
        match self {
            Transport::Spin => Wait::Spin,
            Transport::Park => Wait::Park,
            _ => Wait::Balanced,
        }
    }
}

impl Contender for Transport {
    fn name(self) -> String {
        self.label().to_owned()
    }

    fn is_baseline(self) -> bool {
        matches!(self, Transport::Baseline | Transport::Vyukov)
    }

    /// Competitors have a benchmark of their own, `benches`.
    fn is_competitor(self) -> bool {
        false
    }
}

/// The form in which it is passed to a child process.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is skipped").get_name())
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(name: &str) -> Result<Transport, String> {
        ValueEnum::from_str(name, false)
    }
}

/// Creates a private channel, contender segment disappears with its members, however they end.
pub fn sender<M: Message>(transport: Transport) -> Sender<M> {
    Options::private().wait(transport.wait()).create().expect("create a channel")
}

/// Creates a private MPMC channel.
pub fn many_sender<M: Message>(transport: Transport) -> mpmc::Sender<M> {
    Options::private().wait(transport.wait()).create().expect("create a channel")
}

/// Attaches another member to it.
pub fn many<H: Handle>(transport: Transport, address: &str) -> H {
    let id = address.parse().expect("a channel's id");
    Options::id(id).wait(transport.wait()).attach().expect("attach to the channel")
}

/// Attaches the receiver to it.
pub fn receiver<M: Message>(transport: Transport, address: &str) -> Receiver<M> {
    let id = address.parse().expect("a channel's id");
    Options::id(id).wait(transport.wait()).attach().expect("attach to the channel")
}

/// Creates a pipe and returns its writing end and the path under which to open its reading end.
pub fn pipe_sender() -> (PipeWriter, String) {
    let (reader, writer) = pipe().expect("create a pipe");
    // The path leads to the pipe; the mode of the open selects the end.
    let address = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
    drop(reader);
    (writer, address)
}

/// Opens its reading end.
pub fn pipe_receiver(address: &str) -> File {
    File::open(address).expect("open the pipe")
}

/// Creates a listening socket in the abstract namespace and returns it and its name.
pub fn socket_listener() -> (UnixListener, String) {
    let name = format!("sysvring-bench-{}", std::process::id());
    (UnixListener::bind_addr(&socket_address(&name)).expect("bind a socket"), name)
}

/// Connects to it.
pub fn socket_receiver(name: &str) -> UnixStream {
    UnixStream::connect_addr(&socket_address(name)).expect("connect the socket")
}

fn socket_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("a short name")
}

//! The ways a message can go from one process to another, and how the ends of each are opened.

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

use crate::verdict::Contender;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// The yardstick.
    Raw,
    /// One cache line.
    Line,
    /// A pipe, written and read with one call a message.
    Pipe,
    /// A Unix stream socket, likewise.
    Socket,
    /// A channel as it is by default.
    Balanced,
    /// A channel whose members never sleep.
    Spin,
    /// A channel whose members sleep at once.
    Park,
    /// A channel, messages received into the receiver's own place, as the yardstick does.
    Into,
    /// A channel, messages written and read in place.
    InPlace,
    /// A channel, messages sent and received 16 at a time.
    Batch,
    /// The yardstick of many to many.
    Vyukov,
    /// A many-to-many channel.
    Many,
    /// A many-to-many channel, messages written and read in place.
    ManyInPlace,
}

impl Way {
    /// How it is named in a table.
    pub fn label(self) -> &'static str {
        match self {
            Way::Raw => "raw two-index ring",
            Way::Line => "one cache line, the limit",
            Way::Pipe => "pipe",
            Way::Socket => "Unix socket",
            Way::Balanced => "sysvring",
            Way::Spin => "sysvring, Wait::Spin",
            Way::Park => "sysvring, Wait::Park",
            Way::Into => "sysvring, recv_into",
            Way::InPlace => "sysvring, in place",
            Way::Batch => "sysvring, batches of 16",
            Way::Vyukov => "Vyukov's ring",
            Way::Many => "sysvring mpmc",
            Way::ManyInPlace => "sysvring mpmc, in place",
        }
    }

    /// How the members of such a channel wait.
    pub fn wait(self) -> Wait {
        match self {
            Way::Spin => Wait::Spin,
            Way::Park => Wait::Park,
            _ => Wait::Balanced,
        }
    }
}

impl Contender for Way {
    fn name(self) -> String {
        self.label().to_owned()
    }

    fn is_yardstick(self) -> bool {
        matches!(self, Way::Raw | Way::Vyukov)
    }

    /// Rivals have a bench of their own.
    fn is_rival(self) -> bool {
        false
    }
}

/// As a child is told.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is skipped").get_name())
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(name: &str) -> Result<Way, String> {
        ValueEnum::from_str(name, false)
    }
}

/// A new private channel: its segment goes with its members, however they end.
pub fn sender<M: Message>(way: Way) -> Sender<M> {
    Options::private().wait(way.wait()).create().expect("create a channel")
}

/// A new private many-to-many channel.
pub fn many_sender<M: Message>(way: Way) -> mpmc::Sender<M> {
    Options::private().wait(way.wait()).create().expect("create a channel")
}

/// Another member of it.
pub fn many<H: Handle>(way: Way, address: &str) -> H {
    let id = address.parse().expect("a channel's id");
    Options::id(id).wait(way.wait()).attach().expect("attach to the channel")
}

/// The other end of it.
pub fn receiver<M: Message>(way: Way, address: &str) -> Receiver<M> {
    let id = address.parse().expect("a channel's id");
    Options::id(id).wait(way.wait()).attach().expect("attach to the channel")
}

/// A new pipe's writing end, and where a process can open its reading end.
pub fn pipe_sender() -> (PipeWriter, String) {
    let (reader, writer) = pipe().expect("create a pipe");
    // An open end leads to the pipe; which of its two ends the opener gets is the opener's choice.
    let address = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
    drop(reader);
    (writer, address)
}

/// The reading end of it.
pub fn pipe_receiver(address: &str) -> File {
    File::open(address).expect("open the pipe")
}

/// A new socket that a process can connect to, and its name, which is in no file system.
pub fn socket_listener() -> (UnixListener, String) {
    let name = format!("sysvring-bench-{}", std::process::id());
    (UnixListener::bind_addr(&socket_address(&name)).expect("bind a socket"), name)
}

/// The other end of it.
pub fn socket_receiver(name: &str) -> UnixStream {
    UnixStream::connect_addr(&socket_address(name)).expect("connect the socket")
}

fn socket_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("a short name")
}

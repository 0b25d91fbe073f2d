//! The transports compared: their names, and the scenarios in which each takes part.

pub mod baseline;
pub mod broadcast;
pub mod ends;
pub mod epoll;
#[cfg(feature = "large")]
pub mod iceoryx2_and_ipc_channel;
pub mod in_process;
pub mod message_queues;
pub mod pipes_and_sockets;
pub mod postcard;
#[cfg(feature = "competitors")]
pub mod rtrb_and_crossbeam;
#[cfg(feature = "competitors")]
pub mod shaq;
#[cfg(feature = "competitors")]
pub mod shaq_broadcast;
#[cfg(feature = "competitors")]
pub mod shmem_ipc_and_ipmpsc;
pub mod sketch;
pub mod sysvring;
pub mod tasks;
pub mod traits;
pub mod vyukov;

use std::fmt;
use std::str::FromStr;

use ::sysvring::Wait;
use clap::ValueEnum;

use crate::report::goals::Contender;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A channel with default options, messages received into a caller-provided buffer
    Sysvring,
    /// The same, messages received by value
    ByValue,
    /// A channel whose members only spin
    Spin,
    /// A channel whose members park at once
    Park,
    /// A channel with default options, messages written and read in place
    InPlace,
    /// A channel in huge pages, messages written and read in place
    Huge,
    /// A channel of values of a serde type
    Postcard,
    /// A channel opened by name
    Named,
    /// An MPMC channel, used where the others are SPSC
    Mpmc,
    /// A broadcast channel
    Broadcast,
    /// A broadcast channel, messages written and read in place
    BroadcastInPlace,
    /// An SPSC channel for each receiver
    Channels,
    /// The same, messages written and read in place
    ChannelsInPlace,
    /// The SPSC baseline: a raw two-index ring
    Baseline,
    /// A sketch of the protocol alone: state words in front of the payloads
    WordsInFront,
    /// The same with the state words in an array of their own
    WordsApart,
    /// The lower bound of latency: one cache line
    CacheLine,
    /// The MPMC baseline
    Vyukov,
    /// The upper bound for large messages: bytes copied from a warm buffer into memory as large as
    /// a ring
    Copy,
    /// shaq's SPSC, MPMC or broadcast queue
    Shaq,
    /// shaq's SPSC queue, whose receiver blocks
    ShaqBlocking,
    /// shmem-ipc's shared ring
    ShmemIpc,
    /// ipmpsc, whose messages pass through serde
    Ipmpsc,
    Iceoryx2,
    /// iceoryx2 with events, on which the subscriber blocks
    Iceoryx2Events,
    IpcChannel,
    Pipe,
    Unix,
    Tcp,
    SysV,
    Posix,
    Rtrb,
    Crossbeam,
    Std,
    /// A pipe whose receiver waits in epoll
    PipeEpoll,
    /// A Unix stream socket whose receiver waits in epoll
    UnixEpoll,
    /// A channel whose receiver waits in a wait set
    WaitSet,
    /// An MPMC channel whose receiver waits in a wait set
    MpmcWaitSet,
    /// A Unix stream socket whose receiver is a tokio task
    TaskUnix,
    /// A Unix datagram socket whose receiver is a tokio task
    TaskDatagram,
    /// A channel whose receiver is a tokio task
    TaskSpsc,
    /// An MPMC channel whose receiver is a tokio task
    TaskMpmc,
    /// tokio's channel between a thread and a task
    TaskThread,
}

impl Transport {
    /// Returns its name in tables and plots.
    pub fn label(self) -> &'static str {
        match self {
            Transport::Sysvring => "sysvring",
            Transport::ByValue => "sysvring, recv",
            Transport::Spin => "sysvring, Wait::Spin",
            Transport::Park => "sysvring, Wait::Park",
            Transport::InPlace => "sysvring, in place",
            Transport::Huge => "sysvring, in place, huge pages",
            Transport::Postcard => "sysvring, postcard",
            Transport::Named => "sysvring, by name",
            Transport::Mpmc => "sysvring, MPMC",
            Transport::Broadcast => "sysvring, broadcast",
            Transport::BroadcastInPlace => "sysvring, broadcast, in place",
            Transport::Channels => "sysvring, a channel for each",
            Transport::ChannelsInPlace => "sysvring, a channel for each, in place",
            Transport::Baseline => "baseline",
            Transport::WordsInFront => "sketch, words in front",
            Transport::WordsApart => "sketch, words apart",
            Transport::CacheLine => "one cache line",
            Transport::Vyukov => "Vyukov's ring",
            Transport::Copy => "plain copy, one processor",
            Transport::Shaq => "shaq 4.3",
            Transport::ShaqBlocking => "shaq 4.3, blocking",
            Transport::ShmemIpc => "shmem-ipc 0.3",
            Transport::Ipmpsc => "ipmpsc 0.5",
            Transport::Iceoryx2 => "iceoryx2 0.10",
            Transport::Iceoryx2Events => "iceoryx2 0.10, events",
            Transport::IpcChannel => "ipc-channel 0.23",
            Transport::Pipe => "pipe",
            Transport::Unix => "Unix stream socket",
            Transport::Tcp => "TCP, loopback",
            Transport::SysV => "System V message queue",
            Transport::Posix => "POSIX message queue",
            Transport::Rtrb => "in-process: rtrb 0.4",
            Transport::Crossbeam => "in-process: crossbeam 0.5",
            Transport::Std => "in-process: std mpsc",
            Transport::PipeEpoll => "pipe, epoll",
            Transport::UnixEpoll => "Unix stream socket, epoll",
            Transport::WaitSet => "sysvring, wait set",
            Transport::MpmcWaitSet => "sysvring, MPMC, wait set",
            Transport::TaskUnix => "tokio task, Unix stream socket",
            Transport::TaskDatagram => "tokio task, Unix datagram socket",
            Transport::TaskSpsc => "tokio task, sysvring",
            Transport::TaskMpmc => "tokio task, sysvring, MPMC",
            Transport::TaskThread => "tokio task, in-process: tokio mpsc",
        }
    }

    /// Returns whether its crate is built in.
    pub fn is_built(self) -> bool {
        use Transport::{Crossbeam, Iceoryx2, Iceoryx2Events, IpcChannel, Ipmpsc, Rtrb, Shaq};
        let large = matches!(self, Iceoryx2 | Iceoryx2Events | IpcChannel);
        let other = matches!(self, Shaq | Self::ShaqBlocking | Self::ShmemIpc | Ipmpsc | Rtrb)
            || self == Crossbeam;
        (cfg!(feature = "large") || !large) && (cfg!(feature = "competitors") || !other)
    }

    /// Returns whether it takes part unless others are selected: sysvring and the baselines always,
    /// all others only in a build that compares with competitors.
    pub fn is_default(self) -> bool {
        let own = self.is_sysvring() || self.is_baseline();
        self.is_built() && (own || cfg!(feature = "competitors"))
    }

    /// Returns the wait strategy of its channels.
    pub fn wait(self) -> Wait {
        match self {
            Transport::Spin => Wait::Spin,
            Transport::Park => Wait::Park,
            _ => Wait::Balanced,
        }
    }

    /// Returns whether it connects two processes.
    pub fn is_ipc(self) -> bool {
        use Transport::{Crossbeam, Rtrb, Std, TaskThread};
        !matches!(self, Rtrb | Crossbeam | Std | TaskThread)
    }

    /// Returns whether it is sysvring.
    pub fn is_sysvring(self) -> bool {
        use Transport::{ByValue, Huge, InPlace, Mpmc, Named, Park, Postcard, Spin, Sysvring};
        use Transport::{MpmcWaitSet, TaskMpmc, TaskSpsc};
        matches!(self, Sysvring | ByValue | Spin | Park | InPlace | Huge | Named | Mpmc)
            || self == Postcard
            || matches!(self, Self::WaitSet | MpmcWaitSet | TaskSpsc | TaskMpmc)
            || self.is_broadcast()
    }

    /// Returns whether it has several receivers that get every message, and takes part only where
    /// that is measured.
    pub fn is_broadcast(self) -> bool {
        use Transport::{Broadcast, BroadcastInPlace, Channels, ChannelsInPlace};
        matches!(self, Broadcast | BroadcastInPlace | Channels | ChannelsInPlace)
    }

    /// Returns whether its throughput is measured with receivers that get every message.
    pub fn has_broadcast(self) -> bool {
        use Transport::{Iceoryx2, InPlace, Shaq, Sysvring};
        self.is_broadcast() || matches!(self, Shaq | Iceoryx2 | Sysvring | InPlace)
    }

    /// Returns whether its receiver waits for descriptors, in epoll, a wait set or a task.
    pub fn has_readiness(self) -> bool {
        use Transport::{MpmcWaitSet, PipeEpoll, TaskDatagram, TaskMpmc, TaskSpsc, TaskUnix};
        matches!(self, PipeEpoll | Self::UnixEpoll | Self::WaitSet | MpmcWaitSet | TaskUnix)
            || matches!(self, TaskDatagram | TaskSpsc | TaskMpmc | Self::TaskThread)
    }

    /// Returns whether it is SPSC.
    pub fn is_spsc(self) -> bool {
        use Transport::{CacheLine, Copy, Huge, Mpmc, Named, Postcard, Vyukov};
        !matches!(self, Huge | Named | Mpmc | Postcard | Vyukov | Copy | CacheLine)
            && !self.has_readiness()
            && !self.is_broadcast()
    }

    /// Returns whether it is SPSC in its usual form.
    pub fn is_usual(self) -> bool {
        let unusual = matches!(self, Transport::InPlace | Transport::ByValue);
        self.is_spsc() && !self.is_wait_variant() && !unusual && !self.is_sketch()
    }

    /// Returns whether it is a sketch of a protocol and not a queue to be used.
    pub fn is_sketch(self) -> bool {
        matches!(self, Transport::WordsInFront | Transport::WordsApart)
    }

    /// Returns whether it differs from another contender only in its wait strategy.
    pub fn is_wait_variant(self) -> bool {
        use Transport::{Iceoryx2Events, Park, ShaqBlocking, Spin};
        matches!(self, Spin | Park | ShaqBlocking | Iceoryx2Events)
    }

    /// Returns whether its throughput is measured; of the wait strategies, only sysvring's spinning
    /// one.
    pub fn has_stream(self) -> bool {
        self.is_spsc() && !self.is_wait_variant() || self == Transport::Spin
    }

    /// Returns whether its throughput is measured for every size.
    pub fn has_sizes(self) -> bool {
        use Transport::{Baseline, ByValue, Sysvring};
        self.is_sketch() || matches!(self, Sysvring | ByValue | Baseline)
    }

    /// Returns whether its one-way latency is measured.
    pub fn has_one_way(self) -> bool {
        self.is_usual() || matches!(self, Transport::CacheLine | Transport::Spin)
    }

    /// Returns whether its round trip is measured.
    pub fn has_round_trip(self) -> bool {
        self.is_usual() || self.is_wait_variant() || self == Transport::CacheLine
    }

    /// Returns whether its CPU usage is measured.
    pub fn has_cpu_usage(self) -> bool {
        (self.is_usual() || self.is_wait_variant()) && self.is_ipc() && self != Transport::Spin
    }

    /// Returns whether its open and close latency is measured.
    pub fn has_lifecycle(self) -> bool {
        self.is_usual() && self.is_ipc() || matches!(self, Transport::Named | Transport::Mpmc)
    }

    /// Returns whether its latency at a fixed rate is measured.
    pub fn has_open_loop(self) -> bool {
        self.is_usual() && self.is_ipc()
    }

    /// Returns whether a waiting receiver spins without ever blocking.
    pub fn only_spins(self) -> bool {
        use Transport::{Baseline, CacheLine, Iceoryx2, Rtrb, Shaq, Spin};
        self.is_sketch() || matches!(self, Spin | Baseline | CacheLine | Shaq | Rtrb | Iceoryx2)
    }

    /// Returns whether it supports batches.
    pub fn has_batches(self) -> bool {
        use Transport::{Baseline, Pipe, Rtrb, Shaq, ShmemIpc, Sysvring, Tcp, Unix};
        self.is_sketch()
            || matches!(self, Sysvring | Baseline | Shaq | ShmemIpc | Pipe | Unix | Tcp | Rtrb)
    }

    /// Returns whether it supports messages of this size.
    pub fn takes(self, bytes: usize) -> bool {
        match self {
            // The default limits of the kernel's message queues.
            Transport::SysV | Transport::Posix => bytes <= 8192,
            // In-place access pays off only for messages of more than one word.
            Transport::InPlace => bytes > 8,
            Transport::ByValue => bytes <= 1024,
            _ => true,
        }
    }

    /// Returns whether it takes part in the MPMC runs.
    pub fn has_mpmc(self) -> bool {
        use Transport::{Crossbeam, InPlace, Shaq, Sysvring, Vyukov};
        matches!(self, Sysvring | InPlace | Vyukov | Shaq | Crossbeam)
    }

    /// Returns whether every message takes a system call or several.
    pub fn has_system_calls(self) -> bool {
        use Transport::{IpcChannel, Ipmpsc, Pipe, Posix, SysV, Tcp, Unix};
        // ipmpsc has a lock on which both sides block.
        matches!(self, Pipe | Unix | Tcp | SysV | Posix | Ipmpsc | IpcChannel)
    }

    /// Returns whether a message takes a system call when the other side is idle.
    pub fn has_system_calls_when_idle(self) -> bool {
        self.has_system_calls() || self == Transport::ShmemIpc
    }
}

impl Contender for Transport {
    fn name(self) -> String {
        self.label().to_owned()
    }

    fn is_baseline(self) -> bool {
        use Transport::{Baseline, CacheLine, Channels, ChannelsInPlace, Copy, Vyukov};
        self.is_sketch()
            || matches!(self, Baseline | CacheLine | Vyukov | Copy | Channels | ChannelsInPlace)
    }

    fn is_competitor(self) -> bool {
        self.is_ipc() && !self.is_sysvring() && !self.is_baseline()
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

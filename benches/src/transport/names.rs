//! The transports compared: their names, and the parts in which each takes part.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use crate::goals::Contender;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A channel with default options.
    Sysvring,
    /// A channel whose members only spin.
    Spin,
    /// A channel whose members park at once.
    Park,
    /// A channel with default options, messages written and read in place.
    InPlace,
    /// A channel in huge pages, messages written and read in place.
    Huge,
    /// A channel opened by name.
    Named,
    /// An MPMC channel, used where the others are SPSC.
    Mpmc,
    /// The SPSC baseline: a raw two-index ring.
    Baseline,
    /// The lower bound of latency: one cache line.
    CacheLine,
    /// The MPMC baseline.
    Vyukov,
    /// The upper bound for large messages: bytes copied from a warm buffer into memory as large as
    /// a ring.
    Copy,
    /// shaq's SPSC or MPMC queue.
    Shaq,
    /// shaq's SPSC queue, whose receiver blocks.
    ShaqBlocking,
    /// shmem-ipc's shared ring.
    ShmemIpc,
    /// ipmpsc, whose messages pass through serde.
    Ipmpsc,
    #[cfg(feature = "large")]
    Iceoryx2,
    /// iceoryx2 with events, on which the subscriber blocks.
    #[cfg(feature = "large")]
    Iceoryx2Events,
    #[cfg(feature = "large")]
    IpcChannel,
    Pipe,
    Unix,
    Tcp,
    SysV,
    Posix,
    Rtrb,
    Crossbeam,
    Std,
}

impl Transport {
    /// Returns its name in tables and plots.
    pub fn label(self) -> &'static str {
        match self {
            Transport::Sysvring => "sysvring",
            Transport::Spin => "sysvring, Wait::Spin",
            Transport::Park => "sysvring, Wait::Park",
            Transport::InPlace => "sysvring, in place",
            Transport::Huge => "sysvring, in place, huge pages",
            Transport::Named => "sysvring, by name",
            Transport::Mpmc => "sysvring, MPMC",
            Transport::Baseline => "baseline",
            Transport::CacheLine => "one cache line",
            Transport::Vyukov => "Vyukov's ring",
            Transport::Copy => "plain copy, one processor",
            Transport::Shaq => "shaq 4.1",
            Transport::ShaqBlocking => "shaq 4.1, blocking",
            Transport::ShmemIpc => "shmem-ipc 0.3",
            Transport::Ipmpsc => "ipmpsc 0.5",
            #[cfg(feature = "large")]
            Transport::Iceoryx2 => "iceoryx2 0.10",
            #[cfg(feature = "large")]
            Transport::Iceoryx2Events => "iceoryx2 0.10, events",
            #[cfg(feature = "large")]
            Transport::IpcChannel => "ipc-channel 0.20",
            Transport::Pipe => "pipe",
            Transport::Unix => "Unix stream socket",
            Transport::Tcp => "TCP, loopback",
            Transport::SysV => "System V message queue",
            Transport::Posix => "POSIX message queue",
            Transport::Rtrb => "in-process: rtrb",
            Transport::Crossbeam => "in-process: crossbeam",
            Transport::Std => "in-process: std mpsc",
        }
    }

    /// Returns whether it connects two processes.
    pub fn is_between(self) -> bool {
        !matches!(self, Transport::Rtrb | Transport::Crossbeam | Transport::Std)
    }

    /// Returns whether it is sysvring.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Transport::Sysvring
                | Transport::Spin
                | Transport::Park
                | Transport::InPlace
                | Transport::Huge
                | Transport::Named
                | Transport::Mpmc
        )
    }

    /// Returns whether it is SPSC.
    pub fn is_single(self) -> bool {
        !matches!(
            self,
            Transport::Huge
                | Transport::Named
                | Transport::Mpmc
                | Transport::Vyukov
                | Transport::Copy
                | Transport::CacheLine
        )
    }

    /// Returns whether it is SPSC in its usual form, by value.
    pub fn is_plain(self) -> bool {
        self.is_single() && !self.is_manner() && self != Transport::InPlace
    }

    /// Returns whether it differs from another contender only in its wait strategy.
    pub fn is_manner(self) -> bool {
        match self {
            Transport::Spin | Transport::Park | Transport::ShaqBlocking => true,
            #[cfg(feature = "large")]
            Transport::Iceoryx2Events => true,
            _ => false,
        }
    }

    /// Returns whether its throughput is measured; of the wait strategies, only sysvring's spinning
    /// one.
    pub fn has_stream(self) -> bool {
        self.is_single() && !self.is_manner() || self == Transport::Spin
    }

    /// Returns whether its one-way latency is measured.
    pub fn has_one_way(self) -> bool {
        self.is_plain() || self == Transport::CacheLine
    }

    /// Returns whether its round trip is measured.
    pub fn has_round_trip(self) -> bool {
        self.is_single() && self != Transport::InPlace || self == Transport::CacheLine
    }

    /// Returns whether its idle CPU is measured.
    pub fn has_rest(self) -> bool {
        self.is_single() && !matches!(self, Transport::InPlace | Transport::Spin)
    }

    /// Returns whether its open and close latency is measured.
    pub fn has_life(self) -> bool {
        self.is_plain() || matches!(self, Transport::Named | Transport::Mpmc)
    }

    /// Returns whether a waiting receiver spins without ever blocking.
    pub fn is_busy(self) -> bool {
        match self {
            Transport::Spin
            | Transport::Baseline
            | Transport::CacheLine
            | Transport::Shaq
            | Transport::Rtrb => true,
            #[cfg(feature = "large")]
            Transport::Iceoryx2 => true,
            _ => false,
        }
    }

    /// Returns whether it supports batches.
    pub fn has_batches(self) -> bool {
        use Transport::{Baseline, Pipe, Rtrb, Shaq, ShmemIpc, Sysvring, Tcp, Unix};
        matches!(self, Sysvring | Baseline | Shaq | ShmemIpc | Pipe | Unix | Tcp | Rtrb)
    }

    /// Returns whether it supports messages of this size.
    pub fn takes(self, bytes: usize) -> bool {
        // The default limits of the kernel's message queues.
        bytes <= 8192 || !matches!(self, Transport::SysV | Transport::Posix)
    }

    /// Returns whether it takes part in the MPMC runs.
    pub fn is_many(self) -> bool {
        matches!(
            self,
            Transport::Sysvring
                | Transport::InPlace
                | Transport::Vyukov
                | Transport::Shaq
                | Transport::Crossbeam
        )
    }

    /// Returns whether every message takes a system call or several.
    pub fn calls(self) -> bool {
        match self {
            Transport::Pipe
            | Transport::Unix
            | Transport::Tcp
            | Transport::SysV
            | Transport::Posix => true,
            // A lock on which both sides block.
            Transport::Ipmpsc => true,
            #[cfg(feature = "large")]
            Transport::IpcChannel => true,
            _ => false,
        }
    }

    /// Returns whether a message takes a system call when the other side is idle.
    pub fn calls_when_idle(self) -> bool {
        self.calls() || self == Transport::ShmemIpc
    }
}

impl Contender for Transport {
    fn name(self) -> String {
        self.label().to_owned()
    }

    fn is_baseline(self) -> bool {
        matches!(
            self,
            Transport::Baseline | Transport::CacheLine | Transport::Vyukov | Transport::Copy
        )
    }

    fn is_competitor(self) -> bool {
        self.is_between() && !self.is_ours() && !self.is_baseline()
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

//! The transports compared: their names, and the parts in which each takes part.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use crate::verdict::Contender;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
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
    Many,
    /// The SPSC baseline: a raw two-index ring.
    Raw,
    /// The lower bound of latency: one cache line.
    Line,
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

impl Way {
    /// Returns its name in tables and plots.
    pub fn label(self) -> &'static str {
        match self {
            Way::Sysvring => "sysvring",
            Way::Spin => "sysvring, Wait::Spin",
            Way::Park => "sysvring, Wait::Park",
            Way::InPlace => "sysvring, in place",
            Way::Huge => "sysvring, in place, huge pages",
            Way::Named => "sysvring, by name",
            Way::Many => "sysvring, MPMC",
            Way::Raw => "baseline",
            Way::Line => "one cache line",
            Way::Vyukov => "Vyukov's ring",
            Way::Copy => "plain copy, one processor",
            Way::Shaq => "shaq 4.1",
            Way::ShaqBlocking => "shaq 4.1, blocking",
            Way::ShmemIpc => "shmem-ipc 0.3",
            Way::Ipmpsc => "ipmpsc 0.5",
            #[cfg(feature = "large")]
            Way::Iceoryx2 => "iceoryx2 0.10",
            #[cfg(feature = "large")]
            Way::Iceoryx2Events => "iceoryx2 0.10, events",
            #[cfg(feature = "large")]
            Way::IpcChannel => "ipc-channel 0.20",
            Way::Pipe => "pipe",
            Way::Unix => "Unix stream socket",
            Way::Tcp => "TCP, loopback",
            Way::SysV => "System V message queue",
            Way::Posix => "POSIX message queue",
            Way::Rtrb => "in-process: rtrb",
            Way::Crossbeam => "in-process: crossbeam",
            Way::Std => "in-process: std mpsc",
        }
    }

    /// Returns whether it connects two processes.
    pub fn is_between(self) -> bool {
        !matches!(self, Way::Rtrb | Way::Crossbeam | Way::Std)
    }

    /// Returns whether it is sysvring.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Way::Sysvring
                | Way::Spin
                | Way::Park
                | Way::InPlace
                | Way::Huge
                | Way::Named
                | Way::Many
        )
    }

    /// Returns whether it is SPSC.
    pub fn is_single(self) -> bool {
        !matches!(self, Way::Huge | Way::Named | Way::Many | Way::Vyukov | Way::Copy | Way::Line)
    }

    /// Returns whether it is SPSC in its usual form, by value.
    pub fn is_plain(self) -> bool {
        self.is_single() && !self.is_manner() && self != Way::InPlace
    }

    /// Returns whether it differs from another contender only in its wait strategy.
    pub fn is_manner(self) -> bool {
        match self {
            Way::Spin | Way::Park | Way::ShaqBlocking => true,
            #[cfg(feature = "large")]
            Way::Iceoryx2Events => true,
            _ => false,
        }
    }

    /// Returns whether its throughput is measured; of the wait strategies, only sysvring's spinning
    /// one.
    pub fn has_stream(self) -> bool {
        self.is_single() && !self.is_manner() || self == Way::Spin
    }

    /// Returns whether its one-way latency is measured.
    pub fn has_one_way(self) -> bool {
        self.is_plain() || self == Way::Line
    }

    /// Returns whether its round trip is measured.
    pub fn has_round_trip(self) -> bool {
        self.is_single() && self != Way::InPlace || self == Way::Line
    }

    /// Returns whether its idle CPU is measured.
    pub fn has_rest(self) -> bool {
        self.is_single() && !matches!(self, Way::InPlace | Way::Spin)
    }

    /// Returns whether its open and close latency is measured.
    pub fn has_life(self) -> bool {
        self.is_plain() || matches!(self, Way::Named | Way::Many)
    }

    /// Returns whether a waiting receiver spins without ever blocking.
    pub fn is_busy(self) -> bool {
        match self {
            Way::Spin | Way::Raw | Way::Line | Way::Shaq | Way::Rtrb => true,
            #[cfg(feature = "large")]
            Way::Iceoryx2 => true,
            _ => false,
        }
    }

    /// Returns whether it supports batches.
    pub fn has_batches(self) -> bool {
        use Way::{Pipe, Raw, Rtrb, Shaq, ShmemIpc, Sysvring, Tcp, Unix};
        matches!(self, Sysvring | Raw | Shaq | ShmemIpc | Pipe | Unix | Tcp | Rtrb)
    }

    /// Returns whether it supports messages of this size.
    pub fn takes(self, bytes: usize) -> bool {
        // The default limits of the kernel's message queues.
        bytes <= 8192 || !matches!(self, Way::SysV | Way::Posix)
    }

    /// Returns whether it takes part in the MPMC runs.
    pub fn is_many(self) -> bool {
        matches!(self, Way::Sysvring | Way::InPlace | Way::Vyukov | Way::Shaq | Way::Crossbeam)
    }

    /// Returns whether every message takes a system call or several.
    pub fn calls(self) -> bool {
        match self {
            Way::Pipe | Way::Unix | Way::Tcp | Way::SysV | Way::Posix => true,
            // A lock on which both sides block.
            Way::Ipmpsc => true,
            #[cfg(feature = "large")]
            Way::IpcChannel => true,
            _ => false,
        }
    }

    /// Returns whether a message takes a system call when the other side is idle.
    pub fn calls_when_idle(self) -> bool {
        self.calls() || self == Way::ShmemIpc
    }
}

impl Contender for Way {
    fn name(self) -> String {
        self.label().to_owned()
    }

    fn is_yardstick(self) -> bool {
        matches!(self, Way::Raw | Way::Line | Way::Vyukov | Way::Copy)
    }

    fn is_rival(self) -> bool {
        self.is_between() && !self.is_ours() && !self.is_yardstick()
    }
}

/// The form in which it is passed to a child process.
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

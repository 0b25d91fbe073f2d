//! The rivals: what each is called, and where it has its place.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use crate::verdict::Contender;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// A channel as it is by default.
    Sysvring,
    /// The same, whose members never sleep.
    Spin,
    /// The same, whose members sleep at once.
    Park,
    /// The same as by default, messages written and read in place.
    InPlace,
    /// The same in huge pages.
    Huge,
    /// A channel that is opened by its name.
    Named,
    /// A many-to-many channel where the others are one to one.
    Many,
    /// The yardstick of one to one.
    Raw,
    /// The yardstick of answers.
    Line,
    /// The yardstick of many to many.
    Vyukov,
    /// The yardstick of large messages: bytes copied from a warm place into memory as large as a ring.
    Copy,
    /// shaq's queue of its kind: one to one, or many to many.
    Shaq,
    /// The one to one, whose receiver sleeps.
    ShaqBlocking,
    /// shmem-ipc's shared ring.
    ShmemIpc,
    /// Its messages pass serde.
    Ipmpsc,
    #[cfg(feature = "large")]
    Iceoryx2,
    /// The same, whose subscriber sleeps.
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
    /// How it is named in a table.
    pub fn label(self) -> &'static str {
        match self {
            Way::Sysvring => "sysvring",
            Way::Spin => "sysvring, Wait::Spin",
            Way::Park => "sysvring, Wait::Park",
            Way::InPlace => "sysvring, in place",
            Way::Huge => "the same, in huge pages",
            Way::Named => "sysvring, by name",
            Way::Many => "sysvring, many to many",
            Way::Raw => "raw two-index ring",
            Way::Line => "one cache line",
            Way::Vyukov => "Vyukov's ring",
            Way::Copy => "copied, one processor",
            Way::Shaq => "shaq 4.1",
            Way::ShaqBlocking => "shaq 4.1, blocking",
            Way::ShmemIpc => "shmem-ipc 0.3",
            Way::Ipmpsc => "ipmpsc 0.5",
            #[cfg(feature = "large")]
            Way::Iceoryx2 => "iceoryx2 0.10",
            #[cfg(feature = "large")]
            Way::Iceoryx2Events => "iceoryx2 0.10, by events",
            #[cfg(feature = "large")]
            Way::IpcChannel => "ipc-channel 0.20",
            Way::Pipe => "pipe",
            Way::Unix => "Unix stream socket",
            Way::Tcp => "TCP, loopback",
            Way::SysV => "System V message queue",
            Way::Posix => "POSIX message queue",
            Way::Rtrb => "within a process: rtrb",
            Way::Crossbeam => "within a process: crossbeam",
            Way::Std => "within a process: std mpsc",
        }
    }

    /// Whether it goes from one process to another.
    pub fn is_between(self) -> bool {
        !matches!(self, Way::Rtrb | Way::Crossbeam | Way::Std)
    }

    /// Whether it is the crate itself.
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

    /// Whether it goes from one to one.
    pub fn is_single(self) -> bool {
        !matches!(self, Way::Huge | Way::Named | Way::Many | Way::Vyukov | Way::Copy | Way::Line)
    }

    /// Whether it is one of them as it usually is, by value.
    pub fn is_plain(self) -> bool {
        self.is_single() && !self.is_manner() && self != Way::InPlace
    }

    /// Whether it is in the tables for how it waits, and is another of them elsewhere.
    pub fn is_manner(self) -> bool {
        match self {
            Way::Spin | Way::Park | Way::ShaqBlocking => true,
            #[cfg(feature = "large")]
            Way::Iceoryx2Events => true,
            _ => false,
        }
    }

    /// Whether streams are measured of it: the blocking form of ours stands beside its busy one.
    pub fn has_stream(self) -> bool {
        self.is_single() && !self.is_manner() || self == Way::Spin
    }

    /// Whether it has its place among the times of one way.
    pub fn has_one_way(self) -> bool {
        self.is_plain() || self == Way::Line
    }

    /// Whether it has its place among those of there and back.
    pub fn has_round_trip(self) -> bool {
        self.is_single() && self != Way::InPlace || self == Way::Line
    }

    /// Whether it is asked what it costs while there is nothing to do.
    pub fn has_rest(self) -> bool {
        self.is_single() && !matches!(self, Way::InPlace | Way::Spin)
    }

    /// Whether it is opened and closed in a manner of its own.
    pub fn has_life(self) -> bool {
        self.is_plain() || matches!(self, Way::Named | Way::Many)
    }

    /// Whether a receiver that waits keeps its processor busy for ever.
    pub fn is_busy(self) -> bool {
        match self {
            Way::Spin | Way::Raw | Way::Line | Way::Shaq | Way::Rtrb => true,
            #[cfg(feature = "large")]
            Way::Iceoryx2 => true,
            _ => false,
        }
    }

    /// Whether several messages can be given to it at once.
    pub fn has_batches(self) -> bool {
        use Way::{Pipe, Raw, Rtrb, Shaq, ShmemIpc, Sysvring, Tcp, Unix};
        matches!(self, Sysvring | Raw | Shaq | ShmemIpc | Pipe | Unix | Tcp | Rtrb)
    }

    /// Whether it takes messages that are so large.
    pub fn takes(self, bytes: usize) -> bool {
        // The kernel's queues as they are by default.
        bytes <= 8192 || !matches!(self, Way::SysV | Way::Posix)
    }

    /// Whether it goes from many to many.
    pub fn is_many(self) -> bool {
        matches!(self, Way::Sysvring | Way::InPlace | Way::Vyukov | Way::Shaq | Way::Crossbeam)
    }

    /// Whether a message is a call of the kernel, or several.
    pub fn calls(self) -> bool {
        match self {
            Way::Pipe | Way::Unix | Way::Tcp | Way::SysV | Way::Posix => true,
            // A lock that both sides wait for.
            Way::Ipmpsc => true,
            #[cfg(feature = "large")]
            Way::IpcChannel => true,
            _ => false,
        }
    }

    /// Whether a message is one where the other side has nothing else to do.
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

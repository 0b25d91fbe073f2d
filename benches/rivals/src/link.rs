//! The rivals, and how the ends of each are opened.

use std::cell::RefCell;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::str::FromStr;

use clap::ValueEnum;

use crate::contest::Pair;
use crate::machine::Cores;
use crate::{pair, queues};

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// A channel as it is by default.
    Sysvring,
    /// The same, messages written and read in place.
    InPlace,
    /// A channel that is opened by its name.
    Named,
    /// A many-to-many channel where the others are one to one.
    Many,
    /// The yardstick of one to one.
    Raw,
    /// The yardstick of many to many.
    Vyukov,
    /// The yardstick of large messages: bytes copied from a warm place into memory as large as a ring.
    Copy,
    /// shaq's queue of its kind: one to one, or many to many.
    Shaq,
    /// shmem-ipc's shared ring.
    ShmemIpc,
    /// Its messages pass serde.
    Ipmpsc,
    #[cfg(feature = "large")]
    Iceoryx2,
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
            Way::InPlace => "sysvring, in place",
            Way::Named => "sysvring, by name",
            Way::Many => "sysvring, many to many",
            Way::Raw => "raw two-index ring",
            Way::Vyukov => "Vyukov's ring",
            Way::Copy => "copied, one processor",
            Way::Shaq => "shaq 4.1",
            Way::ShmemIpc => "shmem-ipc 0.3",
            Way::Ipmpsc => "ipmpsc 0.5",
            #[cfg(feature = "large")]
            Way::Iceoryx2 => "iceoryx2 0.10",
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
        matches!(self, Way::Sysvring | Way::InPlace | Way::Named | Way::Many)
    }

    /// Whether it shows what can be had without what a channel is for.
    pub fn is_yardstick(self) -> bool {
        matches!(self, Way::Raw | Way::Vyukov | Way::Copy)
    }

    /// Another's, for the same use.
    pub fn is_rival(self) -> bool {
        self.is_between() && !self.is_ours() && !self.is_yardstick()
    }

    /// Whether it goes from one to one.
    pub fn is_single(self) -> bool {
        !matches!(self, Way::Named | Way::Many | Way::Vyukov | Way::Copy)
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

/// Runs `$run` with the carrier of a way between processes, or `$local` with that of a way within
/// one.
#[macro_export]
macro_rules! by_way {
    ($way:expr, $run:ident :: <$n:ident> $args:tt, $local:ident $local_args:tt) => {
        match $way {
            $crate::link::Way::Sysvring => $run::<$crate::shared::Sysvring, $n> $args,
            $crate::link::Way::InPlace => $run::<$crate::shared::InPlace, $n> $args,
            $crate::link::Way::Named => $run::<$crate::shared::Named, $n> $args,
            $crate::link::Way::Many => $run::<$crate::shared::Many, $n> $args,
            $crate::link::Way::Raw => $run::<$crate::shared::Raw, $n> $args,
            $crate::link::Way::Shaq => $run::<$crate::shared::Shaq, $n> $args,
            $crate::link::Way::ShmemIpc => $run::<$crate::others::ShmemIpc, $n> $args,
            $crate::link::Way::Ipmpsc => $run::<$crate::others::Ipmpsc, $n> $args,
            #[cfg(feature = "large")]
            $crate::link::Way::Iceoryx2 => $run::<$crate::large::Iceoryx2, $n> $args,
            #[cfg(feature = "large")]
            $crate::link::Way::IpcChannel => $run::<$crate::large::IpcChannel, $n> $args,
            $crate::link::Way::Pipe => $run::<$crate::kernel::Pipe, $n> $args,
            $crate::link::Way::Unix => $run::<$crate::kernel::Unix, $n> $args,
            $crate::link::Way::Tcp => $run::<$crate::kernel::Tcp, $n> $args,
            $crate::link::Way::SysV => $run::<$crate::queues::SysV, $n> $args,
            $crate::link::Way::Posix => $run::<$crate::queues::Posix, $n> $args,
            $crate::link::Way::Rtrb => $local::<$crate::threads::Rtrb, $n> $local_args,
            $crate::link::Way::Crossbeam => $local::<$crate::threads::Crossbeam, $n> $local_args,
            $crate::link::Way::Std => $local::<$crate::threads::Std, $n> $local_args,
            way => panic!("not one to one: {way}"),
        }
    };
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

/// Slots, as in a sysvring channel by default.
pub const CAPACITY: usize = 1024;

/// Slots of a ring of messages so large: fewer of those that would not stay in a cache.
pub fn capacity(bytes: usize) -> usize {
    if bytes > 8192 { 16 } else { CAPACITY }
}

/// Memory without a name, which goes with its users.
pub fn memory(len: usize) -> File {
    // SAFETY: a constant string; the result is a new descriptor or -1.
    let file = unsafe { libc::memfd_create(c"rival".as_ptr(), 0) };
    assert!(file >= 0, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: nobody else knows of this descriptor.
    let file = unsafe { File::from_raw_fd(file) };
    file.set_len(len as u64).expect("size the memory");
    file
}

/// Where another process opens the same memory.
pub fn address(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// The same memory, in another process.
pub fn same_memory(address: &str) -> File {
    OpenOptions::new().read(true).write(true).open(address).expect("open the memory")
}

/// Asks until there is an answer: spins for a while, then gives up the processor, as its own
/// examples do where a queue has no waiting call.
pub fn insist<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let mut asked = 0_u32;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        asked += 1;
        match asked < 1_000 {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
}

/// Starts the two ends of a link, the sender first. `more` is ordered of both.
pub fn start(
    part: &str,
    way: Way,
    cores: &Cores,
    more: &[&dyn ToString],
    leftovers: &Leftovers,
) -> io::Result<Pair> {
    let orders: [&dyn ToString; 3] = [&part, &"send", &way];
    let mut sender = pair::worker(cores.apart.0, &[&orders[..], more].concat())?;
    let address = sender.hear()?;
    leftovers.note(way, &address);
    let orders: [&dyn ToString; 3] = [&part, &"receive", &way];
    let mut receiver = pair::worker(cores.apart.1, &[&orders[..], more, &[&address]].concat())?;
    receiver.hear()?;
    Ok((sender, receiver))
}

/// What stays when its users are gone; removed when this is dropped.
#[derive(Default)]
pub struct Leftovers(RefCell<Vec<(Way, String)>>);

impl Leftovers {
    /// A worker made something there.
    pub fn note(&self, way: Way, address: &str) {
        self.0.borrow_mut().push((way, address.to_owned()));
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for (way, address) in self.0.take() {
            match way {
                Way::SysV => queues::remove_sysv(&address),
                #[cfg(feature = "large")]
                Way::Iceoryx2 => crate::large::clean_up(),
                _ => {}
            }
        }
    }
}

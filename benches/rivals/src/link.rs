//! The rivals, and how the ends of each are opened.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::str::FromStr;

use clap::ValueEnum;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// shaq's queue of its kind: one to one, or many to many.
    Shaq,
    /// A channel as it is by default.
    Sysvring,
}

impl Way {
    /// How it is named in a table.
    pub fn label(self) -> &'static str {
        match self {
            Way::Shaq => "shaq 4.1",
            Way::Sysvring => "sysvring",
        }
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

/// Slots, as in a sysvring channel by default.
pub const CAPACITY: usize = 1024;

/// Memory without a name, which goes with its users.
pub fn memory(len: usize) -> File {
    // SAFETY: a constant string; the result is a new descriptor or -1.
    let file = unsafe { libc::memfd_create(c"rival".as_ptr(), 0) };
    assert!(file >= 0, "memfd_create: {}", std::io::Error::last_os_error());
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

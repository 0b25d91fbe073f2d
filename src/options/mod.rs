//! What users ask for: an address, sizes, a mode.

pub(crate) mod validate;

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{Address, ChannelId};
use crate::segment::{Lifetime, Redelivery};
use crate::wait::adaptive_spin::Wait;

/// Which channel, and what it is to be like where it does not exist yet.
///
/// What is not set is taken from an existing channel, or has its default in a new one; what is set
/// must be so in an existing one, or opening fails with [`Error::OptionMismatch`](crate::Error::OptionMismatch). Mode, huge pages
/// and locking are for new segments only and not compared.
///
/// ```
/// use sysvring::{Lifetime, Options, spsc};
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<u64> =
///     Options::named("doc-options").capacity(64).lifetime(Lifetime::LastMember).open()?;
/// let mut rx: spsc::Receiver<u64> = Options::named("doc-options").attach()?;
/// tx.send(&7)?;
/// assert_eq!(rx.recv()?, 7);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until open, create or attach"]
pub struct Options {
    /// `None`: private.
    pub(crate) address: Option<Address>,
    pub(crate) capacity: Option<usize>,
    pub(crate) slot_size: Option<usize>,
    pub(crate) members: Option<usize>,
    pub(crate) redelivery: Option<Redelivery>,
    pub(crate) mode: u32,
    pub(crate) prefault: Option<bool>,
    pub(crate) huge_pages: bool,
    pub(crate) lock_memory: bool,
    pub(crate) label: String,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) schema: Option<u64>,
    pub(crate) wait: Wait,
    pub(crate) timeout: Duration,
}

/// Slots of a new channel unless asked otherwise.
pub(crate) const CAPACITY: usize = 1024;
/// Bytes of the longest message of a new channel of variable-length messages unless asked otherwise.
pub(crate) const SLOT_SIZE: usize = 1024;
/// Seats of a new many-to-many channel unless asked otherwise.
pub(crate) const MEMBERS: usize = 64;
/// Segments up to this many bytes are touched at attach unless asked otherwise.
pub(crate) const PREFAULT_UP_TO: usize = 16 << 20;

impl Options {
    fn at(address: Option<Address>) -> Options {
        Options {
            address,
            capacity: None,
            slot_size: None,
            members: None,
            redelivery: None,
            mode: 0o600,
            prefault: None,
            huge_pages: false,
            lock_memory: false,
            label: String::new(),
            lifetime: None,
            schema: None,
            wait: Wait::default(),
            timeout: Duration::from_secs(10),
        }
    }

    /// The channel of this name of the calling user; see [`owner`](Options::owner) for others'.
    /// 1 to 128 bytes.
    pub fn named(name: impl Into<String>) -> Options {
        Options::at(Some(Address::named(name)))
    }

    /// The channel with this System V key, as `ipcs` shows it. Not 0.
    pub fn key(key: i32) -> Options {
        Options::at(Some(Address::Key(key)))
    }

    /// The channel with the key of an existing file and a project number (not 0), as `ftok` makes it.
    pub fn file(path: impl Into<PathBuf>, project: u8) -> Options {
        Options::at(Some(Address::File { path: path.into(), project }))
    }

    /// A new channel without a key. The kernel removes the segment with its last user, however that
    /// ends; the set goes when the last member leaves, or, if it was killed, with the next
    /// [`reap`](crate::reap). Others attach [by id](Options::id), which travels in an argument or a variable.
    pub fn private() -> Options {
        Options::at(None)
    }

    /// The channel with this identifier: [`attach`](Options::attach) to it.
    pub fn id(id: ChannelId) -> Options {
        Options::at(Some(Address::Id(id)))
    }

    /// The channel at any address.
    pub fn address(address: impl Into<Address>) -> Options {
        Options::at(Some(address.into()))
    }

    /// The named channel of the user with this id, whose mode must let us in. It must be that user's:
    /// segment and set that belong to another one, or were made by another one, are refused with
    /// [`Error::ForeignOwner`](crate::Error::ForeignOwner). Channels that are found otherwise are the same for all users, and may
    /// be any user's.
    ///
    /// Each user creates only its own channels, and root is no exception: with another owner
    /// [`open`](Options::open) is as [`attach`](Options::attach), and [`create`](Options::create)
    /// fails. A process that is to create for another user becomes that user first.
    pub fn owner(mut self, owner: u32) -> Options {
        if let Some(Address::Name { uid, .. }) = &mut self.address {
            *uid = owner;
        }
        self
    }

    /// Slots of the ring, rounded up to a power of two; at least 1. Default 1024. Small rings are
    /// slower: below some 256 slots the two sides get in each other's way.
    pub fn capacity(mut self, slots: usize) -> Options {
        self.capacity = Some(slots);
        self
    }

    /// Longest message, bytes, for messages of variable length. Default 1024. For sized types it is
    /// the size of the type and need not be set.
    pub fn slot_size(mut self, bytes: usize) -> Options {
        self.slot_size = Some(bytes);
        self
    }

    /// Most senders and receivers that a many-to-many channel has at once, together: 2 to 254.
    /// Default 64. Each costs 128 bytes and a semaphore.
    pub fn members(mut self, members: usize) -> Options {
        self.members = Some(members);
        self
    }

    /// What becomes of a message whose receiver died, in a many-to-many channel. Default: it is
    /// delivered again, until it was delivered [16 times](Redelivery::UpTo) in all.
    pub fn redelivery(mut self, redelivery: Redelivery) -> Options {
        self.redelivery = Some(redelivery);
        self
    }

    /// Which users may use a new channel, as in `chmod`, of read and write only: read for looking, both for
    /// sending and receiving; the owner needs both. Default `0o600`. The umask does not apply.
    pub fn mode(mut self, mode: u32) -> Options {
        self.mode = mode;
        self
    }

    /// Whether to touch every page at attach, so that no page fault comes later. Default: segments
    /// up to 16 MiB.
    pub fn prefault(mut self, yes: bool) -> Options {
        self.prefault = Some(yes);
        self
    }

    /// A new segment in huge pages (`SHM_HUGETLB`). The system must have some: see `vm.nr_hugepages`. Rings of
    /// a few MiB and more gain by it, a quarter to a half as many messages a second; smaller ones do not.
    pub fn huge_pages(mut self, yes: bool) -> Options {
        self.huge_pages = yes;
        self
    }

    /// Keep the segment out of swap (`SHM_LOCK`). Needs `RLIMIT_MEMLOCK` or `CAP_IPC_LOCK`.
    pub fn lock_memory(mut self, yes: bool) -> Options {
        self.lock_memory = yes;
        self
    }

    /// What others see of this member in a [`Stat`](crate::Stat); up to 32 bytes, more are cut.
    pub fn label(mut self, label: impl Into<String>) -> Options {
        self.label = label.into();
        self
    }

    /// How long the channel lives. Default [`Lifetime::Kept`]; private channels always end with
    /// their last member.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Options {
        self.lifetime = Some(lifetime);
        self
    }

    /// A number for the message type, of your choice: a version, a hash. Types of equal size and
    /// alignment cannot be told apart otherwise. Default 0.
    pub fn schema(mut self, schema: u64) -> Options {
        self.schema = Some(schema);
        self
    }

    /// How this handle waits. Default [`Wait::Balanced`].
    pub fn wait(mut self, wait: Wait) -> Options {
        self.wait = wait;
        self
    }

    /// How long to wait for another process in the middle of creating, joining or removing this
    /// channel, which takes microseconds unless it is stopped. Default 10 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Options {
        self.timeout = timeout;
        self
    }
}

//! What a user asks for: an address, sizes, a mode.

pub(crate) mod capacity;
pub(crate) mod validate;

use std::path::PathBuf;
use std::time::Duration;

use self::capacity::Capacity;
use crate::address::{Address, ChannelId};
use crate::layout::LABEL_MAX;
use crate::ring::broadcast::Start;
use crate::segment::{Lifetime, Redelivery};
use crate::wait::adaptive_spin::Wait;

/// A builder that selects a channel and configures it if it has to be created.
///
/// An option that is not set is taken from an existing channel, or has its default in a new one. An
/// option that is set must match an existing channel, or opening fails with
/// [`Error::OptionMismatch`](crate::Error::OptionMismatch). Mode, huge pages and locking apply to
/// new segments only and are not compared.
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
    /// `None` means private.
    pub(crate) address: Option<Address>,
    pub(crate) capacity: Option<Capacity>,
    pub(crate) slot_size: Option<usize>,
    pub(crate) members: Option<usize>,
    pub(crate) redelivery: Option<Redelivery>,
    /// The name of the dead-letter channel.
    pub(crate) dead_letters: Option<String>,
    pub(crate) mode: Option<u32>,
    pub(crate) prefault: Option<bool>,
    pub(crate) core_dumps: Option<bool>,
    pub(crate) huge_pages: bool,
    pub(crate) lock_memory: bool,
    pub(crate) label: String,
    /// `None`: where a dead receiver of the same label was, or at the oldest message.
    pub(crate) start: Option<Start>,
    pub(crate) overwriting: Option<bool>,
    /// Joins as a courier (`liveness/stream.rs`).
    pub(crate) courier: bool,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) schema: Option<u64>,
    pub(crate) wait: Wait,
    pub(crate) timeout: Duration,
}

/// Maximum message length of a new channel of variable-length messages, in bytes, unless set.
pub(crate) const SLOT_SIZE: usize = 1024;
/// Seats of a new MPMC or broadcast channel, unless the option is set.
pub(crate) const MEMBERS: usize = 64;
/// The mode of a new channel, unless the option is set.
const MODE: u32 = 0o600;
/// Segments up to this size in bytes are prefaulted when attaching, unless the option is set.
pub(crate) const PREFAULT_UP_TO: usize = 16 << 20;

impl Options {
    /// Returns the mode of a new channel.
    pub(crate) fn mode_or_default(&self) -> u32 {
        self.mode.unwrap_or(MODE)
    }

    fn at(address: Option<Address>) -> Options {
        Options {
            address,
            capacity: None,
            slot_size: None,
            members: None,
            redelivery: None,
            dead_letters: None,
            mode: None,
            prefault: None,
            core_dumps: None,
            huge_pages: false,
            lock_memory: false,
            label: String::new(),
            start: None,
            overwriting: None,
            courier: false,
            lifetime: None,
            schema: None,
            wait: Wait::default(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Selects the calling user's channel of this name, which has 1 to 128 bytes.
    ///
    /// For the channel of another user, see [`owner`](Options::owner).
    ///
    /// ```
    /// use sysvring::{Lifetime, Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let name = format!("doc-named-{}", std::process::id());
    /// let ticks = || Options::named(&name).lifetime(Lifetime::LastMember);
    /// let mut tx: spsc::Sender<u64> = ticks().open()?;
    /// let mut rx: spsc::Receiver<u64> = ticks().open()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn named(name: impl Into<String>) -> Options {
        Options::at(Some(Address::named(name)))
    }

    /// Selects the channel with this System V key, as `ipcs` shows it. The key must not be 0.
    ///
    /// ```
    /// use sysvring::{Lifetime, Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let key = 0x5356_0000 | (std::process::id() & 0xffff) as i32;
    /// let ticks = || Options::key(key).lifetime(Lifetime::LastMember);
    /// let mut tx: spsc::Sender<u64> = ticks().open()?;
    /// let mut rx: spsc::Receiver<u64> = ticks().open()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// assert_eq!(rx.stat()?.key, key);
    /// # Ok(()) }
    /// ```
    pub fn key(key: i32) -> Options {
        Options::at(Some(Address::Key(key)))
    }

    /// Selects the channel with the key that `ftok` makes of an existing file and a project number.
    ///
    /// The project must not be 0. Keys of different files may be equal: prefer names.
    ///
    /// ```
    /// use sysvring::{Lifetime, Options, spsc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let program = std::env::current_exe()?;
    /// let ticks = || Options::file(&program, 1).lifetime(Lifetime::LastMember);
    /// let mut tx: spsc::Sender<u64> = ticks().open()?;
    /// let mut rx: spsc::Receiver<u64> = ticks().open()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn file(path: impl Into<PathBuf>, project: u8) -> Options {
        Options::at(Some(Address::File { path: path.into(), project }))
    }

    /// Configures a new private channel, which has no key.
    ///
    /// Other processes attach [by id](Options::id), which they get in an argument or an environment
    /// variable. The kernel removes the segment when its last user ends in any way. The set is
    /// removed when the last member leaves, or, if that member was killed, by the next
    /// [`reap`](crate::reap).
    ///
    /// ```
    /// use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn private() -> Options {
        Options::at(None)
    }

    /// Selects the channel with this identifier, to [`attach`](Options::attach) to it.
    ///
    /// ```
    /// use sysvring::{ChannelId, Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// let text = tx.id().to_string(); // for example, an argument of a new process
    /// let id: ChannelId = text.parse()?; // there
    /// let mut rx: spsc::Receiver<u64> = Options::id(id).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn id(id: ChannelId) -> Options {
        Options::at(Some(Address::Id(id)))
    }

    /// Selects the channel at any kind of address.
    pub fn address(address: impl Into<Address>) -> Options {
        Options::at(Some(address.into()))
    }

    /// Selects the named channel of the user with this id, whose mode must grant access to the
    /// caller.
    ///
    /// The channel must belong to that user: if the segment or the set belongs to another user, or
    /// was made by another one, opening fails with
    /// [`Error::ForeignOwner`](crate::Error::ForeignOwner). Channels with other kinds of addresses
    /// are the same for all users, and may belong to any user.
    ///
    /// Each user creates only their own channels, and root is no exception: with another owner,
    /// [`open`](Options::open) is the same as [`attach`](Options::attach), and
    /// [`create`](Options::create) fails. A process that has to create for another user becomes
    /// that user first.
    pub fn owner(mut self, owner: u32) -> Options {
        if let Some(Address::Name { uid, .. }) = &mut self.address {
            *uid = owner;
        }
        self
    }

    /// Sets the number of slots, rounded up to a power of two; at least 1. By default it is 1024, or
    /// fewer if these would take more than 64 MiB, but at least 16.
    ///
    /// Small rings are slower: below about 256 slots the two sides contend for the same cache
    /// lines. [`memory`](Options::memory) sets the number by the memory that the slots take; of these
    /// two options, the last one counts.
    pub fn capacity(mut self, slots: usize) -> Options {
        self.capacity = Some(Capacity::Slots(slots));
        self
    }

    /// Sets the number of slots by the memory that they take: the largest power of two of slots that
    /// fits in this number of bytes. Opening fails with
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if not even one fits.
    ///
    /// A slot takes the [size of a message](Options::slot_size) and 8 or 16 bytes, rounded up to 8 or to
    /// the alignment of the message. The rest of the channel, some KiB and in an MPMC channel 8 bytes
    /// for each slot, is not counted.
    ///
    /// ```
    /// use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// // Frames of 1920 x 1080 pixels.
    /// let frames: spsc::Sender<[u8]> =
    ///     Options::private().slot_size(3 * 1920 * 1080).memory(100 << 20).create()?;
    /// assert_eq!(frames.capacity(), 16);
    /// # Ok(()) }
    /// ```
    pub fn memory(mut self, bytes: usize) -> Options {
        self.capacity = Some(Capacity::Memory(bytes));
        self
    }

    /// Sets the maximum message length in bytes, for messages of variable length; by default 1024.
    ///
    /// For sized types it is the size of the type and need not be set.
    pub fn slot_size(mut self, bytes: usize) -> Options {
        self.slot_size = Some(bytes);
        self
    }

    /// Sets the maximum number of members (senders plus receivers) of an MPMC or broadcast channel: 2 to
    /// 254, by default 64. Each seat costs a semaphore and 136 bytes, in a broadcast channel 392.
    pub fn max_members(mut self, members: usize) -> Options {
        self.members = Some(members);
        self
    }

    /// Sets what happens to a message that was delivered and not acknowledged; by default it is
    /// delivered again [without limit](Redelivery::Unlimited). For a broadcast channel, where that is the
    /// only choice, any other one is [`Error::InvalidOption`](crate::Error::InvalidOption).
    ///
    /// [`Redelivery::DeadLetter`] needs a channel: use [`dead_letters`](Options::dead_letters).
    pub fn redelivery(mut self, redelivery: Redelivery) -> Options {
        (self.redelivery, self.dead_letters) = (Some(redelivery), None);
        self
    }

    /// Moves a message that was delivered `after` times (1 to 15) and not acknowledged, or that a
    /// receiver [rejects](crate::mpmc::Guard::reject), to the channel of this name: the dead-letter
    /// channel. Sets [`Redelivery::DeadLetter`].
    ///
    /// The dead-letter channel is an ordinary MPMC channel of [`DeadLetter`](crate::DeadLetter)
    /// messages. It belongs to the owner of this channel. A receiver that has to move a message
    /// opens it for that moment; if it does not exist, that receiver creates it, provided that it runs
    /// as that owner, with this channel's mode and slots that are long enough: 1,024, or fewer if
    /// they are large. Moving waits for no room, and at most some milliseconds for another process
    /// that opens or removes the dead-letter channel: while that is full or cannot be opened, the
    /// message stays where it is and is not delivered, a receiver tries again at intervals, and
    /// [`Stat`](crate::Stat) counts the failures. In an SPSC channel, the messages behind it wait
    /// for it, and calls that do not wait return [`RecvError::NotMoved`](crate::RecvError::NotMoved).
    ///
    /// ```
    /// use sysvring::{DeadLetter, Lifetime, Options, spsc, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let name = format!("doc-letters-{}", std::process::id());
    /// let letters: mpmc::Receiver<DeadLetter> =
    ///     Options::named(&name).lifetime(Lifetime::LastMember).slot_size(64).create()?;
    ///
    /// let mut tx: spsc::Sender<u64> = Options::private().dead_letters(&name, 2).create()?;
    /// let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// drop(rx.recv_ref()?); // not acknowledged
    /// drop(rx.recv_ref()?); // not acknowledged
    /// assert!(rx.try_recv().is_err()); // moved
    /// assert_eq!(letters.recv_ref()?.message::<u64>(), Some(&7));
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(mut self, name: impl Into<String>, after: u8) -> Options {
        self.redelivery = Some(Redelivery::DeadLetter { after });
        self.dead_letters = Some(name.into());
        self
    }

    /// Makes the handle a courier.
    pub(crate) fn courier(mut self) -> Options {
        self.courier = true;
        self
    }

    /// Sets the permission bits of a new channel, as for `chmod`, read and write only; by default
    /// `0o600`. Read permission allows observing; sending and receiving need both. The owner must
    /// have both. The umask does not apply. A channel that grants more than was set here, because it
    /// was created otherwise or its mode was changed, is refused with
    /// [`OptionMismatch`](crate::Error::OptionMismatch). One that grants less keeps its mode.
    pub fn mode(mut self, mode: u32) -> Options {
        self.mode = Some(mode);
        self
    }

    /// Sets whether all pages are faulted in when attaching, so that no page fault occurs later. By
    /// default this is done for segments up to 16 MiB.
    ///
    /// Memory that cannot be had is an [`Error::Limit`](crate::Error::Limit) then, before anything
    /// is written. A channel that a limit of a control group can never hold is one too, unless this is
    /// set to false. Of other segments the creator faults in the header only. If memory runs out later, the kernel kills a process at
    /// the first access to a page, with SIGKILL (control group) or SIGBUS.
    pub fn prefault(mut self, yes: bool) -> Options {
        self.prefault = Some(yes);
        self
    }

    /// Sets whether core dumps of this process include the channel's memory (`MADV_DONTDUMP` if
    /// not). By default they do for segments up to 16 MiB. Each handle decides for itself.
    ///
    /// # Errors
    /// Opening with `false` fails where the kernel does not support the advice.
    pub fn core_dumps(mut self, yes: bool) -> Options {
        self.core_dumps = Some(yes);
        self
    }

    /// Sets whether a new segment uses huge pages (`SHM_HUGETLB`). The system must have some: see
    /// `vm.nr_hugepages`. Rings of a few MiB and more gain throughput, smaller ones do not; for
    /// figures see docs/design/experiments.md.
    ///
    /// The creator faults all of them in, also with `prefault(false)`: a huge page can be free and
    /// not permitted, by a control group or by the processors of a cpuset, and is a SIGBUS at its
    /// first access then. Opening reports that as [`Error::Limit`](crate::Error::Limit). Linux before
    /// 5.14 cannot report it; there, only limits of control groups are noticed.
    pub fn huge_pages(mut self, yes: bool) -> Options {
        self.huge_pages = yes;
        self
    }

    /// Sets whether a new segment is kept out of swap (`SHM_LOCK`). This needs `RLIMIT_MEMLOCK` or
    /// `CAP_IPC_LOCK`.
    pub fn lock_memory(mut self, yes: bool) -> Options {
        self.lock_memory = yes;
        self
    }

    /// Sets a label for this member, shown in [`Stat`](crate::Stat). It is cut to 32 bytes.
    ///
    /// A receiver of a broadcast channel continues where a dead one of the same label stopped; see
    /// [`broadcast`](crate::broadcast#who-gets-what).
    pub fn label(mut self, label: impl Into<String>) -> Options {
        let mut label = label.into();
        // As in its record, with which a successor's is compared.
        let mut end = label.len().min(LABEL_MAX);
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        label.truncate(end);
        self.label = label;
        self
    }

    /// Sets where a receiver of a broadcast channel starts; by default where a dead receiver of the same
    /// [label](Options::label) stopped, or at the [oldest](Start::Oldest) message. Other handles ignore
    /// it.
    pub fn start(mut self, start: Start) -> Options {
        self.start = Some(start);
        self
    }

    /// Sets whether the sender of a broadcast channel waits for no receiver: it overwrites the oldest
    /// message, and a receiver that is a ring behind misses some; see
    /// [`broadcast`](crate::broadcast#overwriting). By default it waits for the slowest.
    pub fn overwriting(mut self, yes: bool) -> Options {
        self.overwriting = Some(yes);
        self
    }

    /// Sets how long the channel lives; by default [`Lifetime::Kept`]. A private channel always
    /// ends with its last member.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Options {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets a number for the message type, chosen by you: a version, a hash; by default 0. Both sides must
    /// set the same number: a side that sets none has 0, which differs from all others. An
    /// [untyped](crate::untyped) handle that sets none joins any channel.
    ///
    /// Types that [describe themselves](macro@crate::message) are compared field by field; what the schema
    /// adds is a change of what the fields mean.
    ///
    /// ```
    /// use sysvring::{Error, Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let tx: spsc::Sender<u64> = Options::private().schema(2).create()?;
    /// let old: Result<spsc::Receiver<u64>, _> = Options::id(tx.id()).attach();
    /// assert!(matches!(old, Err(Error::TypeMismatch { .. })));
    /// let rx: spsc::Receiver<u64> = Options::id(tx.id()).schema(2).attach()?;
    /// # Ok(()) }
    /// ```
    pub fn schema(mut self, schema: u64) -> Options {
        self.schema = Some(schema);
        self
    }

    /// Sets how this handle waits; by default [`Wait::Balanced`].
    pub fn wait(mut self, wait: Wait) -> Options {
        self.wait = wait;
        self
    }

    /// Sets how long to wait for another process that is creating, joining or removing this
    /// channel; by default 10 seconds. Those steps take microseconds unless that process is
    /// stopped.
    pub fn open_timeout(mut self, timeout: Duration) -> Options {
        self.timeout = timeout;
        self
    }
}

//! Opening a channel: from options to a seat, by creating, opening or attaching.
//!
//! # Why there is no initialisation race, and why a dead creator blocks no other process
//!
//! A set is ready as soon as the kernel has created it: all its semaphores are zero, and zero means
//! free. Therefore each process first finds or creates the set, and then asks it one question in
//! one `semop`: is the lifecycle semaphore free, and does the channel have no users?
//!
//! *Yes* (`create.rs`): the `semop` takes the lifecycle semaphore, and this process is the only one
//! that may build. It finds the segment of the key or creates one, writes the header, the magic
//! number last, and then releases the lifecycle semaphore and takes its seat in one step. If it
//! dies, the kernel undoes everything that it holds, so the next process gets the same answer and
//! finds one of three things: no segment; a segment without magic number, marked as ours by its
//! mode (`segment::MARK`), which is removed; or a finished segment, which is taken over with its
//! messages.
//!
//! *No* (`join.rs`): there are members, or another process is building. A finished segment is
//! examined first, so that a process with the wrong message type never takes a seat, and then
//! joined in one step that fails if the channel has lost its last user in the meantime. In that
//! case the question is asked again.
//!
//! Segments and sets can be removed by hand at any moment (`ipcrm`). Every call that finds its
//! object removed starts from the beginning, until the timeout of the options.
//!
//! # What is trusted
//!
//! What the kernel reports about an object is trusted only while the object is attached: before
//! that, an identifier can be reused. Owners are checked as `segment/owner.rs` describes. A header
//! is read and validated once (`segment::examine`); from then on only the copy is used. What this
//! process decided itself it never reads back from the segment.

mod create;
mod find;
pub(crate) mod handle;
mod join;
mod populate;
mod seat;

use std::time::Duration;

use crate::address::{Address, ChannelId};
use crate::admin::locate;
use crate::endpoint::attachment::Attachment;
use crate::error::Error;
use crate::flavor::Flavor;
use crate::liveness::ChannelSemaphores;
use crate::message::MessageType;
use crate::options::Options;
use crate::options::validate;
use crate::os_error::{Call, Object};
use crate::role::Side;
use crate::segment::{ChannelInfo, ChannelSpec, State};
use crate::sysv::sem::Set;
use crate::sysv::shm::{Mapping, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{Errno, process};
use create::LifecycleLock;

/// The call that opens a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Open,
    Create,
    Attach,
}

/// The channels that a handle is for.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// The flavor of a new channel.
    pub(crate) flavor: Flavor,
    /// Its messages.
    pub(crate) message: MessageType,
    /// Whether an existing channel may have any other flavor and messages.
    pub(crate) takes_any: bool,
}

/// Joins the channel that the options select, and returns the attachment of the new member.
pub(crate) fn open(
    options: &Options,
    how: OpenMode,
    side: Side,
    kind: Kind,
) -> Result<Attachment, Error> {
    let flavor = match kind.takes_any && options.overwriting == Some(true) {
        true => Flavor::Broadcast, // no other one can be
        false => kind.flavor,
    };
    let address = options.address.as_ref();
    let channel = text_of(address);
    let plan = validate::plan(options, flavor, &kind.message);
    let plan = plan.map_err(|error| error.in_channel(&channel))?;
    let deadline = Deadline::after(options.timeout);
    let takes_any = kind.takes_any;
    let opening = Opening { options, how, side, plan, takes_any, channel, deadline };
    let invalid = |option, reason: &str| {
        let channel = address.map(Address::to_string);
        Err(Error::InvalidOption { channel, option, reason: reason.into() })
    };
    match address {
        None if how == OpenMode::Attach => {
            invalid("private", "a private channel cannot be attached by key; use Options::id")
        }
        None => opening.until_decided(|| opening.private()),
        Some(Address::Id(_)) if how == OpenMode::Create => invalid(
            "id",
            "identifiers are assigned by the kernel; use Options::private to create a channel",
        ),
        // A channel that this user created here could not be told from those of all other users
        // without a mapping.
        Some(Address::Name { uid, .. }) if !process::is_a_user(*uid) => {
            let (object, owner, expected) = ("name", *uid, *uid);
            Err(Error::ForeignOwner { channel: opening.channel, object, owner, expected })
        }
        Some(Address::Name { uid, .. }) if how == OpenMode::Create && *uid != process::euid() => {
            invalid(
                "owner",
                "only that user can create the channel; use attach(), or create it as that user",
            )
        }
        Some(Address::Id(id)) => opening.until_decided(|| opening.by_id(*id)),
        Some(address) => match address.key()? {
            Some(key) => opening.until_decided(|| opening.keyed(key)),
            None => Err(Error::NotFound { channel: opening.channel }),
        },
    }
}

/// Returns the address of a channel as text, for errors.
fn text_of(address: Option<&Address>) -> String {
    address.map_or_else(|| "private".to_owned(), Address::to_string)
}

/// The reason why an attempt to open ended.
enum Stop {
    /// An object was removed or created in the meantime; start again.
    Again,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

type Try<T> = Result<T, Stop>;

/// Minimum number of attempts regardless of the timeout, because recovering from dead processes
/// does not block.
const MIN_ATTEMPTS: usize = 4;

/// Delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_micros(50);

/// The parameters of an open, shared by all its attempts.
struct Opening<'a> {
    options: &'a Options,
    how: OpenMode,
    side: Side,
    plan: ChannelSpec<'a>,
    /// Whether an existing channel may have another flavor and messages than the plan.
    takes_any: bool,
    /// The address as text, for errors.
    channel: String,
    deadline: Option<Deadline>,
}

/// An attached segment of ours whose state was examined.
struct Examined {
    stat: SegmentStat,
    mapping: Mapping,
    state: State,
}

/// An attached segment that is a complete channel.
struct Finished {
    stat: SegmentStat,
    mapping: Mapping,
    facts: ChannelInfo,
    /// This process has just created it.
    is_new: bool,
}

impl Opening<'_> {
    /// Repeats an attempt until it succeeds or fails, or the timeout expires.
    fn until_decided(&self, one: impl Fn() -> Try<Attachment>) -> Result<Attachment, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match one() {
                Ok(channel) => return Ok(channel),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Again) if tries < MIN_ATTEMPTS => {}
                Err(Stop::Again) if self.deadline.is_some_and(|d| d.passed()) => {
                    return Err(Error::Busy { channel: self.channel.clone(), pid: 0 });
                }
                Err(Stop::Again) => std::thread::sleep(RETRY_DELAY),
            }
        }
    }

    fn keyed(&self, key: i32) -> Try<Attachment> {
        let (set, is_new) = self.find_or_make_set(key)?;
        let members = ChannelSemaphores::new(set);
        let joined = match members.try_exclusive() {
            Ok(true) => return self.alone(LifecycleLock { members, key: Some(key), is_new }, key),
            Ok(false) => self.among(members, key),
            Err(errno) => Err(self.stop_on(set, "semtimedop", errno)),
        };
        if is_new && joined.is_err() {
            discard_unused(set);
        }
        joined
    }

    fn by_id(&self, id: ChannelId) -> Try<Attachment> {
        let Some(Examined { stat, mapping, state: State::Ready(facts) }) =
            self.examine(id.segment, None)?
        else {
            return Err(self.not_found());
        };
        self.check(&facts, &stat)?;
        if stat.key != 0 {
            return self.keyed(stat.key);
        }
        // The last member of a private channel removes the set.
        let Some(set) = locate::set_of(&facts, &stat) else { return Err(self.not_found()) };
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        let found = Finished { stat, mapping, facts, is_new: false };
        match members.try_exclusive() {
            Ok(true) => self.enter(LifecycleLock { members, key: None, is_new: false }, found),
            Ok(false) => self.join(members, found),
            Err(errno) => Err(self.stop_on(members.set, "semtimedop", errno)),
        }
    }

    /// Returns whether this call may create the channel. An identifier refers to a channel that
    /// exists or existed, and what a process creates belongs to its user.
    fn may_create(&self) -> bool {
        let may = match &self.options.address {
            Some(Address::Id(_)) => false,
            Some(Address::Name { uid, .. }) => *uid == process::euid(),
            _ => true,
        };
        may && self.how != OpenMode::Attach
    }

    /// Checks that an existing channel may be joined and matches the options. A mode that grants less
    /// than was asked for excludes nobody who could get in otherwise.
    fn check(&self, facts: &ChannelInfo, stat: &SegmentStat) -> Result<(), Error> {
        if self.how == OpenMode::Create {
            return Err(Error::AlreadyExists { channel: self.channel.clone() });
        }
        if let Some(address) = &self.options.address {
            locate::check_identity(address, facts, &self.channel)?;
        }
        validate::check(self.options, &self.plan, self.takes_any, facts, &self.channel)?;
        self.check_mode(stat.mode)
    }

    /// Checks that the mode of a segment or a set does not grant more than was asked for.
    fn check_mode(&self, found: u32) -> Result<(), Error> {
        match self.options.mode {
            Some(mode) if found & !mode != 0 => Err(Error::OptionMismatch {
                channel: self.channel.clone(),
                option: "mode",
                expected: format!("{mode:#o}"),
                found: format!("{found:#o}"),
            }),
            _ => Ok(()),
        }
    }

    fn not_found(&self) -> Stop {
        Error::NotFound { channel: self.channel.clone() }.into()
    }

    fn call(&self, name: &'static str) -> Call<'_> {
        Call::new(name, &self.channel)
    }

    /// Returns whether a failed call starts a new attempt or fails the open.
    fn stop(&self, call: &'static str, errno: Errno) -> Stop {
        stop(self.call(call), errno)
    }

    /// Does the same for a call on a set.
    fn stop_on(&self, set: Set, call: &'static str, errno: Errno) -> Stop {
        stop(self.call(call).on(Object::Set(set.id())), errno)
    }
}

fn stop(call: Call<'_>, errno: Errno) -> Stop {
    match errno {
        Errno::EIDRM | Errno::EINVAL | Errno::ENOENT => Stop::Again,
        errno => call.error(errno).into(),
    }
}

/// Removes a set that this process made and cannot use, because no `semop` works for it, unless
/// another process has used it since. One that is about to finds that it is gone, and starts again.
fn discard_unused(set: Set) {
    if set.stat().is_ok_and(|stat| stat.operation_time.is_none()) {
        // It may have been removed already.
        let _ = set.remove();
    }
}

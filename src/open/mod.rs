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
pub(crate) mod handle;
mod join;
mod populate;

use std::time::Duration;

use crate::address::{Address, ChannelId};
use crate::admin::locate;

use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::liveness::{self, ChannelSemaphores, Seated, Standing};
use crate::message::MessageLayout;
use crate::options::Options;
use crate::options::validate;
use crate::os_error::{Call, Object};
use crate::role::Side;
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, ChannelSpec, State};
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::{Ordering::SeqCst, fence};
use crate::sysv::sem::{Set, SetLookup, SetStat};
use crate::sysv::shm::{self, Access, Mapping, Refused, SegmentLookup, SegmentStat};
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The flavor of a new channel.
    pub(crate) flavor: Flavor,
    /// The shape of its messages.
    pub(crate) shape: MessageLayout,
    /// Whether an existing channel may have any other flavor and shape.
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
    let plan = validate::plan(options, flavor, kind.shape);
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
    /// Whether an existing channel may have another flavor and shape than the plan.
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

/// The state of the channel before a seat was taken.
struct Before {
    /// The number of joins of the other side so far, if it had no member: from then on a peer that
    /// joins meets us, and may leave again before we check.
    unmet: Option<u32>,
    /// The incarnations of the last holders of the seats.
    incarnations: Vec<u32>,
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
            Err(errno) => Err(self.stop_on(set, "semop", errno)),
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
            Err(errno) => Err(self.stop_on(members.set, "semop", errno)),
        }
    }

    /// Returns the set of a key, and whether this call made it. The set is created if this call may
    /// create the channel, or attaches to a segment whose set was removed by hand.
    fn find_or_make_set(&self, key: i32) -> Try<(Set, bool)> {
        match Set::lookup(key) {
            Ok(set) => {
                let stat = set.stat().map_err(|errno| {
                    let owner = || Owner::of_set(set.id());
                    let foreign = self.foreign(errno, "set", owner);
                    foreign.unwrap_or_else(|| self.stop_on(set, "semctl(IPC_STAT)", errno))
                })?;
                self.check_owner("set", Owner::from(&stat))?;
                match locate::is_of_channel(&stat) {
                    true => Ok((set, false)),
                    false => {
                        let what = "its semaphore set was not created by sysvring".into();
                        Err(Error::ForeignObject { channel: self.channel.clone(), what }.into())
                    }
                }
            }
            Err(Errno::ENOENT) => {
                // No set is created next to a segment that is not ours: examining that segment
                // fails.
                let (seats, mode) = match self.find_by_key(key)? {
                    Some(Examined { state: State::Ready(facts), stat, .. }) => {
                        self.check(&facts, &stat)?;
                        if !Owner::from(&stat).is_same(Owner::made_for(stat.uid)) {
                            let channel = self.channel.clone();
                            return Err(Error::SetRemoved { channel, owner: stat.uid }.into());
                        }
                        (facts.geometry.seats, stat.mode)
                    }
                    None if !self.may_create() => return Err(self.not_found()),
                    examined => {
                        if let Some(Examined { stat, .. }) = &examined {
                            self.must_be("segment", stat, Owner::own())?;
                        }
                        (self.plan.geometry.seats, self.options.mode_or_default())
                    }
                };
                Ok((self.make_set(key, seats, mode)?, true))
            }
            Err(errno) => Err(self.stop("semget", errno)),
        }
    }

    fn make_set(&self, key: i32, seats: usize, mode: u32) -> Try<Set> {
        let n = liveness::semaphores(seats);
        let mode = mode | segment::MARK;
        Set::get(key, n, SetLookup::New { mode }).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("semget").set(errno, n).into(),
        })
    }

    fn stat_of(&self, members: &ChannelSemaphores) -> Try<SetStat> {
        let set = members.set;
        set.stat().map_err(|errno| self.stop_on(set, "semctl(IPC_STAT)", errno))
    }

    fn nonce_of(&self, members: &ChannelSemaphores) -> Try<u32> {
        members.nonce().map_err(|errno| self.stop_on(members.set, "semctl(GETVAL)", errno))
    }

    /// Checks that an object belongs to the user whose channel is to be opened.
    fn check_owner(&self, object: &'static str, owner: Owner) -> Result<(), Error> {
        match &self.options.address {
            Some(address) => locate::check_owner(address, object, owner, &self.channel),
            None => Ok(()),
        }
    }

    /// Returns the error for an object under the key of a name that could not be inspected because
    /// it belongs to another user.
    fn foreign(
        &self,
        errno: Errno,
        object: &'static str,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Option<Stop> {
        let address = self.options.address.as_ref()?;
        locate::foreign(errno, address, object, owner, &self.channel).map(Stop::Failed)
    }

    /// Fails unless an object has this owner: an object of another user is neither used for
    /// building nor removed.
    fn must_be(
        &self,
        object: &'static str,
        found: impl Into<Owner>,
        expected: Owner,
    ) -> Result<(), Error> {
        match found.into() {
            found if found.is_same(expected) => Ok(()),
            found => Err(self.foreign_owner(object, found, process::euid())),
        }
    }

    /// Fails unless segment and set have the same owner.
    fn must_be_of_one(&self, segment: &SegmentStat, set: &SetStat) -> Result<(), Error> {
        let (segment, set) = (Owner::from(segment), Owner::from(set));
        if segment.is_same(set) {
            return Ok(());
        }
        Err(match set.is_same(Owner::own()) {
            true => self.foreign_owner("segment", segment, process::euid()),
            false => self.foreign_owner("set", set, segment.user()),
        })
    }

    fn foreign_owner(&self, object: &'static str, found: Owner, expected: u32) -> Error {
        let channel = self.channel.clone();
        Error::ForeignOwner { channel, object, owner: found.besides(expected), expected }
    }

    /// Attaches and examines the segment of a key; `None` if it does not exist.
    fn find_by_key(&self, key: i32) -> Try<Option<Examined>> {
        match shm::get(key, 0, SegmentLookup::Existing) {
            Ok(id) => self.examine(id, Some(key)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.stop("shmget", errno)),
        }
    }

    /// Attaches and examines a segment, found by this key; `None` if it was removed.
    fn examine(&self, id: i32, key: Option<i32>) -> Try<Option<Examined>> {
        let (mapping, stat) = match Mapping::attach_known(id, Access::ReadWrite) {
            Ok(found) => found,
            Err(Refused { errno: Errno::EIDRM | Errno::EINVAL, .. }) => return Ok(None),
            Err(Refused { call, errno }) => {
                let foreign = self.foreign(errno, "segment", || Owner::of_segment(id));
                return Err(foreign.unwrap_or_else(|| {
                    let bytes = shm::stat(id).map_or(0, |stat| stat.size as usize);
                    self.call(call).on(Object::Segment(id)).segment(errno, bytes, false).into()
                }));
            }
        };
        // It has lost its key, or the identifier was reused before it was attached.
        if key.is_some_and(|key| key != stat.key) {
            return Err(Stop::Again);
        }
        self.check_owner("segment", Owner::from(&stat))?;
        let state = segment::examine(&mapping, &stat, &self.channel)?;
        Ok(Some(Examined { stat, mapping, state }))
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
        match self.options.mode {
            Some(mode) if stat.mode & !mode != 0 => Err(Error::OptionMismatch {
                channel: self.channel.clone(),
                option: "mode",
                expected: format!("{mode:#o}"),
                found: format!("{:#o}", stat.mode),
            }),
            _ => Ok(()),
        }
    }

    /// Records the state of the channel before the seat is taken.
    fn before(&self, members: &ChannelSemaphores, found: &Finished) -> Try<Before> {
        let header = segment::header(&found.mapping);
        let parking = match self.side.other() {
            Side::Senders => &header.senders,
            Side::Receivers => &header.receivers,
        };
        let joins = parking.joins.load(Relaxed);
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        let incarnations = table.incarnations();
        match members.is_there(self.side.other()) {
            Ok(there) => Ok(Before { unmet: (!there).then_some(joins), incarnations }),
            Err(errno) => Err(self.stop_on(members.set, "semctl(GETVAL)", errno)),
        }
    }

    /// Builds the attachment of a member that has taken its seat. A failure gives the seat back.
    fn seated(
        &self,
        members: ChannelSemaphores,
        seated: Seated,
        found: Finished,
        before: Before,
    ) -> Try<Attachment> {
        let Finished { stat, mapping, facts, is_new } = found;
        if !members.is_mortal(seated.seat) {
            let _ = members.withdraw(facts.flavor, seated);
            return Err(Error::SemUndoUnsupported { channel: self.channel.clone() }.into());
        }
        let total = facts.geometry.total;
        // The creator has done it before the segment was a channel.
        let populated = match is_new {
            true => Ok(()),
            false => self.populate_existing(&mapping, total).map_err(Stop::from),
        };
        let prepared = populated.and_then(|()| self.leave_out_of_dumps(&mapping, stat.size));
        if let Err(stop) = prepared {
            // The seat is given back; the error reports the failed call.
            let _ = members.withdraw(facts.flavor, seated);
            return Err(stop);
        }
        let flavor = facts.flavor;
        // A member that cannot ask for this could not leave either. A seat that is lost by now is
        // noticed below.
        if let Err(errno) = members.is_own(seated.seat) {
            let _ = members.withdraw(flavor, seated);
            return Err(self.stop_on(members.set, "semctl(GETPID)", errno));
        }
        // Nothing that belongs to the seat is written to the segment before this point: the seat
        // may already belong to another process, by another set (`create.rs`).
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&mapping, facts.geometry.seats) };
        let Some(holder) = table.sign(seated.seat, &before.incarnations) else {
            let _ = members.withdraw(flavor, seated);
            return Err(Stop::Again);
        };
        let unmet = before.unmet;
        let attachment =
            Attachment::new(members, holder, &stat, facts, mapping, unmet, self.options);
        // A process that binds the segment to another set scans the members' table after our set
        // was removed (`create.rs`): either it sees our entry, or we see here that the set is gone.
        fence(SeqCst);
        attachment.check_seat().map_err(|fault| {
            // The slots that the last holder of the seat owned are still to be recovered: the seat
            // is given back, and its entry keeps stating that its member died.
            if attachment.took_over_from_dead() {
                let _ = members.withdraw(flavor, seated);
                attachment.mark_seat_lost();
            }
            match fault {
                Fault::Removed => Stop::Again,
                // It has never been granted.
                Fault::PermissionLost => self.call("semctl").error(Errno::EACCES).into(),
                fault => fault.into(),
            }
        })?;
        // The fence above also stands between our joining and the words of armed members.
        attachment.bells().ring_all();
        Ok(attachment)
    }

    /// Returns the seats that this member may take in a broadcast channel, the best ones first: that of
    /// a dead receiver of the same label, then those of which nobody may want to be the successor.
    fn order(&self, found: &Finished) -> Vec<u8> {
        if found.facts.flavor != Flavor::Broadcast || self.side == Side::Senders {
            return Vec::new();
        }
        let rank = |&seat: &u8| {
            let record = segment::member(&found.mapping, usize::from(seat));
            let label = segment::label(record);
            match record.state.load(Relaxed) == segment::STATE_PRESENT && !label.is_empty() {
                true if label == self.options.label => 0,
                true => 2,
                false => 1,
            }
        };
        let mut seats: Vec<u8> = (1..found.facts.geometry.seats as u8).collect();
        seats.sort_by_cached_key(rank);
        seats
    }

    fn standing(&self) -> Standing {
        match self.options.courier {
            true => Standing::Courier,
            false => Standing::Member(self.side),
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

//! From options to a seat: create, open, attach.
//!
//! # Why there is no initialisation race, and why no dead creator is in the way
//!
//! A set is ready the moment the kernel has made it: all its semaphores are zero, and zero means
//! free. So everybody who comes finds or makes the set first, and then asks it one question in one
//! `semop`: is the lifecycle semaphore free, and has the channel no users?
//!
//! *Yes* (`alone.rs`) takes the lifecycle semaphore and makes this process the only one that may
//! build: it finds the segment of that key, or makes one, writes the header, its magic last, and then
//! gives the lifecycle semaphore back and takes its seat in one step. Everything it holds is undone
//! if it dies, so the next one gets the same answer and finds what it left: no segment; a segment
//! without magic, marked as ours by its very mode (`segment::MARK`), which is removed; or a finished
//! one, which is taken over with the messages in it.
//!
//! *No* (`among.rs`) means that there are members, or somebody is building. A finished segment is
//! looked at first, so that who has the wrong type never takes a seat, and then joined, in one step
//! that fails if the channel lost its last user meanwhile. Then the question is asked again.
//!
//! Segments and sets can be taken away by hand at any moment (`ipcrm`). Every call that finds its
//! object gone starts from the top, until the options' timeout.
//!
//! # What is believed
//!
//! Of the kernel, what it says of an object while that is attached: before that, an identifier can
//! come round. Of owners, what `segment/owner.rs` says. Of a header, one look, validated (`segment::examine`):
//! the copy is what counts from then on. What this process decided itself it never reads back.

mod create;
pub(crate) mod handle;
mod join;

use std::time::Duration;

use crate::address::{Address, ChannelId};
use crate::admin::locate;

use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::liveness::{self, ChannelSemaphores, Seat};
use crate::message::MessageLayout;
use crate::options::validate;
use crate::options::{Options, PREFAULT_UP_TO};
use crate::os_error::Call;
use crate::role::Side;
use crate::segment::owner::Owner;
use crate::segment::{self, ChannelInfo, ChannelSpec, State};
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::{Ordering::SeqCst, fence};
use crate::sysv::sem::{How as Make, Set, SetStat};
use crate::sysv::shm::{self, Access, Get, Mapping, Refused, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{Errno, memory, process};
use create::LifecycleLock;

/// Which of the three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Open,
    Create,
    Attach,
}

/// A member of the channel that the options ask for.
pub(crate) fn open(
    options: &Options,
    how: How,
    flavor: Flavor,
    side: Side,
    shape: MessageLayout,
) -> Result<Attachment, Error> {
    let plan = validate::plan(options, flavor, shape)?;
    let address = options.address.as_ref();
    let channel = address.map_or_else(|| "private".to_owned(), Address::to_string);
    let deadline = Deadline::after(options.timeout);
    let opening = Opening { options, how, side, plan, channel, deadline };
    let invalid = |option, reason: &str| Err(Error::Invalid { option, reason: reason.into() });
    match address {
        None if how == How::Attach => {
            invalid("private", "a private channel has no key to find it by; use Options::id")
        }
        None => opening.until_decided(|| opening.private()),
        Some(Address::Id(_)) if how == How::Create => {
            invalid("id", "the kernel gives identifiers out; use Options::private to create")
        }
        Some(Address::Name { uid, .. }) if how == How::Create && *uid != process::euid() => {
            invalid(
                "owner",
                "each user creates its own channels; attach, or create it as that user",
            )
        }
        Some(Address::Id(id)) => opening.until_decided(|| opening.by_id(*id)),
        Some(address) => match address.key()? {
            Some(key) => opening.until_decided(|| opening.keyed(key)),
            None => Err(Error::NotFound { channel: opening.channel }),
        },
    }
}

/// Why a try at opening ended.
enum Stop {
    /// Something went away or came under us; look again.
    Again,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

type Try<T> = Result<T, Stop>;

/// So many tries are made whatever the timeout: to clear away what the dead left takes no waiting.
const MIN_ATTEMPTS: usize = 4;

/// Between two tries.
const RETRY_DELAY: Duration = Duration::from_micros(50);

/// What is wanted, through all tries.
struct Opening<'a> {
    options: &'a Options,
    how: How,
    side: Side,
    plan: ChannelSpec<'a>,
    /// The address as text, for errors.
    channel: String,
    deadline: Option<Deadline>,
}

/// A segment of ours that is attached and was looked at.
struct Looked {
    stat: SegmentStat,
    mapping: Mapping,
    state: State,
}

/// What was so before a seat was taken.
struct Before {
    /// How often the other side had been joined, if nobody was there: from then on the peer meets us, and
    /// may leave again before we look.
    unmet: Option<u32>,
    /// The last holders of the seats.
    incarnations: Vec<u32>,
}

/// A finished one.
struct Finished {
    stat: SegmentStat,
    mapping: Mapping,
    facts: ChannelInfo,
}

impl Opening<'_> {
    /// Tries until it is decided or the time is over.
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
        let members = ChannelSemaphores::new(self.find_or_make_set(key)?);
        match members.try_exclusive() {
            Ok(true) => self.alone(LifecycleLock { members, key: Some(key) }, key),
            Ok(false) => self.among(members, key),
            Err(errno) => Err(self.stop("semop", errno)),
        }
    }

    fn by_id(&self, id: ChannelId) -> Try<Attachment> {
        let Some(Looked { stat, mapping, state: State::Ready(facts) }) =
            self.look(id.segment, None)?
        else {
            return Err(self.not_found());
        };
        self.check(&facts)?;
        if stat.key != 0 {
            return self.keyed(stat.key);
        }
        // A private channel's last member takes the set away.
        let Some(set) = locate::set_of(&facts, &stat) else { return Err(self.not_found()) };
        let members = ChannelSemaphores::new(Set::from_id(set.id));
        let found = Finished { stat, mapping, facts };
        match members.try_exclusive() {
            Ok(true) => self.enter(LifecycleLock { members, key: None }, found),
            Ok(false) => self.join(members, found),
            Err(errno) => Err(self.stop("semop", errno)),
        }
    }

    /// The set of a key. It is made for who may create, and for who attaches to a segment whose set
    /// was taken away.
    fn find_or_make_set(&self, key: i32) -> Try<Set> {
        match Set::lookup(key) {
            Ok(set) => {
                let stat = set.stat().map_err(|errno| {
                    let owner = || Owner::of_set(set.id());
                    let foreign = self.foreign(errno, "set", owner);
                    foreign.unwrap_or_else(|| self.stop("semctl(IPC_STAT)", errno))
                })?;
                self.check_owner("set", Owner::from(&stat))?;
                match locate::is_ours(&stat) {
                    true => Ok(set),
                    false => {
                        let what = "its semaphore set is not one of ours".into();
                        Err(Error::NotOurs { channel: self.channel.clone(), what }.into())
                    }
                }
            }
            Err(Errno::ENOENT) => {
                // Nothing is made beside what is not ours: looking at it fails.
                let (seats, mode) = match self.look_for(key)? {
                    Some(Looked { state: State::Ready(facts), stat, .. }) => {
                        self.check(&facts)?;
                        if !Owner::from(&stat).is_same(Owner::made_for(stat.uid)) {
                            let channel = self.channel.clone();
                            return Err(Error::SetRemoved { channel, owner: stat.uid }.into());
                        }
                        (facts.geometry.seats, stat.mode)
                    }
                    None if !self.may_create() => return Err(self.not_found()),
                    looked => {
                        if let Some(Looked { stat, .. }) = &looked {
                            self.must_be("segment", stat, Owner::own())?;
                        }
                        (self.plan.geometry.seats, self.options.mode)
                    }
                };
                self.make_set(key, seats, mode)
            }
            Err(errno) => Err(self.stop("semget", errno)),
        }
    }

    fn make_set(&self, key: i32, seats: usize, mode: u32) -> Try<Set> {
        let n = liveness::semaphores(seats);
        let mode = mode | segment::MARK;
        Set::get(key, n, Make::New { mode }).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("semget").set(errno).into(),
        })
    }

    fn stat_of(&self, members: &ChannelSemaphores) -> Try<SetStat> {
        members.set.stat().map_err(|errno| self.stop("semctl(IPC_STAT)", errno))
    }

    fn nonce_of(&self, members: &ChannelSemaphores) -> Try<u32> {
        members.nonce().map_err(|errno| self.stop("semctl(GETVAL)", errno))
    }

    /// Whether an object belongs to the user whose channel is asked for.
    fn check_owner(&self, object: &'static str, owner: Owner) -> Result<(), Error> {
        match &self.options.address {
            Some(address) => locate::check_owner(address, object, owner, &self.channel),
            None => Ok(()),
        }
    }

    /// What a refused look at an object under the key of a name means if it is another user's.
    fn foreign(
        &self,
        errno: Errno,
        object: &'static str,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Option<Stop> {
        let address = self.options.address.as_ref()?;
        locate::foreign(errno, address, object, owner, &self.channel).map(Stop::Failed)
    }

    /// Fails unless an object is of this owner: another user's is not built on, and not removed.
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

    /// Fails unless segment and set are of one owner.
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

    /// The segment of a key, looked at; `None` where there is none.
    fn look_for(&self, key: i32) -> Try<Option<Looked>> {
        match shm::get(key, 0, Get::Existing) {
            Ok(id) => self.look(id, Some(key)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.stop("shmget", errno)),
        }
    }

    /// Attaches a segment, found by this key, and looks at it. `None`: it went away.
    fn look(&self, id: i32, key: Option<i32>) -> Try<Option<Looked>> {
        let (mapping, stat) = match Mapping::attach_known(id, Access::ReadWrite) {
            Ok(found) => found,
            Err(Refused { errno: Errno::EIDRM | Errno::EINVAL, .. }) => return Ok(None),
            Err(Refused { call, errno }) => {
                let foreign = self.foreign(errno, "segment", || Owner::of_segment(id));
                return Err(foreign.unwrap_or_else(|| {
                    let bytes = shm::stat(id).map_or(0, |stat| stat.size as usize);
                    self.call(call).segment(errno, bytes, false).into()
                }));
            }
        };
        // It lost its key meanwhile, or the identifier came round before it was attached.
        if key.is_some_and(|key| key != stat.key) {
            return Err(Stop::Again);
        }
        self.check_owner("segment", Owner::from(&stat))?;
        let state = segment::examine(&mapping, &stat, &self.channel)?;
        Ok(Some(Looked { stat, mapping, state }))
    }

    /// An identifier is of a channel that there is, or was; and what is made belongs to the user that
    /// makes it.
    fn may_create(&self) -> bool {
        let may = match &self.options.address {
            Some(Address::Id(_)) => false,
            Some(Address::Name { uid, .. }) => *uid == process::euid(),
            _ => true,
        };
        may && self.how != How::Attach
    }

    /// Whether a channel that is there may be joined at all.
    fn check(&self, facts: &ChannelInfo) -> Result<(), Error> {
        if self.how == How::Create {
            return Err(Error::AlreadyExists { channel: self.channel.clone() });
        }
        if let Some(address) = &self.options.address {
            locate::check_identity(address, facts, &self.channel)?;
        }
        validate::check(self.options, &self.plan, facts)
    }

    /// What was so before the seat is taken.
    fn before(&self, members: &ChannelSemaphores, found: &Finished) -> Try<Before> {
        let header = segment::header(&found.mapping);
        let parking = match self.side.other() {
            Side::Senders => &header.senders,
            Side::Receivers => &header.receivers,
        };
        let joins = parking.joins.load(Relaxed);
        // SAFETY: the segment is as large as its facts say.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        let incarnations = table.incarnations();
        match members.is_there(self.side.other()) {
            Ok(there) => Ok(Before { unmet: (!there).then_some(joins), incarnations }),
            Err(errno) => Err(self.stop("semctl(GETVAL)", errno)),
        }
    }

    /// The handle's share, with the seat in hand. A failure gives the seat back.
    fn seated(
        &self,
        members: ChannelSemaphores,
        seat: Seat,
        found: Finished,
        before: Before,
    ) -> Try<Attachment> {
        let Finished { stat, mapping, facts } = found;
        if !members.is_mortal(seat) {
            let _ = members.leave(facts.flavor, seat);
            return Err(Error::NoUndo { channel: self.channel.clone() }.into());
        }
        let total = facts.geometry.total;
        if self.options.prefault.unwrap_or(total <= PREFAULT_UP_TO) {
            // SAFETY: the whole segment, attached for writing; `examine` checked its length.
            let done = unsafe { memory::prefault(mapping.base(), total) };
            if let Err(errno) = done {
                // The seat goes back; what failed is the news.
                let _ = members.leave(facts.flavor, seat);
                return Err(self.call("madvise").segment(errno, total, false).into());
            }
        }
        let (flavor, label) = (facts.flavor, &self.options.label);
        // Nothing of the seat's is written in the segment before: it may be another's by now, in another
        // set (`alone.rs`).
        // SAFETY: the segment is as large as its facts say.
        let table = unsafe { segment::waiting(&mapping, facts.geometry.seats) };
        let Some(holder) = table.sign(seat, &before.incarnations) else {
            let _ = members.leave(flavor, seat);
            return Err(Stop::Again);
        };
        let unmet = before.unmet;
        let attachment = Attachment::new(members, holder, &stat, facts, mapping, unmet, label);
        // A process that binds the segment to another set looks at the members' table after ours was
        // removed (`alone.rs`): either it sees our line, or we see here that the set is gone.
        fence(SeqCst);
        attachment.check_seat().map_err(|fault| {
            // What the last holder of the seat left in the slots is still to be looked for: the seat goes
            // back, and its line goes on saying that its member died.
            if attachment.took_over_from_dead() {
                let _ = members.leave(flavor, seat);
                attachment.mark_seat_lost();
            }
            match fault {
                Fault::Removed => Stop::Again,
                fault => fault.into(),
            }
        })?;
        Ok(attachment)
    }

    fn not_found(&self) -> Stop {
        Error::NotFound { channel: self.channel.clone() }.into()
    }

    fn call(&self, name: &'static str) -> Call<'_> {
        Call { name, channel: &self.channel }
    }

    /// What a failed call means for this try.
    fn stop(&self, call: &'static str, errno: Errno) -> Stop {
        match errno {
            Errno::EIDRM | Errno::EINVAL | Errno::ENOENT => Stop::Again,
            errno => self.call(call).error(errno).into(),
        }
    }
}

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

mod alone;
mod among;

use std::time::Duration;

use crate::address::{Address, ChannelId};
use crate::agree;
use crate::error::{Error, Fault};
use crate::inspect;
use crate::limits::Call;
use crate::members::{self, Flavor, Members, Seat};
use crate::membership::Membership;
use crate::message::Shape;
use crate::options::{Options, PREFAULT_UP_TO};
use crate::reap;
use crate::segment::{self, Facts, Plan, State};
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::sem::{How as Make, Set};
use crate::sysv::shm::{self, Access, Get, Mapping, SegmentStat};
use crate::sysv::time::Deadline;
use crate::sysv::{Errno, memory};
use crate::wait::Side;
use alone::Alone;

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
    shape: Shape,
) -> Result<Membership, Error> {
    let plan = agree::plan(options, flavor, shape)?;
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
const TRIES: usize = 4;

/// Between two tries.
const BREATH: Duration = Duration::from_micros(50);

/// What is wanted, through all tries.
struct Opening<'a> {
    options: &'a Options,
    how: How,
    side: Side,
    plan: Plan<'a>,
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

/// A finished one.
struct Finished {
    stat: SegmentStat,
    mapping: Mapping,
    facts: Facts,
}

impl Opening<'_> {
    /// Tries until it is decided or the time is over.
    fn until_decided(&self, one: impl Fn() -> Try<Membership>) -> Result<Membership, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match one() {
                Ok(channel) => return Ok(channel),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Again) if tries < TRIES => {}
                Err(Stop::Again) if self.deadline.is_some_and(|d| d.passed()) => {
                    return Err(Error::Busy { channel: self.channel.clone(), pid: 0 });
                }
                Err(Stop::Again) => std::thread::sleep(BREATH),
            }
        }
    }

    fn keyed(&self, key: i32) -> Try<Membership> {
        let members = Members::new(self.find_or_make_set(key)?);
        match members.try_exclusive() {
            Ok(true) => self.alone(Alone { members, key: Some(key) }, key),
            Ok(false) => self.among(members, key),
            Err(errno) => Err(self.stop("semop", errno)),
        }
    }

    fn by_id(&self, id: ChannelId) -> Try<Membership> {
        let Some(Looked { stat, mapping, state: State::Ready(facts) }) = self.look(id.segment)?
        else {
            return Err(self.not_found());
        };
        self.check(&facts)?;
        if stat.key != 0 {
            return self.keyed(stat.key);
        }
        // A private channel's last member takes the set away.
        let Some(set) = inspect::set_of(&facts, &stat) else { return Err(self.not_found()) };
        let members = Members::new(Set::from_id(set.id));
        let found = Finished { stat, mapping, facts };
        match members.try_exclusive() {
            Ok(true) => self.enter(Alone { members, key: None }, found),
            Ok(false) => self.join(members, found),
            Err(errno) => Err(self.stop("semop", errno)),
        }
    }

    /// The set of a key. It is made for who may create, and for who attaches to a segment whose set
    /// was taken away.
    fn find_or_make_set(&self, key: i32) -> Try<Set> {
        match Set::lookup(key) {
            Ok(set) => {
                let stat = set.stat().map_err(|errno| self.stop("semctl(IPC_STAT)", errno))?;
                match reap::is_ours(&stat) {
                    true => Ok(set),
                    false => {
                        let what = "its semaphore set is not one of ours".into();
                        Err(Error::NotOurs { channel: self.channel.clone(), what }.into())
                    }
                }
            }
            Err(Errno::ENOENT) => {
                let seats = match self.look_for(key)? {
                    // Nothing is made beside what is not ours: looking at it fails.
                    Some(Looked { state: State::Ready(facts), .. }) => facts.geometry.seats,
                    None if !self.may_create() => return Err(self.not_found()),
                    _ => self.plan.geometry.seats,
                };
                self.make_set(key, seats)
            }
            Err(errno) => Err(self.stop("semget", errno)),
        }
    }

    fn make_set(&self, key: i32, seats: usize) -> Try<Set> {
        let n = members::semaphores(seats);
        let mode = self.options.mode | segment::MARK;
        Set::get(key, n, Make::New { mode }).map_err(|errno| match errno {
            Errno::EEXIST => Stop::Again,
            errno => self.call("semget").set(errno).into(),
        })
    }

    /// Whether a set is as large as that of a channel with so many seats.
    fn fits(&self, members: &Members, seats: usize) -> Try<bool> {
        match members.set.stat() {
            Ok(stat) => Ok(stat.semaphores as i32 == members::semaphores(seats)),
            Err(errno) => Err(self.stop("semctl(IPC_STAT)", errno)),
        }
    }

    /// The segment of a key, looked at; `None` where there is none.
    fn look_for(&self, key: i32) -> Try<Option<Looked>> {
        match shm::get(key, 0, Get::Existing) {
            Ok(id) => self.look(id),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.stop("shmget", errno)),
        }
    }

    /// Attaches a segment and looks at it. `None`: it went away.
    fn look(&self, id: i32) -> Try<Option<Looked>> {
        let stat = match shm::stat(id) {
            Ok(stat) => stat,
            Err(Errno::EIDRM | Errno::EINVAL) => return Ok(None),
            Err(errno) => return Err(self.stop("shmctl(IPC_STAT)", errno)),
        };
        let mapping = match Mapping::attach(id, Access::ReadWrite) {
            Ok(mapping) => mapping,
            Err(Errno::EIDRM | Errno::EINVAL) => return Ok(None),
            Err(errno) => {
                return Err(self.call("shmat").segment(errno, stat.size as usize, false).into());
            }
        };
        let state = segment::examine(&mapping, &stat, &self.channel)?;
        Ok(Some(Looked { stat, mapping, state }))
    }

    /// An identifier is of a channel that there is, or was.
    fn may_create(&self) -> bool {
        let by_id = matches!(self.options.address, Some(Address::Id(_)));
        self.how != How::Attach && !by_id
    }

    /// Whether a channel that is there may be joined at all.
    fn check(&self, facts: &Facts) -> Result<(), Error> {
        if self.how == How::Create {
            return Err(Error::AlreadyExists { channel: self.channel.clone() });
        }
        if let Some(address) = &self.options.address {
            inspect::check_identity(address, facts, &self.channel)?;
        }
        agree::check(self.options, &self.plan, facts)
    }

    /// How often the other side had been joined, if nobody is there. Asked before the seat is taken:
    /// from then on the peer meets us, and may leave again before we look.
    fn unmet(&self, members: &Members, found: &Finished) -> Try<Option<u32>> {
        let header = segment::header(&found.mapping);
        let parking = match self.side.other() {
            Side::Senders => &header.senders,
            Side::Receivers => &header.receivers,
        };
        let joins = parking.joins.load(Relaxed);
        match members.is_there(self.side.other()) {
            Ok(there) => Ok((!there).then_some(joins)),
            Err(errno) => Err(self.stop("semctl(GETVAL)", errno)),
        }
    }

    /// The handle's share, with the seat in hand. A failure gives the seat back.
    fn seated(
        &self,
        members: Members,
        seat: Seat,
        found: Finished,
        unmet: Option<u32>,
    ) -> Try<Membership> {
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
        let label = &self.options.label;
        match Membership::new(members, seat, &stat, facts, mapping, unmet, label) {
            Ok(membership) => Ok(membership),
            Err(Fault::Removed) => Err(Stop::Again),
            Err(fault) => Err(fault.into()),
        }
    }

    fn nonce(&self, members: &Members) -> Try<u32> {
        members.nonce().map_err(|errno| self.stop("semctl(GETVAL)", errno))
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

//! One case: a channel in some state, an operation, and the process on the other side.

use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, Lifetime, Options, Redelivery, Wait, mpmc};
use sysvring_support::witness::Watch;

use crate::steps::kernel::{self, Memory, Side};
use crate::steps::many;
use crate::steps::messages::{CAPACITY, Load, State, load};
use crate::steps::report::{Board, Span};

/// Which process there is besides the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Nobody,
    /// A process on the other side that does nothing.
    Idle,
    /// A process that sleeps in `recv` or `send`.
    Asleep,
    /// A process that does nothing until the victim sleeps, and then wakes it.
    Late,
    /// MPMC: a process of the victim's own side that joined when the victim had its slots and
    /// messages in flight, and that sleeps.
    Fellow,
}

impl Other {
    pub fn sleeps(self) -> bool {
        matches!(self, Other::Asleep | Other::Fellow)
    }
}

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// SPSC.
    One,
    /// MPMC.
    Many,
}

/// What exists when the victim starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// A channel in the state of the case.
    Channel,
    /// The same, but its set was removed.
    WithoutSet,
    /// A set, and a segment without magic, because its creator died.
    HalfMade,
    /// Many objects that dead processes left.
    Leftovers,
    /// A private channel, which the peer makes.
    Private,
    /// MPMC: a channel in which a member of this side died in this seat with a slot or messages in
    /// flight.
    Dead(Side, usize),
}

/// A case, as the victim, the peer and the survivors see it.
#[derive(Clone, Copy)]
pub struct Scene {
    pub flavor: Flavor,
    pub key: i32,
    pub board: Board,
    pub state: State,
    pub other: Other,
    pub before: Before,
    pub lifetime: Lifetime,
    /// MPMC: what becomes of a dead receiver's messages.
    pub redelivery: Redelivery,
    /// The victim's side.
    pub side: Side,
    pub segment: i32,
}

/// An opened end, how long opening took, and what the host excuses of it.
pub struct Opened<H>(pub H, pub Duration, pub Watch);

impl Scene {
    /// Returns the options that all sides open the channel with. Spinning is off, because the
    /// number of spins would depend on the time, and the victim is slowed down.
    pub fn options(&self) -> Options {
        let id = self.board.id.get();
        let options = match id.parse() {
            Ok(id) => Options::id(id),
            Err(_) => Options::key(self.key).lifetime(self.lifetime),
        };
        let options = options.capacity(CAPACITY as usize).wait(Wait::Park);
        match self.flavor {
            Flavor::One => options,
            Flavor::Many => options.max_members(many::MEMBERS).redelivery(self.redelivery),
        }
    }

    pub fn sender(&self) -> Sender<Load> {
        self.options().open().expect("a sender")
    }

    pub fn receiver(&self) -> Receiver<Load> {
        self.options().open().expect("a receiver")
    }

    /// Opens an end as a survivor does.
    pub fn open<H: sysvring::Handle>(&self) -> Result<Opened<H>, sysvring::Error> {
        let (watch, start) = (Watch::start(&[]), Instant::now());
        let handle = self.options().open()?;
        Ok(Opened(handle, start.elapsed(), watch))
    }

    /// A successor took the victim's seat at a position that must be consistent with the victim's
    /// report. From then on, the position is known.
    pub fn goes_on_at(&self, reported: Span, position: u64) {
        let n = position.wrapping_sub(self.state.base);
        let (least, most) = reported.get();
        if !(least..=most).contains(&n) {
            self.board.wrong.set(1);
        }
        reported.set(n);
    }

    pub fn address(&self) -> Address {
        Address::Key(self.key)
    }

    /// Makes what exists when the victim starts.
    pub fn prepare(&mut self) {
        self.board.clear(self.state.fill);
        match self.before {
            Before::Nothing | Before::Private => self.board.clear(0),
            Before::Channel | Before::Dead(..) => self.make_channel(),
            Before::WithoutSet => {
                self.make_channel();
                kernel::remove_set(kernel::set(self.key).expect("a set"));
            }
            Before::HalfMade => {
                kernel::make_set(self.key);
                kernel::make_segment(self.key);
                self.board.clear(0);
            }
            Before::Leftovers => {
                self.make_channel();
                self.leave_things();
            }
        }
    }

    fn make_channel(&mut self) {
        if self.flavor == Flavor::Many {
            return many::make_channel(self);
        }
        let options = self.options().lifetime(Lifetime::Kept);
        let tx: Sender<Load> = options.create().expect("a new channel");
        drop(tx);
        self.segment = kernel::segment(self.key).expect("a segment");
        Memory::of(self.segment).move_to(self.state);
        let mut tx: Sender<Load> = self.options().attach().expect("a sender");
        for _ in 0..self.state.fill {
            let load = load(tx.position());
            tx.try_send(&load).expect("a free slot");
        }
    }

    /// Leaves one of everything that `reap` removes.
    fn leave_things(&self) {
        kernel::make_set(self.key + 1);
        kernel::make_set(self.key + 2);
        kernel::make_segment(self.key + 2);
        kernel::make_segment(self.key + 3);
        // Killed members of channels that end with their last member.
        let named = Options::key(self.key + 4).lifetime(Lifetime::LastMember);
        self.leave_dead::<Sender<Load>>(named);
        self.leave_dead::<Sender<Load>>(Options::private());
        let named = Options::key(self.key + 5).lifetime(Lifetime::LastMember);
        self.leave_dead::<mpmc::Sender<Load>>(named.max_members(many::MEMBERS));
        self.leave_dead::<mpmc::Sender<Load>>(Options::private().max_members(many::MEMBERS));
    }

    /// Leaves a channel whose only member was killed.
    fn leave_dead<H: sysvring::Handle>(&self, options: Options) {
        let mut member = sysvring_support::fork::Fork::start(|| {
            let _member: H = options.open().expect("open");
            self.board.order.set(1);
            std::thread::sleep(Duration::from_secs(60));
        });
        while self.board.order.get() == 0 {
            std::thread::yield_now();
        }
        member.kill_and_wait();
        self.board.order.set(0);
    }
}

//! The state: the ring, PARKED, the semaphore, the members, their threads, and the senders.

/// The maximum of each in any setting.
pub const MEMBERS: usize = 3;
pub const THREADS: usize = 4;
pub const SENDERS: usize = 2;
/// The semaphore's limit. More tokens would make no difference.
const TOKENS: u8 = 6;

/// Everything that the next steps depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Messages in the ring that every processor sees.
    pub messages: u8,
    pub parked: bool,
    /// The flag FENCE: the receiver of an SPSC channel asks for fences.
    pub asked: bool,
    /// The value of the semaphore on which receivers park.
    pub tokens: u8,
    pub members: [Member; MEMBERS],
    pub threads: [Thread; THREADS],
    pub senders: [Sender; SENDERS],
    /// How many more times each of these events may happen.
    pub kills: u8,
    pub successors: u8,
    pub timeouts: u8,
}

/// A seat, and the receiving process in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    pub life: Life,
    /// The seat's word on the receivers' side.
    pub word: Word,
    /// Messages that members in this seat had in flight when they died.
    pub orphans: u8,
    /// It remembers that it has asked for fences.
    pub asks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// The seat's semaphore is zero.
    Dead,
    /// A process has the seat, but the word and the orphaned messages are still the previous
    /// member's.
    Seated,
    /// It has written its own word and must wake others.
    Signed,
    /// It has cleared PARKED and must post.
    Waking,
    Alive,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Word {
    pub incarnation: u8,
    pub waiting: u8,
}

impl Word {
    pub fn announce(&mut self) {
        self.waiting = self.waiting.wrapping_add(1);
    }

    /// Decrements the count. If the word was wiped meanwhile, the count wraps to a very large
    /// number.
    pub fn withdraw(&mut self) {
        self.waiting = self.waiting.wrapping_sub(1);
    }
}

/// A thread of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub step: Step,
    /// It took a token or cleared PARKED, and has not passed this on yet.
    pub duty: bool,
    pub holds: bool,
    /// The seat that it reads next.
    pub seat: u8,
    /// That seat's word as it was read.
    pub word: Word,
    /// Whether it saw more work, in a variant that polls before it sets PARKED.
    pub saw_more: bool,
}

/// What a receiver's thread does next. Names and numbers are those of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Look,
    S1Announce,
    S2SetParked,
    S3Barrier,
    S4Recheck,
    S5Sleep,
    F1Withdraw,
    F2TakeParkedOff,
    /// Replaces F2: PARKED stays set if a word counts waiting threads.
    F2Scan,
    F3PassOnIfDue,
    K1Withdraw,
    K1Look,
    G1Withdraw,
    G2TakeParkedOff,
    G3Recheck,
    T1ReadWord,
    T1AskForSeat,
    T1Wipe,
    T1Drain,
    O0Begin,
    O1Scan,
    O2SetParked,
    O3Look,
    O3TakeParkedOff,
    O3Post,
    /// Outside `recv`, with or without a message, perhaps forever.
    Away,
    Gone,
}

/// A thread of the sending process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    pub step: Publish,
    pub unsent: u8,
    /// A message in the store buffer, which only this processor sees.
    pub buffered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publish {
    P1Store,
    P1LookAtFlags,
    P1Fence,
    P1LookAgain,
    P2TakeParkedOff,
    P3Post,
}

impl State {
    /// Posts a token. At the limit this has no effect.
    pub fn post(&mut self) {
        self.tokens = TOKENS.min(self.tokens + 1);
    }

    /// Clears PARKED. Returns whether it was set.
    pub fn take_parked_off(&mut self) -> bool {
        std::mem::replace(&mut self.parked, false)
    }

    /// Makes a sender's published message visible to all.
    pub fn make_visible(&mut self, sender: usize) {
        self.messages += u8::from(std::mem::take(&mut self.senders[sender].buffered));
    }

    /// Executes `membarrier`: every processor drains its store buffer.
    pub fn barrier(&mut self) {
        (0..SENDERS).for_each(|sender| self.make_visible(sender));
    }

    /// Takes a new message. Returns whether there was one.
    pub fn take_message(&mut self) -> bool {
        let there = self.messages > 0;
        self.messages -= u8::from(there);
        there
    }

    /// Returns a seat with orphaned messages that can be taken over. Until a successor has signed,
    /// they appear to be its own.
    fn orphanage(&self) -> Option<usize> {
        self.members.iter().position(|m| m.orphans > 0 && m.life != Life::Seated)
    }

    /// Takes a new or an orphaned message. Returns whether there was one.
    pub fn take_any(&mut self) -> bool {
        if self.take_message() {
            return true;
        }
        let Some(seat) = self.orphanage() else { return false };
        self.members[seat].orphans -= 1;
        true
    }

    /// Returns whether there is a new or an orphaned message.
    pub fn has_any(&self) -> bool {
        self.messages > 0 || self.orphanage().is_some()
    }

    /// Kills a member with all its threads.
    pub fn kill(&mut self, seat: usize, threads: impl Iterator<Item = usize>, posts: bool) {
        for thread in threads {
            self.members[seat].orphans += u8::from(self.threads[thread].holds);
            self.threads[thread] = Thread::at(Step::Gone);
        }
        self.members[seat].life = Life::Dead;
        self.members[seat].asks = false;
        if posts {
            self.post();
        }
    }

    /// Kills the sending process: its stores become visible, and it takes no further steps.
    pub fn kill_senders(&mut self, posts: bool) {
        self.barrier();
        self.senders = [Sender::with(0); SENDERS];
        if posts {
            self.post();
        }
    }
}

impl Thread {
    /// Returns a thread at that step that has no duty.
    pub fn at(step: Step) -> Thread {
        let word = Word::default();
        Thread { step, duty: false, holds: false, seat: 0, word, saw_more: false }
    }
}

impl Sender {
    /// Returns a sender that is to send `unsent` messages.
    pub fn with(unsent: u8) -> Sender {
        Sender { step: Publish::P1Store, unsent, buffered: false }
    }

    /// Returns whether it has anything to do.
    pub fn is_busy(&self) -> bool {
        self.unsent > 0 || self.step != Publish::P1Store
    }
}

//! The steps of `src/wait/mod.rs`, one atomic instruction or system call at a time, and the changes
//! that weaken them.

use crate::state::{Life, Member, Publish, Sender, State, Step, Thread, Word};

/// A change of the protocol. "Holds alone" marks a change that causes a fault only together with
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A thread that has a duty drops it.
    NoPassingOn,
    /// Passing on polls before it sets PARKED.
    PassOnLooksFirst,
    /// Passing on sets PARKED and does not poll.
    PassOnWithoutLook,
    /// Passing on polls for new messages, but not for orphaned ones.
    PassOnLooksQuickly,
    /// Passing on asks the kernel for parked threads (GETNCNT) instead of reading the words.
    PassOnAsksTheKernel,
    /// A death posts no token.
    DeathsDoNotPost,
    /// A finder clears PARKED and does not pass on.
    FinderDropsDuty,
    /// A finder does not touch PARKED. Holds alone.
    FinderLeavesParked,
    /// A finder leaves PARKED set if a word counts other waiting threads. Holds alone.
    FinderLeavesParkedToOthers,
    /// A receiver that asks for fences calls no membarrier.
    AsksWithoutBarrier,
    /// A receiver that withdraws its request remembers that it has asked.
    WithdrawsAndRemembers,
    /// A sender that is asked for fences executes none.
    SenderIgnoresRequests,
    /// The sender is never asked, but the receiver executes a fence.
    NobodyAsks,
    /// A thread sets PARKED before its word counts it.
    ParkedBeforeWord,
    /// A thread overwrites the word of a dead seat without a comparison.
    WipesBlindly,
    /// A thread woken without cause drops its duty when it announces itself again. Holds alone.
    DutyLostAtAnnouncing,
    /// A thread that gives up clears PARKED and does not pass on.
    GivesUpWithoutDuty,
    /// A thread that gives up decrements its word and does nothing else. Holds alone.
    GivesUpAtOnce,
    /// A thread woken without cause passes on and rests for any time (R1). Each wake-up that the
    /// unchanged protocol spends on such a thread takes this path instead.
    Rests,
    /// The same, but the thread keeps its duty while it rests: an available message waits that
    /// long.
    RestsWithDuty,
    /// A process that takes over a seat does not wake others.
    JoinerDoesNotWake,
}

/// Numbers of members, threads, messages and events, and the changes.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub senders: usize,
    /// Messages that each sender sends.
    pub messages: u8,
    /// An SPSC channel: its sender publishes by a plain store, not by a locked instruction.
    pub stores: bool,
    /// Threads of each member.
    pub threads: &'static [usize],
    pub kills: u8,
    /// Processes that take the seat of a dead member.
    pub successors: u8,
    pub timeouts: u8,
    pub changes: &'static [Change],
}

impl Setting {
    pub fn has(&self, change: Change) -> bool {
        self.changes.contains(&change)
    }

    /// Returns the seat of a thread.
    pub fn seat_of(&self, thread: usize) -> usize {
        let mut threads_before = 0;
        let is_of = |threads: &usize| {
            threads_before += threads;
            thread < threads_before
        };
        self.threads.iter().position(is_of).expect("a thread of a member")
    }

    /// Returns the threads of a seat.
    pub fn threads_of(&self, seat: usize) -> std::ops::Range<usize> {
        let first = self.threads[..seat].iter().sum();
        first..first + self.threads[seat]
    }

    pub fn all_threads(&self) -> usize {
        self.threads.iter().sum()
    }

    pub fn start(&self) -> State {
        let member = |life| Member { life, word: Word::default(), orphans: 0, asks: false };
        let mut state = State {
            messages: 0,
            parked: false,
            asked: false,
            tokens: 0,
            members: [member(Life::Dead); _],
            threads: [Thread::at(Step::Gone); _],
            senders: [Sender::with(0); _],
            kills: self.kills,
            successors: self.successors,
            timeouts: self.timeouts,
        };
        state.members[..self.threads.len()].fill(member(Life::Alive));
        state.threads[..self.all_threads()].fill(Thread::at(Step::Look));
        state.senders[..self.senders].fill(Sender::with(self.messages));
        state
    }

    /// Takes the next step of a sender, if it has one.
    pub fn send(&self, mut state: State, sender: usize) -> Option<State> {
        let Sender { step, unsent, buffered } = state.senders[sender];
        state.senders[sender].step = match step {
            Publish::P1Store => {
                // One entry in the store buffer is enough to delay a store.
                if unsent == 0 || buffered {
                    return None;
                }
                state.senders[sender].unsent -= 1;
                state.senders[sender].buffered = true;
                if !self.stores {
                    state.make_visible(sender);
                }
                Publish::P1LookAtFlags
            }
            Publish::P1LookAtFlags if state.parked || state.asked => Publish::P1Fence,
            Publish::P1LookAtFlags => Publish::P1Store,
            Publish::P1Fence => {
                if !self.has(Change::SenderIgnoresRequests) {
                    state.make_visible(sender);
                }
                Publish::P1LookAgain
            }
            Publish::P1LookAgain if state.parked => Publish::P2TakeParkedOff,
            Publish::P1LookAgain => Publish::P1Store,
            Publish::P2TakeParkedOff => {
                // A locked instruction drains the store buffer.
                state.make_visible(sender);
                match state.take_parked_off() {
                    true => Publish::P3Post,
                    false => Publish::P1Store,
                }
            }
            Publish::P3Post => {
                state.post();
                Publish::P1Store
            }
        };
        Some(state)
    }

    /// Takes the next step of a process that is joining.
    pub fn join(&self, mut state: State, seat: usize) -> Option<State> {
        state.members[seat].life = match state.members[seat].life {
            Life::Dead | Life::Alive => return None,
            Life::Seated => {
                let incarnation = state.members[seat].word.incarnation + 1;
                state.members[seat].word = Word { incarnation, waiting: 0 };
                state.asked = false;
                match self.has(Change::JoinerDoesNotWake) {
                    true => Life::Alive,
                    false => Life::Signed,
                }
            }
            Life::Signed => match state.take_parked_off() {
                true => Life::Waking,
                false => Life::Alive,
            },
            Life::Waking => {
                state.post();
                Life::Alive
            }
        };
        if state.members[seat].life == Life::Alive {
            // It need not call `recv`, now or ever.
            state.threads[self.threads_of(seat)].fill(Thread::at(Step::Away));
        }
        Some(state)
    }
}

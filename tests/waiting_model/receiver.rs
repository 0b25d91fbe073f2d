//! The steps of a receiver's thread.

use crate::protocol::{Change, Setting};
use crate::state::{Life, State, Step, Word};

impl Setting {
    /// Takes the next step of a receiver's thread. Returns `None` if it waits for a token or is
    /// gone.
    pub fn receive(&self, mut state: State, thread: usize) -> Option<State> {
        let seat = self.seat_of(thread);
        let mut own = state.threads[thread];
        let first_of_two = match self.has(Change::ParkedBeforeWord) {
            true => [Step::S2SetParked, Step::S1Announce],
            false => [Step::S1Announce, Step::S2SetParked],
        };
        let after = |step| match first_of_two[0] == step {
            true => first_of_two[1],
            false => Step::S3Barrier,
        };
        own.step = match own.step {
            Step::Look => {
                own.holds = state.take_message();
                if own.holds { Step::Away } else { first_of_two[0] }
            }

            // The thread prepares to park.
            Step::S1Announce => {
                state.members[seat].word.announce();
                after(Step::S1Announce)
            }
            Step::S2SetParked => {
                state.parked = true;
                state.asked |= self.stores && !self.has(Change::NobodyAsks);
                after(Step::S2SetParked)
            }
            Step::S3Barrier => {
                // Where publications are locked instructions, S2 is the whole barrier.
                if self.stores && !state.members[seat].asks && !self.has(Change::NobodyAsks) {
                    if !self.has(Change::AsksWithoutBarrier) {
                        state.barrier();
                    }
                    state.members[seat].asks = true;
                }
                Step::S4Recheck
            }
            Step::S4Recheck => {
                own.holds = state.take_any();
                if own.holds {
                    Step::F1Withdraw
                } else {
                    // This poll counts as passing on.
                    own.duty = false;
                    Step::S5Sleep
                }
            }
            Step::S5Sleep => {
                if state.tokens == 0 {
                    return None;
                }
                state.tokens -= 1;
                own.duty = true;
                Step::K1Withdraw
            }

            // It found something before it parked.
            Step::F1Withdraw => {
                state.members[seat].word.withdraw();
                if self.has(Change::FinderLeavesParked) {
                    Step::F3PassOnIfDue
                } else if self.has(Change::FinderLeavesParkedToOthers) {
                    own.seat = 0;
                    Step::F2Scan
                } else {
                    Step::F2TakeParkedOff
                }
            }
            Step::F2Scan if state.members[usize::from(own.seat)].word.waiting > 0 => {
                Step::F3PassOnIfDue
            }
            Step::F2Scan => self.next_seat(&mut own.seat, Step::F2Scan, Step::F2TakeParkedOff),
            Step::F2TakeParkedOff => {
                let was_on = state.take_parked_off();
                own.duty |= was_on && !self.has(Change::FinderDropsDuty);
                Step::F3PassOnIfDue
            }
            Step::F3PassOnIfDue if own.duty => Step::O0Begin,
            Step::F3PassOnIfDue => Step::Away,

            // A token woke it.
            Step::K1Withdraw => {
                state.members[seat].word.withdraw();
                Step::K1Look
            }
            Step::K1Look => {
                own.holds = state.take_message();
                own.seat = 0;
                if own.holds { Step::O0Begin } else { Step::T1ReadWord }
            }

            // Its timeout expired: it returns what it finds.
            Step::G1Withdraw => {
                state.members[seat].word.withdraw();
                if self.has(Change::GivesUpAtOnce) { Step::Away } else { Step::G2TakeParkedOff }
            }
            Step::G2TakeParkedOff => {
                let was_on = state.take_parked_off();
                own.duty |= was_on && !self.has(Change::GivesUpWithoutDuty);
                Step::G3Recheck
            }
            Step::G3Recheck => {
                own.holds = state.take_any();
                Step::F3PassOnIfDue
            }

            // It was woken without cause. A word of a dead member may be the reason.
            Step::T1ReadWord => {
                own.word = state.members[usize::from(own.seat)].word;
                match usize::from(own.seat) != seat && own.word.waiting > 0 {
                    true => Step::T1AskForSeat,
                    false => self.next_seat(&mut own.seat, Step::T1ReadWord, Step::T1Drain),
                }
            }
            Step::T1AskForSeat => match state.members[usize::from(own.seat)].life {
                Life::Dead => Step::T1Wipe,
                _ => self.next_seat(&mut own.seat, Step::T1ReadWord, Step::T1Drain),
            },
            Step::T1Wipe => {
                let word = &mut state.members[usize::from(own.seat)].word;
                if *word == own.word || self.has(Change::WipesBlindly) {
                    word.waiting = 0;
                }
                self.next_seat(&mut own.seat, Step::T1ReadWord, Step::T1Drain)
            }
            Step::T1Drain => {
                state.tokens = 0;
                own.duty &= !self.has(Change::DutyLostAtAnnouncing);
                if self.has(Change::Rests) {
                    Step::O0Begin
                } else if self.has(Change::RestsWithDuty) {
                    Step::Away
                } else {
                    first_of_two[0]
                }
            }

            // It passes on. From here on, the step itself stands for the duty.
            Step::O0Begin => {
                own.duty = false;
                own.seat = 0;
                if self.has(Change::NoPassingOn) { Step::Away } else { Step::O1Scan }
            }
            Step::O1Scan => {
                let look = match self.has(Change::PassOnLooksFirst) {
                    true => Step::O3Look,
                    false => Step::O2SetParked,
                };
                if self.has(Change::PassOnAsksTheKernel) {
                    if self.sleeps_in_kernel(&state) { look } else { Step::Away }
                } else if state.members[usize::from(own.seat)].word.waiting > 0 {
                    look
                } else {
                    self.next_seat(&mut own.seat, Step::O1Scan, Step::Away)
                }
            }
            Step::O2SetParked => {
                state.parked = true;
                if self.has(Change::PassOnWithoutLook) {
                    Step::Away
                } else if self.has(Change::PassOnLooksFirst) {
                    if own.saw_more { Step::O3TakeParkedOff } else { Step::Away }
                } else {
                    Step::O3Look
                }
            }
            Step::O3Look => {
                let more = match self.has(Change::PassOnLooksQuickly) {
                    true => state.messages > 0,
                    false => state.has_any(),
                };
                if self.has(Change::PassOnLooksFirst) {
                    own.saw_more = more;
                    Step::O2SetParked
                } else if more {
                    Step::O3TakeParkedOff
                } else {
                    Step::Away
                }
            }
            // If PARKED is clear, the thread that cleared it posts or passes on.
            Step::O3TakeParkedOff if state.take_parked_off() => Step::O3Post,
            Step::O3TakeParkedOff => Step::Away,
            Step::O3Post => {
                state.post();
                Step::Away
            }

            Step::Away => {
                own.holds = false;
                Step::Look
            }
            Step::Gone => return None,
        };
        // These fields are not read again. Clearing them makes equivalent states equal.
        if matches!(own.step, Step::Away | Step::Look | Step::S1Announce | Step::S2SetParked) {
            (own.seat, own.word, own.saw_more) = (0, Word::default(), false);
        }
        state.threads[thread] = own;
        Some(state)
    }

    /// Expires the timeout of a parked thread.
    pub fn time_out(&self, mut state: State, thread: usize) -> Option<State> {
        if state.timeouts == 0 || state.threads[thread].step != Step::S5Sleep {
            return None;
        }
        state.timeouts -= 1;
        state.threads[thread].step = Step::G1Withdraw;
        Some(state)
    }

    fn next_seat(&self, seat: &mut u8, again: Step, over: Step) -> Step {
        *seat += 1;
        if usize::from(*seat) < self.threads.len() {
            return again;
        }
        *seat = 0;
        over
    }

    fn sleeps_in_kernel(&self, state: &State) -> bool {
        state.tokens == 0 && state.threads.iter().any(|thread| thread.step == Step::S5Sleep)
    }
}

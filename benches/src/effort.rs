//! The effort of a run.

use std::fmt;

/// The effort of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Smoke,
    Quick,
    Full,
}

impl Effort {
    /// Returns the amount for this effort.
    pub fn pick<T>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Effort::Smoke => smoke,
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }

    /// Returns the number of rounds, for the scenarios that run in rounds.
    pub fn rounds(self) -> usize {
        self.pick(1, 5, 9)
    }

    /// Returns the usual schedule, for turns of some milliseconds.
    pub fn schedule(self) -> Schedule {
        self.schedule_of(1, 5, 9)
    }

    /// Returns a schedule with other numbers of turns per round.
    pub fn schedule_of(self, smoke: usize, quick: usize, full: usize) -> Schedule {
        Schedule { rounds: self.rounds(), turns: self.pick(smoke, quick, full) }
    }
}

/// The number of rounds, and of turns per round.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub rounds: usize,
    pub turns: usize,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rounds x {} turns", self.rounds, self.turns)
    }
}

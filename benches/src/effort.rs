//! The effort of a run.

/// The effort of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Smoke,
    Quick,
    Full,
}

impl Effort {
    /// Returns the amount for this effort.
    pub(crate) fn pick<T>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Effort::Smoke => smoke,
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }

    /// Returns the number of rounds, for the parts that run in rounds.
    pub(crate) fn rounds(self) -> usize {
        self.pick(1, 5, 9)
    }
}

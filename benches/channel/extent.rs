//! How much of everything.

/// How much to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Smoke,
    Quick,
    Full,
}

impl Extent {
    /// One of three amounts.
    pub(crate) fn pick<T>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Extent::Smoke => smoke,
            Extent::Quick => quick,
            Extent::Full => full,
        }
    }

    /// Rounds of the parts that go by rounds.
    pub(crate) fn rounds(self) -> usize {
        self.pick(1, 5, 9)
    }
}

//! The account of numbered messages: each exactly once, and those of a sender in order.

use std::fmt;

use sysvring::Flavor;

/// A message: its sender, its number, and values derived from both, so that a torn message
/// contradicts itself.
pub type Message = [u64; 4];

/// Returns message `number` of a sender.
pub fn message(sender: u64, number: u64) -> Message {
    [sender, number, !number ^ sender << 32, number.rotate_left(17) ^ sender]
}

/// What arrived. All but `received` must be zero in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The number of different messages.
    pub received: u64,
    /// The number of messages that are missing before one that arrived.
    pub missing: u64,
    pub doubled: u64,
    /// The number of messages that arrived after a later one of their sender, the first time.
    pub late: u64,
    pub torn: u64,
}

impl Figures {
    /// Returns the figures when each message arrived once and in order.
    pub fn exactly(received: u64) -> Figures {
        Figures { received, ..Figures::default() }
    }

    /// Returns the figures without those that the flavor permits: an MPMC channel delivers the messages
    /// of a receiver that was killed again, after later ones.
    pub fn of(self, flavor: Flavor) -> Figures {
        let late = if flavor == Flavor::Mpmc { 0 } else { self.late };
        Figures { late, ..self }
    }

    /// Returns the figures that a line contains.
    pub fn parse([received, missing, doubled, late, torn]: [f64; 5]) -> Figures {
        let [received, missing, doubled, late, torn] =
            [received, missing, doubled, late, torn].map(|figure| figure as u64);
        Figures { received, missing, doubled, late, torn }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { received, missing, doubled, late, torn } = self;
        write!(f, "{received} {missing} {doubled} {late} {torn}")
    }
}

/// The messages of one sender.
#[derive(Debug, Default)]
struct Line {
    /// Bits of the messages that arrived.
    seen: Vec<u64>,
    /// The number after the highest that arrived.
    next: u64,
}

/// The account of a receiver.
#[derive(Debug)]
pub struct Account {
    lines: Vec<Line>,
    /// The number of the first message of each sender.
    first: u64,
    figures: Figures,
}

impl Account {
    /// Opens an account of this many senders, whose first messages have this number.
    pub fn new(senders: usize, first: u64) -> Account {
        let line = || Line { seen: Vec::new(), next: first };
        let lines = (0..senders).map(|_| line()).collect();
        Account { lines, first, figures: Figures::default() }
    }

    /// Enters a message.
    pub fn enter(&mut self, received: Message) {
        let [sender, number, ..] = received;
        let is_whole = received == message(sender, number) && number >= self.first;
        let line = self.lines.get_mut(sender as usize).filter(|_| is_whole);
        let Some(line) = line else { return self.figures.torn += 1 };
        let at = (number - self.first) as usize;
        if line.seen.len() <= at / 64 {
            line.seen.resize(at / 64 + 1, 0);
        }
        let (word, bit) = (&mut line.seen[at / 64], 1 << (at % 64));
        if *word & bit != 0 {
            self.figures.doubled += 1;
            return;
        }
        *word |= bit;
        self.figures.received += 1;
        if number >= line.next {
            self.figures.missing += number - line.next;
            line.next = number + 1;
        } else {
            self.figures.late += 1;
            self.figures.missing -= 1;
        }
    }

    pub fn figures(&self) -> Figures {
        self.figures
    }
}

mod tests {
    use sysvring_support::test;

    use super::{Account, Figures, message};

    fn account(numbers: &[u64]) -> Figures {
        let mut account = Account::new(1, 5);
        numbers.iter().for_each(|&number| account.enter(message(0, number)));
        account.figures()
    }

    #[test]
    fn each_kind_of_fault_is_told() {
        assert_eq!(account(&[5, 6, 7]), Figures::exactly(3));
        assert_eq!(account(&[5, 7]), Figures { missing: 1, ..Figures::exactly(2) });
        assert_eq!(account(&[6]), Figures { missing: 1, ..Figures::exactly(1) });
        assert_eq!(account(&[5, 6, 5]), Figures { doubled: 1, ..Figures::exactly(2) });
        assert_eq!(account(&[5, 7, 6]), Figures { late: 1, ..Figures::exactly(3) });
        assert_eq!(
            account(&[5, 7, 7, 6, 6]),
            Figures { late: 1, doubled: 2, ..Figures::exactly(3) }
        );
        assert_eq!(account(&[5, 4]), Figures { torn: 1, ..Figures::exactly(1) });
        let mut account = Account::new(2, 0);
        for (sender, number) in [(1, 0), (0, 0), (1, 1), (2, 0)] {
            account.enter(message(sender, number));
        }
        account.enter([0, 1, 0, 0]);
        assert_eq!(account.figures(), Figures { torn: 2, ..Figures::exactly(3) });
    }
}

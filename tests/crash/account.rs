//! Compares what survivors find in a channel with what all processes reported.

use sysvring::Redelivery;

use crate::steps::handle::Side;
use crate::steps::ledger::{Report, SURVIVOR};
use crate::steps::report::peer;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

/// A message that a survivor received from an MPMC channel.
pub struct Got {
    pub number: u64,
    /// The position, counted from the first position of the case.
    pub place: u64,
    pub deliveries: u8,
}

impl Survivor<'_> {
    /// SPSC: checks that the positions match what the victim and its peer reported.
    pub fn stream(&mut self) -> Result<(), Violation> {
        let (shared, base) = (&self.scenario.shared, self.scenario.state.base);
        let (tx, rx) = self.both();
        let of = |position: Option<u64>| position.expect("SPSC").wrapping_sub(base);
        let (sent, taken) = (of(tx.position()), of(rx.position()));
        let stream = shared.ledger.stream;
        let reported = (stream.sent.get(), stream.taken.get());
        let inside = |n, (min, max)| min <= n && n <= max;
        if !inside(sent, reported.0) || !inside(taken, reported.1) || taken > sent {
            return no(
                Kind::WrongCount,
                format!("{sent} were sent and {taken} received, of {reported:?}"),
            );
        }
        self.no_wrong_message()?;
        self.end_of_stream(sent != taken)
    }

    /// MPMC: checks that the messages sent and received match what all processes reported.
    pub fn account(&self) -> Result<(), Violation> {
        self.no_wrong_message()?;
        let ledger = &self.scenario.shared.ledger;
        let or = |cell: fn(&Report) -> u64| ledger.reports().iter().fold(0, |a, r| a | cell(r));
        let (returned, seen) = (or(|r| r.got.get()), or(|r| r.seen.get()));
        let open = ledger.reports().map(|report| report.open());
        let held = open[0].0 + open[1].0 + ledger.orphans.get();
        let in_doubt = open[0].1 + open[1].1;
        let limit = match self.scenario.redelivery {
            Redelivery::Unlimited => u8::MAX,
            Redelivery::Discard { after } | Redelivery::DeadLetter { after } => after,
            _ => 1,
        };
        let mut mine = 0u64;
        let mut again = 0;
        for (i, Got { number, place, deliveries }) in self.got.iter().enumerate() {
            if *number >= SURVIVOR {
                continue;
            }
            let bit = 1 << number;
            if !ledger.sent(*number).0 {
                return no(
                    Kind::WrongCount,
                    format!("message {number} is present, but its call failed"),
                );
            }
            if (returned | mine) & bit != 0 {
                return no(Kind::WrongCount, format!("message {number} is present twice"));
            }
            if seen & bit != 0 && *deliveries < 2 {
                return no(
                    Kind::WrongCount,
                    format!("message {number} was received before and looks new"),
                );
            }
            if *deliveries > limit {
                return no(
                    Kind::WrongCount,
                    format!("message {number} has a delivery count of {deliveries}"),
                );
            }
            again += u64::from(*deliveries > 1);
            mine |= bit;
            let wrong = |before: &Got| {
                let same_sender = before.number / 16 == number / 16;
                let late = before.place > *place || same_sender && before.number > *number;
                // Messages that a dead receiver had in flight may be delivered later.
                let new = before.deliveries == 1 && *deliveries == 1;
                before.place == *place || new && late
            };
            if self.got[..i].iter().any(wrong) {
                return no(Kind::WrongMessage, format!("message {number} is out of order"));
            }
        }
        if again > held {
            return no(
                Kind::WrongCount,
                format!("{again} messages redelivered; {held} were in flight"),
            );
        }
        let sent = (0..SURVIVOR).filter(|n| ledger.sent(*n).1);
        let lost: Vec<u64> = sent.filter(|n| (returned | mine) & 1 << n == 0).collect();
        let given_up = self.given_up(held)?;
        if lost.len() as u64 > in_doubt + given_up {
            return no(
                Kind::WrongCount,
                format!("{lost:?} are lost; {in_doubt} are in doubt, {given_up} were given up"),
            );
        }
        let stays = self.got.iter().any(|got| got.number < SURVIVOR);
        self.end_of_stream(stays)
    }

    fn no_wrong_message(&self) -> Result<(), Violation> {
        match self.scenario.shared.ledger.wrong.get() {
            0 => Ok(()),
            _ => no(Kind::WrongMessage, "a message was torn, out of place, or received twice"),
        }
    }

    /// Checks that the peer did not receive the end of the stream if messages of it stay in the ring.
    fn end_of_stream(&self, stays: bool) -> Result<(), Violation> {
        let shared = &self.scenario.shared;
        let stays = stays && !self.sends_next_stream;
        if shared.peer.get() == peer::DISCONNECTED && self.scenario.side == Side::Sender && stays {
            return no(
                Kind::WrongResult,
                "the receiver got the end of the stream before all messages",
            );
        }
        Ok(())
    }

    /// Checks how many messages were given up because dead receivers had them in flight too often,
    /// according to the channel's counts.
    fn given_up(&self, held: u64) -> Result<u64, Violation> {
        let Some(rx) = &self.rx else { return Ok(0) };
        let stat = rx.stat().or_else(|e| no(Kind::Unusable, format!("stat: {e}")))?;
        let (dropped, poisoned) = (stat.dropped, stat.poisoned);
        let right = match self.scenario.redelivery {
            Redelivery::Unlimited => dropped + poisoned == 0,
            Redelivery::Discard { .. } => dropped == 0 && poisoned <= held,
            _ => poisoned == 0 && dropped <= held,
        };
        match right {
            true => Ok(dropped + poisoned),
            false => no(
                Kind::WrongCount,
                format!("{dropped} dropped, {poisoned} discarded; {held} were in flight"),
            ),
        }
    }
}

//! Whether what survivors find in a many-to-many channel is what all of them reported.

use sysvring::Redelivery;

use super::ledger::{Report, SURVIVOR};
use super::verify::Survivor;
use crate::steps::board::peer;
use crate::steps::kernel::Side;
use crate::steps::violation::{Kind, Violation, no};

/// A message that a survivor got.
pub(super) struct Got {
    pub(super) number: u64,
    /// From the first position of the case on.
    pub(super) place: u64,
    pub(super) deliveries: u8,
}

impl Survivor<'_> {
    /// What was sent and what was received is what all of them reported.
    pub(super) fn account(&self) -> Result<(), Violation> {
        let board = &self.scene.board;
        let ledger = &board.many;
        if board.wrong.get() != 0 {
            return no(Kind::Wrong, "a message was torn, or received twice");
        }
        let or = |cell: fn(&Report) -> u64| ledger.reports().iter().fold(0, |a, r| a | cell(r));
        let (returned, seen) = (or(|r| r.got.get()), or(|r| r.seen.get()));
        let open = ledger.reports().map(|report| report.open());
        let held = open[0].0 + open[1].0 + ledger.orphans.get();
        let in_doubt = open[0].1 + open[1].1;
        let limit = match self.scene.redelivery {
            Redelivery::UpTo(times) => times,
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
                return no(Kind::Count, format!("message {number} is there, and its call failed"));
            }
            if (returned | mine) & bit != 0 {
                return no(Kind::Count, format!("message {number} is there twice"));
            }
            if seen & bit != 0 && *deliveries < 2 {
                return no(Kind::Count, format!("message {number} was seen before, and looks new"));
            }
            if *deliveries > limit {
                return no(
                    Kind::Count,
                    format!("message {number} comes for the {deliveries}th time"),
                );
            }
            again += u64::from(*deliveries > 1);
            mine |= bit;
            let wrong = |before: &Got| {
                let same_sender = before.number / 16 == number / 16;
                let late = before.place > *place || same_sender && before.number > *number;
                // Those that a dead one had in hand may come later.
                let new = before.deliveries == 1 && *deliveries == 1;
                before.place == *place || new && late
            };
            if self.got[..i].iter().any(wrong) {
                return no(Kind::Wrong, format!("message {number} is out of order"));
            }
        }
        if again > held {
            return no(Kind::Count, format!("{again} messages again; {held} were in hand"));
        }
        let sent = (0..SURVIVOR).filter(|n| ledger.sent(*n).1);
        let lost: Vec<u64> = sent.filter(|n| (returned | mine) & 1 << n == 0).collect();
        let given_up = self.given_up(held)?;
        if lost.len() as u64 > in_doubt + given_up {
            return no(
                Kind::Count,
                format!("{lost:?} are lost; {in_doubt} are in doubt, {given_up} were given up"),
            );
        }
        let stays = self.got.iter().any(|got| got.number < SURVIVOR);
        if board.peer.get() == peer::DISCONNECTED && self.scene.side == Side::Sender && stays {
            return no(Kind::Told, "the receiver was told of the end before it had all");
        }
        Ok(())
    }

    /// Messages that the dead had in hand too often, as the channel counts them.
    fn given_up(&self, held: u64) -> Result<u64, Violation> {
        let Some(rx) = &self.rx else { return Ok(0) };
        let stat = rx.stat().or_else(|e| no(Kind::Broken, format!("stat: {e}")))?;
        let (dropped, poisoned) = (stat.dropped, stat.poisoned);
        let right = match self.scene.redelivery {
            // No case has so many deaths in a row.
            Redelivery::UpTo(16) => dropped + poisoned == 0,
            Redelivery::UpTo(_) => dropped == 0 && poisoned <= held,
            _ => poisoned == 0 && dropped <= held,
        };
        match right {
            true => Ok(dropped + poisoned),
            false => no(
                Kind::Count,
                format!("{dropped} dropped, {poisoned} set aside; {held} were in hand"),
            ),
        }
    }
}

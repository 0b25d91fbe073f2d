//! What must hold when the victim removed a channel, or was its last member.

use sysvring_support::raw_ipc;

use crate::steps::common_checks::{nothing_left, notified_of_removal, remove_again};
use crate::steps::handle::Side;
use crate::steps::peer::Peer;
use crate::steps::scenario::Before;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Violation, no};

impl Survivor<'_> {
    /// Checks that nothing of the old channel exists.
    pub fn new_channel(&mut self) -> Result<(), Violation> {
        for side in [Side::Sender, Side::Receiver] {
            self.open(side)?;
        }
        let (tx, rx) = self.both();
        let at = (tx.position().unwrap_or(0), rx.position().unwrap_or(0), rx.len());
        if at != (0, 0, 0) {
            return no(Kind::Unusable, format!("a new channel is at {at:?}"));
        }
        self.usable()?;
        self.remove()
    }

    /// Checks that one call removes what the dead left, and nothing else.
    pub fn reap(&mut self) -> Result<(), Violation> {
        if let Err(error) = sysvring::reap() {
            return no(Kind::Leaked, format!("reaping: {error}"));
        }
        match self.scenario.before {
            Before::Leftovers => self.channel(None),
            _ => Ok(()),
        }
    }

    /// Checks a channel that the victim was removing, by opening it.
    pub fn removed(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        self.open(self.scenario.side)?;
        if raw_ipc::segment_of(self.scenario.key) != Some(self.scenario.segment) {
            notified_of_removal(self.scenario, peer)?;
            return self.new_channel();
        }
        // The victim did not get far: the channel is unchanged.
        match peer {
            Some(_) => self.removed_again(peer),
            None => self.channel(None),
        }
    }

    /// Checks a channel that the victim was removing, by removing it again.
    pub fn removed_again(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        remove_again(self.scenario)?;
        notified_of_removal(self.scenario, peer)?;
        (self.tx, self.rx) = (None, None);
        nothing_left(self.before, self.scenario.has_queues)?;
        self.new_channel()
    }
}

//! What must hold when the victim removed an MPMC channel, or was its last member.

use crate::steps::common_checks::{nothing_left, remove_again, told_of_removal};
use crate::steps::kernel::{self, Side};
use crate::steps::many::verify::Survivor;
use crate::steps::peer::Peer;
use crate::steps::violation::{Kind, Violation, no};

impl Survivor<'_> {
    /// Checks that one call removes what the dead left.
    pub fn reap(&self) -> Result<(), Violation> {
        match sysvring::reap() {
            Ok(_) => Ok(()),
            Err(error) => no(Kind::Left, format!("reaping: {error}")),
        }
    }

    /// Checks a channel that the victim was removing, by opening it.
    pub fn removed(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        self.open(self.scene.side)?;
        if kernel::segment(self.scene.key) != Some(self.scene.segment) {
            told_of_removal(self.scene, peer)?;
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
        remove_again(self.scene)?;
        told_of_removal(self.scene, peer)?;
        (self.tx, self.rx) = (None, None);
        nothing_left(self.before)?;
        self.new_channel()
    }

    /// Checks that nothing of the old channel exists.
    fn new_channel(&mut self) -> Result<(), Violation> {
        for side in [Side::Sender, Side::Receiver] {
            self.open(side)?;
        }
        let depth = self.rx.as_ref().map_or(0, |rx| rx.len());
        if depth != 0 {
            return no(Kind::Broken, format!("a new channel holds {depth} messages"));
        }
        self.usable()?;
        self.remove()
    }
}

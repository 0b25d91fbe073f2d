//! Operations on MPMC channels.

mod life;
mod policies;
mod receiving;
mod repairing;
mod sending;

use super::{End, Hands, OPERATION, Operation, find_in, text};
use crate::steps::many::open;
use crate::steps::scenario::{Flavor, Scene};

/// The defaults for operations on an existing MPMC channel.
pub const OF_MANY: Operation = Operation { flavor: Flavor::Many, ..OPERATION };

pub(super) fn operations() -> Vec<Operation> {
    let mut all = sending::operations();
    all.extend(receiving::operations());
    all.extend(repairing::operations());
    all.extend(life::operations());
    all.extend(policies::operations());
    all
}

/// In half of the states, survivors do not get the victim's seat: they check whether its holder is
/// dead when they encounter what it left. In the others, its next holder cleans up.
fn seated<H: sysvring::Handle>(scene: &Scene) -> H {
    let apart = scene.state.base != 0;
    let _company: Vec<H> = (0..if apart { 2 } else { 0 }).map(|_| open(scene)).collect();
    open(scene)
}

fn sender(scene: &Scene) -> End {
    End::ManySender(seated(scene))
}

fn receiver(scene: &Scene) -> End {
    End::ManyReceiver(seated(scene))
}

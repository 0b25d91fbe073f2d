//! Freeing the seats of members that left without the permission to say so to the kernel
//! (`liveness/resignation.rs`).

use crate::doorbell::Bells;
use crate::flavor::Flavor;
use crate::liveness::{ChannelSemaphores, Resigned};
use crate::sysv;
use crate::wait::Table;

/// Returns whether something of this member is left to be given back. If not, this is the last time
/// that anybody asks.
pub(crate) fn is_pending(
    resigned: Resigned,
    table: Table<'_>,
    flavor: Flavor,
    members: &ChannelSemaphores,
) -> sysv::Result<bool> {
    let is_pending = resigned.is_pending(flavor, members)?;
    if !is_pending {
        table.settle(resigned);
    }
    Ok(is_pending)
}

/// Frees the seats of these members, and wakes those whom that concerns. The caller holds the
/// lifecycle semaphore, and took it before it read the waiting table.
pub(crate) fn vacate(
    resigned: impl Iterator<Item = Resigned>,
    table: Table<'_>,
    flavor: Flavor,
    members: &ChannelSemaphores,
    bells: &Bells<'_>,
) -> sysv::Result<()> {
    for resigned in resigned {
        if resigned.vacate(flavor, members)? {
            members.announce_vacated(flavor, resigned.seat.side)?;
            // An armed member that looked while another process vacated the seat found it taken,
            // and no slice makes it look again.
            bells.ring_all();
        }
        table.settle(resigned);
    }
    Ok(())
}

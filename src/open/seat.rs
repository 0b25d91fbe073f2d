//! From a seat that the semaphores gave this process to an attachment, and which seat to ask for.

use super::{Finished, Opening, Stop, Try};
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::liveness::{ChannelSemaphores, Seated, Standing};
use crate::role::Side;
use crate::segment;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::{Ordering::SeqCst, fence};
use crate::sysv::Errno;

/// The state of the channel before a seat was taken.
pub(super) struct Before {
    /// The number of joins of the other side so far, if it had no member: from then on a peer that
    /// joins meets us, and may leave again before we check.
    unmet: Option<u32>,
    /// The incarnations of the last holders of the seats.
    incarnations: Vec<u32>,
}

impl Opening<'_> {
    /// Records the state of the channel before the seat is taken.
    pub(super) fn before(&self, members: &ChannelSemaphores, found: &Finished) -> Try<Before> {
        let header = segment::header(&found.mapping);
        let parking = match self.side.other() {
            Side::Senders => &header.senders,
            Side::Receivers => &header.receivers,
        };
        let joins = parking.joins.load(Relaxed);
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        let incarnations = table.incarnations();
        match members.is_there(self.side.other()) {
            Ok(there) => Ok(Before { unmet: (!there).then_some(joins), incarnations }),
            Err(errno) => Err(self.stop_on(members.set, "semctl(GETVAL)", errno)),
        }
    }

    /// Builds the attachment of a member that has taken its seat. A failure gives the seat back.
    pub(super) fn seated(
        &self,
        members: ChannelSemaphores,
        seated: Seated,
        found: Finished,
        before: Before,
    ) -> Try<Attachment> {
        let Finished { stat, mapping, facts, .. } = found;
        if !members.is_mortal(seated.seat) {
            let _ = members.withdraw(facts.flavor, seated);
            return Err(Error::SemUndoUnsupported { channel: self.channel.clone() }.into());
        }
        let flavor = facts.flavor;
        // A member that cannot ask for this could not leave either. A seat that is lost by now is
        // noticed below.
        if let Err(errno) = members.is_own(seated.seat) {
            let _ = members.withdraw(flavor, seated);
            return Err(self.stop_on(members.set, "semctl(GETPID)", errno));
        }
        // Nothing that belongs to the seat is written to the segment before this point: the seat
        // may already belong to another process, by another set (`create.rs`).
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&mapping, facts.geometry.seats) };
        let Some(holder) = table.sign(seated.seat, &before.incarnations) else {
            let _ = members.withdraw(flavor, seated);
            return Err(Stop::Again);
        };
        let unmet = before.unmet;
        let attachment =
            Attachment::new(members, holder, &stat, facts, mapping, unmet, self.options);
        // A process that binds the segment to another set scans the members' table after our set
        // was removed (`create.rs`): either it sees our entry, or we see here that the set is gone.
        fence(SeqCst);
        attachment.check_seat().map_err(|fault| {
            // The slots that the last holder of the seat owned are still to be recovered: the seat
            // is given back, and its entry keeps stating that its member died.
            if attachment.took_over_from_dead() {
                let _ = members.withdraw(flavor, seated);
                attachment.mark_seat_lost();
            }
            match fault {
                Fault::Removed => Stop::Again,
                // It has never been granted.
                Fault::PermissionLost => self.call("semctl").error(Errno::EACCES).into(),
                fault => fault.into(),
            }
        })?;
        // The fence above also stands between our joining and the words of armed members.
        attachment.bells().ring_all();
        Ok(attachment)
    }

    /// Returns the seats that this member may take in a broadcast channel, the best ones first: that of
    /// a dead receiver of the same label, then those of which nobody may want to be the successor.
    pub(super) fn order(&self, found: &Finished) -> Vec<u8> {
        if found.facts.flavor != Flavor::Broadcast || self.side == Side::Senders {
            return Vec::new();
        }
        let rank = |&seat: &u8| {
            let record = segment::member(&found.mapping, usize::from(seat));
            let label = segment::label(record);
            match record.state.load(Relaxed) == segment::STATE_PRESENT && !label.is_empty() {
                true if label == self.options.label => 0,
                true => 2,
                false => 1,
            }
        };
        let mut seats: Vec<u8> = (1..found.facts.geometry.seats as u8).collect();
        seats.sort_by_cached_key(rank);
        seats
    }

    pub(super) fn standing(&self) -> Standing {
        match self.options.courier {
            true => Standing::Courier,
            false => Standing::Member(self.side),
        }
    }
}

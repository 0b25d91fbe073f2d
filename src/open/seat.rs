//! From a seat that the semaphores gave this process to an attachment, and which seat to ask for.

use super::{Finished, Opening, Stop, Try};
use crate::admin::remove;
use crate::doorbell::Bells;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::vacate;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::liveness::{ChannelSemaphores, Seated, Standing};
use crate::role::Side;
use crate::segment::{self, Lifetime};
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::{Ordering::SeqCst, fence};
use crate::sysv::Errno;

/// The state of the channel before a seat was taken.
pub(super) struct Before {
    /// The number of joins of the other side so far, if it had no member: from then on a peer that
    /// joins meets us, and may leave again before we check.
    unmet: Option<u32>,
    /// The incarnations of the last holders of the seats.
    pub(super) incarnations: Vec<u32>,
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
        match members.is_there(found.facts.flavor, found.facts.geometry.seats, self.side.other()) {
            Ok(there) => Ok(Before { unmet: (!there).then_some(joins), incarnations }),
            Err(errno) => Err(self.stop_on(members.set, "semctl(GETVAL)", errno)),
        }
    }

    /// Frees the seats of members that left without the permission to say so to the kernel.
    pub(super) fn vacate(&self, members: &ChannelSemaphores, found: &Finished) -> Try<()> {
        let flavor = found.facts.flavor;
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        for resigned in table.all_resigned() {
            let is_pending = vacate::is_pending(resigned, table, flavor, members);
            if is_pending.map_err(|errno| self.stop_on(members.set, "semctl(GETVAL)", errno))? {
                members.lock(self.deadline).map_err(|errno| self.busy(members, errno))?;
                // The table is that of this segment; the set may serve another one by now, whose
                // members have the same tokens. While the semaphore is held, nobody rebinds it.
                let vacated = match members.nonce() {
                    Ok(nonce) if nonce == found.facts.nonce => self.vacate_held(members, found),
                    Ok(_) => Err(Stop::Again),
                    Err(errno) => Err(self.stop_on(members.set, "semctl(GETVAL)", errno)),
                };
                // If the set was removed, there is nothing to release.
                let _ = members.unlock();
                return vacated;
            }
        }
        Ok(())
    }

    /// The same while this process holds the lifecycle semaphore.
    pub(super) fn vacate_held(&self, members: &ChannelSemaphores, found: &Finished) -> Try<()> {
        let flavor = found.facts.flavor;
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        let bells = Bells::of(&found.mapping, found.facts.geometry.seats, *members);
        vacate::vacate(table.all_resigned(), table, flavor, members, &bells)
            .map_err(|errno| self.stop_on(members.set, "semctl(SETVAL)", errno))
    }

    /// Builds the attachment of a member that has taken its seat. A failure gives the seat back.
    pub(super) fn seated(
        &self,
        members: ChannelSemaphores,
        seated: Seated,
        found: Finished,
        before: Before,
    ) -> Try<Attachment> {
        if !members.is_mortal(seated.seat) {
            self.withdraw(members, seated, &found);
            return Err(Error::SemUndoUnsupported { channel: self.channel.clone() }.into());
        }
        // A member that cannot ask for this could not leave either. A seat that is lost by now is
        // noticed below.
        if let Err(errno) = members.is_own(seated.seat) {
            self.withdraw(members, seated, &found);
            return Err(self.stop_on(members.set, "semctl(GETPID)", errno));
        }
        // Nothing that belongs to the seat is written to the segment before this point: the seat
        // may already belong to another process, by another set (`create.rs`).
        // SAFETY: the segment is as large as its facts state.
        let table = unsafe { segment::waiting(&found.mapping, found.facts.geometry.seats) };
        let Some(holder) = table.sign(seated.seat, &before.incarnations) else {
            self.withdraw(members, seated, &found);
            return Err(Stop::Again);
        };
        let Finished { stat, mapping, facts, .. } = found;
        let unmet = before.unmet;
        let attachment =
            Attachment::new(members, holder, &stat, facts, mapping, unmet, self.options);
        // A process that binds the segment to another set scans the members' table after our set
        // was removed (`create.rs`): either it sees our entry, or we see here that the set is gone.
        fence(SeqCst);
        attachment.check_seat().map_err(|fault| {
            attachment.withdraw(seated);
            match fault {
                Fault::Removed => Stop::Again,
                // It has never been granted.
                Fault::PermissionLost => self.call("semctl").error(Errno::EACCES).into(),
                fault => fault.into(),
            }
        })?;
        attachment.announce();
        Ok(attachment)
    }

    /// Gives back a seat with which nothing was done: the channel is what it was before. An armed member
    /// that looked meanwhile found the seat taken, and so did the last member if it left.
    fn withdraw(&self, members: ChannelSemaphores, seated: Seated, found: &Finished) {
        let Finished { stat, mapping, facts, .. } = found;
        let _ = members.withdraw(facts.flavor, seated);
        Bells::of(mapping, facts.geometry.seats, members).ring_all();
        // A channel whose last member died is for the next open, with its messages.
        let is_of_the_dead =
            || stat.key != 0 && segment::has_members(mapping, facts.geometry.seats);
        if facts.lifetime == Lifetime::LastMember && !is_of_the_dead() {
            let _ = remove::remove_if_unused(members, stat.id, stat.key);
        }
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

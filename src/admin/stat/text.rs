//! The text form of a snapshot.

use core::fmt;

use super::{Role, Stat, StreamState};
use crate::error::Printable;

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamState::Open => "open",
            StreamState::Finished => "finished by a sender",
            StreamState::Ended => "ended",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        })
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        let name = Printable(name);
        writeln!(
            f,
            "channel   {name}  key {:#010x}  id {}  {:?}",
            self.key, self.id, self.lifetime
        )?;
        if self.lost_without_members {
            writeln!(f, "warning   kernel.shm_rmid_forced is 1: it is lost with its last member")?;
        }
        writeln!(
            f,
            "ring      {}{} of {} slots filled, room for {}, {} bytes a slot{}, next to receive \
             {}, next to send {}",
            if self.depth_is_exact { "" } else { "about " },
            self.depth,
            self.capacity,
            self.room,
            self.slot_size,
            if self.variable { " at most" } else { "" },
            self.head,
            self.tail,
        )?;
        write!(f, "stream    {}", self.stream)?;
        match self.lost_senders {
            0 => writeln!(f)?,
            1 => writeln!(f, ", 1 sender died without a successor")?,
            lost => writeln!(f, ", {lost} senders died without a successor")?,
        }
        writeln!(
            f,
            "delivery  redelivery {}: {} delivered again, {} rejected, {} dropped, {} discarded as \
             poison",
            self.redelivery, self.redelivered, self.rejected, self.dropped, self.poisoned,
        )?;
        if let Some(letters) = &self.dead_letter_channel {
            write!(f, "letters   {} moved to {}", self.dead_letters, Printable(letters))?;
            match self.last_dead_letter_failure {
                Some(failure) => {
                    writeln!(f, ", {} failures, last: {failure}", self.dead_letter_failures)?;
                }
                None => writeln!(f)?,
            }
        }
        if self.orphaned != 0 {
            writeln!(f, "orphaned  {} messages wait for another receiver", self.orphaned)?;
        }
        let s = &self.segment;
        writeln!(
            f,
            "segment   {} bytes, mode {:03o}, owner {}:{}, creator {}:{}, {} attached, created by \
             {}, last used by {}{}{}",
            s.size,
            s.mode,
            s.uid,
            s.gid,
            s.cuid,
            s.cgid,
            s.attached,
            s.creator_pid,
            s.last_pid,
            if s.marked_for_removal { ", removed with its last detach" } else { "" },
            if s.locked { ", locked in memory" } else { "" },
        )?;
        if let Some(set) = &self.set {
            writeln!(f, "set       id {}, {} semaphores", set.id, set.semaphores)?;
        }
        if let Some(missing) = self.missing_set {
            writeln!(f, "set       {missing}")?;
        }
        for m in &self.members {
            let state = match (m.alive, m.left) {
                (true, _) => "live",
                (false, true) => "left",
                (false, false) => "died",
            };
            write!(
                f,
                "{:<9} {} pid {} {}  {} messages, {} bytes, at {}, parked {}, woke {}",
                m.role.to_string(),
                state,
                m.pid,
                Printable(&m.label),
                m.messages,
                m.bytes,
                m.position,
                m.parks,
                m.wakes,
            )?;
            if let (Some(slots @ 1..), Some(oldest)) = (m.in_flight, m.oldest_in_flight) {
                let what = match m.role {
                    Role::Sender => "reserved",
                    Role::Receiver => "in flight",
                };
                write!(f, ", {slots} {what} from {oldest} on")?;
            }
            match m.waiting {
                0 => {}
                1 => f.write_str(", 1 thread blocked")?,
                threads => write!(f, ", {threads} threads blocked")?,
            }
            if m.armed {
                f.write_str(", waits in a set")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

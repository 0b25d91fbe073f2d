//! Which members of an MPMC channel died, each reported once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::Endpoint;
use crate::admin::stat::Role;
use crate::error::Fault;
use crate::flavor::SEATS_MAX;
use crate::layout;
use crate::protocol::Membership;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;

/// A member that ended without leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// The number of its seat.
    pub seat: u8,
    /// Whether it was a sender or a receiver.
    pub role: Role,
    /// Its pid in this process' PID namespace (0: not visible there).
    pub pid: u32,
    /// The label that it was opened with.
    pub label: String,
    /// One past the last message that it sent or acknowledged.
    pub position: u64,
    /// When it joined.
    pub joined: SystemTime,
}

/// The deaths already reported. Locked only by [`Deaths::since_last`], which is not on the hot path
/// and not for signal handlers.
#[derive(Debug)]
pub(crate) struct Deaths {
    /// For each seat the stamp of the holder whose death was reported last.
    reported: Mutex<[u64; SEATS_MAX]>,
}

impl Deaths {
    pub(crate) fn new() -> Deaths {
        Deaths { reported: Mutex::new([0; SEATS_MAX]) }
    }

    /// Returns the deaths that were not reported yet.
    pub(crate) fn since_last(&self, endpoint: &Endpoint) -> Result<Vec<Death>, Fault> {
        let seats = 0..endpoint.geometry().seats as u8;
        // Before the kernel is asked: a stamp that is read later may be that of a living successor.
        let stamps: Vec<u64> = seats.clone().map(|seat| endpoint.stamp(seat)).collect();
        let alive = endpoint.semaphore_values()?;
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deaths = Vec::new();
        for ((seat, stamp), last) in seats.zip(stamps).zip(reported.iter_mut()) {
            let is_news = stamp != 0 && stamp != *last && !alive.is_taken(seat);
            if !is_news {
                continue;
            }
            let death = endpoint.describe(seat, stamp);
            // If the seat has another holder by now, the line says nothing about the dead one. One
            // that writes there has taken the seat before.
            if stamp == endpoint.stamp(seat) && endpoint.is_dead(seat)? {
                deaths.extend(death);
                *last = stamp;
            }
        }
        Ok(deaths)
    }
}

impl Endpoint {
    fn describe(&self, seat: u8, stamp: u64) -> Option<Death> {
        let record = self.attachment.record_of(seat);
        Some(Death {
            seat,
            role: Role::of(Side::from_role_number(record.role.load(Relaxed))?),
            pid: self.pid(seat),
            label: layout::load_text(&record.label, record.label_len.load(Relaxed)),
            position: record.last.load(Relaxed).wrapping_add(1),
            joined: SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp),
        })
    }
}

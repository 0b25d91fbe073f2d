//! What happened in a channel between two snapshots of it.

use std::time::Duration;

use super::{Member, Role, Stat};
use crate::flavor::Flavor;

/// What happened in a channel between two snapshots: [`Stat::since`].
///
/// Messages, bytes, parks and wakes are per second. What should be rare is a number of events
/// in that time.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Rates {
    /// The time between the two snapshots in seconds, by the monotonic clock, which nobody sets.
    pub seconds: f64,
    /// Messages sent per second.
    ///
    /// In an MPMC channel, the members count their messages. If a member left or died in that time
    /// and its seat was taken again, its count is lost, and positions are compared instead: those
    /// that senders stepped over, because a receiver held its message for a whole lap, then count as
    /// messages.
    pub sent: f64,
    /// Messages acknowledged per second, as exact as `sent`. In an SPSC channel, messages that were
    /// given up (rejected, dropped, discarded) count too. In a broadcast channel, it is how fast the
    /// slowest receiver gets on, also because another one became the slowest.
    pub received: f64,
    /// Payload bytes sent per second. In a channel of variable length, those of a member whose seat
    /// was taken again are missing.
    pub bytes_sent: f64,
    /// Payload bytes acknowledged per second, as exact as `bytes_sent`. In a broadcast channel of
    /// variable length, those of all receivers together.
    pub bytes_received: f64,
    /// Number of redeliveries in that time.
    pub redelivered: u64,
    /// Number of messages that were dropped with their receiver in that time.
    pub dropped: u64,
    /// Number of messages that receivers rejected in that time.
    pub rejected: u64,
    /// Number of messages that were discarded as poison in that time.
    pub poisoned: u64,
    /// Number of messages that were moved to the dead-letter channel in that time.
    pub dead_letters: u64,
    /// Number of times that a message could not be moved there in that time.
    pub dead_letter_failures: u64,
    /// Number of missed wake-ups in that time.
    pub overslept: u64,
    /// Number of members that joined in that time.
    pub joined: u64,
    /// Number of members that left or died in that time, whether their seats were taken again or
    /// not; 0 if the set was removed.
    pub gone: u64,
    /// Number of those that are known to have died. The death of a member whose seat was taken again
    /// is in `gone` only.
    pub deaths: u64,
    /// The same for each member, in the order of [`Stat::members`] of the later snapshot.
    pub members: Vec<MemberRates>,
}

/// What one member did between two snapshots. If it joined in that time, this is all that it did
/// since; nothing of it is what the last member in its seat did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MemberRates {
    /// The number of its seat.
    pub seat: usize,
    /// Messages that it sent or acknowledged per second.
    pub messages: f64,
    /// Payload bytes per second.
    pub bytes: f64,
    /// How often it parked per second.
    pub parks: f64,
    /// How often it woke the other side per second.
    pub wakes: f64,
}

impl Stat {
    /// Returns what happened since an earlier snapshot. Returns `None` if that is not a snapshot of
    /// the same channel, or not an earlier one: a channel that was removed and created again under
    /// its name, and one whose set was removed and made again, is another channel.
    ///
    /// Counters may wrap around. One that went backwards, because a process wrote to the segment,
    /// counts from 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysvring::{Observer, Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// let observer = Observer::open(tx.id())?;
    /// let before = observer.stat()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// std::thread::sleep(Duration::from_millis(10));
    /// let rates = observer.stat()?.since(&before).expect("the same channel");
    /// println!("{:.0} messages/s, {:.0} bytes/s", rates.sent, rates.bytes_sent);
    /// assert_eq!((rates.sent * rates.seconds).round(), 3.0);
    /// # Ok(()) }
    /// ```
    pub fn since(&self, earlier: &Stat) -> Option<Rates> {
        let identity = |stat: &Stat| (stat.id, stat.created, stat.segment.cuid);
        let time = self.taken_at.checked_sub(earlier.taken_at).filter(|ns| *ns != 0)?;
        if identity(self) != identity(earlier) {
            return None;
        }
        let seconds = Duration::from_nanos(time).as_secs_f64();
        let work: Vec<Work> =
            self.members.iter().map(|member| Work::since(member, earlier)).collect();
        let is_complete = self.knows_all_since(earlier);
        let total = |role: Role, to: u64, from: u64| {
            let members = self.members.iter().zip(&work).filter(|(member, _)| member.role == role);
            let (messages, bytes) = members.fold((0u64, 0u64), |(messages, bytes), (_, work)| {
                (messages.saturating_add(work.messages), bytes.saturating_add(work.bytes))
            });
            // Hints may have been moved back.
            let moved = u64::try_from(to.wrapping_sub(from) as i64).unwrap_or(0);
            let messages = match self.flavor {
                Flavor::Spsc | Flavor::Broadcast => moved,
                Flavor::Mpmc if is_complete => messages,
                Flavor::Mpmc => messages.max(moved),
            };
            let bytes = match self.variable {
                true => bytes as f64,
                false => messages as f64 * self.message_size as f64,
            };
            (messages as f64 / seconds, bytes / seconds)
        };
        let (sent, bytes_sent) = total(Role::Sender, self.sent_to, earlier.sent_to);
        let (received, bytes_received) =
            total(Role::Receiver, self.received_to, earlier.received_to);
        let joined = u64::from(self.joins.wrapping_sub(earlier.joins));
        let gone = match (&self.set, &earlier.set) {
            (Some(_), Some(_)) => (earlier.living() + joined).saturating_sub(self.living()),
            _ => 0,
        };
        let is_new_death = |member: &&Member| {
            let before = member.in_snapshot(earlier);
            self.is_dead(member) && before.is_none_or(|before| !earlier.is_dead(before))
        };
        Some(Rates {
            seconds,
            sent,
            received,
            bytes_sent,
            bytes_received,
            redelivered: grown(self.redelivered, earlier.redelivered),
            dropped: grown(self.dropped, earlier.dropped),
            rejected: grown(self.rejected, earlier.rejected),
            poisoned: grown(self.poisoned, earlier.poisoned),
            dead_letters: grown(self.dead_letters, earlier.dead_letters),
            dead_letter_failures: grown(self.dead_letter_failures, earlier.dead_letter_failures),
            overslept: grown(self.overslept, earlier.overslept),
            joined,
            gone,
            deaths: self.members.iter().filter(is_new_death).count() as u64,
            members: work.iter().map(|work| work.rates(seconds)).collect(),
        })
    }

    /// Returns whether the members' table shows everything that members did since: each member that
    /// joined is still in its seat, and took no seat of a member that was alive.
    fn knows_all_since(&self, earlier: &Stat) -> bool {
        let new = || self.members.iter().filter(|member| member.in_snapshot(earlier).is_none());
        let was_taken = |member: &Member| {
            earlier.members.iter().any(|before| before.seat == member.seat && before.alive)
        };
        self.joins.wrapping_sub(earlier.joins) as usize == new().count() && !new().any(was_taken)
    }

    fn living(&self) -> u64 {
        self.members.iter().filter(|member| member.alive).count() as u64
    }
}

impl Member {
    /// Returns the same member in another snapshot; `None` if its seat had another holder then. No
    /// two holders of a seat have the same time of joining.
    fn in_snapshot<'a>(&self, other: &'a Stat) -> Option<&'a Member> {
        let holder = |member: &Member| (member.seat, member.role, member.joined);
        other.members.iter().find(|member| holder(member) == holder(self))
    }
}

/// What a member did between two snapshots.
struct Work {
    seat: usize,
    messages: u64,
    bytes: u64,
    parks: u64,
    wakes: u64,
}

impl Work {
    fn since(member: &Member, earlier: &Stat) -> Work {
        let before = member.in_snapshot(earlier);
        let counted = |counter: fn(&Member) -> u64| match before {
            Some(before) => grown(counter(member), counter(before)),
            None => counter(member),
        };
        Work {
            seat: member.seat,
            messages: counted(|member| member.messages),
            bytes: counted(|member| member.bytes),
            parks: counted(|member| member.parks),
            wakes: counted(|member| member.wakes),
        }
    }

    fn rates(&self, seconds: f64) -> MemberRates {
        let per_second = |count: u64| count as f64 / seconds;
        MemberRates {
            seat: self.seat,
            messages: per_second(self.messages),
            bytes: per_second(self.bytes),
            parks: per_second(self.parks),
            wakes: per_second(self.wakes),
        }
    }
}

/// Returns how much a counter grew, which may have wrapped around. If it went backwards, it started
/// again.
fn grown(now: u64, before: u64) -> u64 {
    let grown = now.wrapping_sub(before);
    if grown <= u64::MAX / 2 { grown } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_wrap_and_start_again() {
        for (now, before, expected) in [
            (7, 7, 0),
            (9, 7, 2),
            (3, u64::MAX - 1, 5),
            (5, 1_000, 5),
            (0, 1_000, 0),
            (u64::MAX / 2, 0, u64::MAX / 2),
        ] {
            assert_eq!(grown(now, before), expected, "{now} after {before}");
        }
    }
}

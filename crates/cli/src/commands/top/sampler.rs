//! Two looks at every channel, and what happened in between.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use sysvring::{ChannelId, Member, Role, Stat};

use crate::failure::Failure;
use crate::{channel, members};

/// A channel, as it is and as it changes.
#[derive(Clone, Debug)]
pub struct Sample {
    pub stat: Stat,
    /// How to name it.
    pub name: String,
    sent: f64,
    received: f64,
    bytes: f64,
    pub members: Vec<MemberSample>,
}

impl Sample {
    /// Returns the messages sent a second; 0 at the first look.
    pub fn sent(&self) -> f64 {
        self.sent
    }

    /// Returns the messages received a second.
    pub fn received(&self) -> f64 {
        self.received
    }

    /// Returns the bytes received a second.
    pub fn bytes(&self) -> f64 {
        self.bytes
    }
}

/// A member, as it is and as it changes.
#[derive(Clone, Debug)]
pub struct MemberSample {
    pub member: Member,
    pub messages: f64,
    pub parks: f64,
    /// How long it has held its oldest message, at least.
    pub held: Option<Duration>,
}

/// Something that was seen to happen.
#[derive(Clone, Debug)]
pub struct Death {
    pub time: SystemTime,
    pub text: String,
}

/// What one look brought.
#[derive(Debug, Default)]
pub struct Look {
    pub samples: Vec<Sample>,
    pub deaths: Vec<Death>,
}

/// The last look, and since when messages have been held.
#[derive(Debug, Default)]
pub struct Sampler {
    last: HashMap<ChannelId, Stat>,
    /// The oldest message of a seat, and when it was first seen there.
    held: HashMap<(ChannelId, usize), (u64, SystemTime)>,
}

impl Sampler {
    /// Looks at all channels.
    pub fn look(&mut self) -> Result<Look, Failure> {
        let stats = sysvring::list()?;
        let mut look = Look::default();
        for stat in &stats {
            look.samples.push(self.sample(stat, &mut look.deaths));
        }
        self.last = stats.into_iter().map(|stat| (stat.id, stat)).collect();
        self.held.retain(|(id, _), _| self.last.contains_key(id));
        Ok(look)
    }

    fn sample(&mut self, stat: &Stat, deaths: &mut Vec<Death>) -> Sample {
        let name = channel::name_of(stat);
        let last = self.last.get(&stat.id).cloned();
        let seconds = last.as_ref().map_or(0.0, |last| {
            stat.taken.duration_since(last.taken).unwrap_or_default().as_secs_f64()
        });
        let rate = |now: u64, then: u64| match seconds {
            0.0 => 0.0,
            seconds => now.saturating_sub(then) as f64 / seconds,
        };
        let mut sample = Sample {
            stat: stat.clone(),
            name,
            sent: 0.0,
            received: 0.0,
            bytes: 0.0,
            members: Vec::new(),
        };
        for member in &stat.members {
            let before = last.as_ref().and_then(|last| same(&last.members, member));
            let (messages, bytes, parks) =
                before.map_or((0, 0, 0), |before| (before.messages, before.bytes, before.parks));
            // Of a member that is new, all that it did was since the last look.
            let messages = rate(member.messages, messages);
            match member.role {
                Role::Sender => sample.sent += messages,
                _ => {
                    sample.received += messages;
                    sample.bytes += rate(member.bytes, bytes);
                }
            }
            if let Some(last) = &last
                && !member.alive
                && !member.left
                && before.is_none_or(|before| before.alive)
                && last.taken < stat.taken
            {
                deaths.push(Death { time: stat.taken, text: death(&sample.name, member) });
            }
            let held = self.held_for(stat, member);
            let parks = rate(member.parks, parks);
            sample.members.push(MemberSample { member: member.clone(), messages, parks, held });
        }
        sample
    }

    fn held_for(&mut self, stat: &Stat, member: &Member) -> Option<Duration> {
        let key = (stat.id, member.seat);
        let Some(oldest) = member.oldest_in_flight else {
            self.held.remove(&key);
            return None;
        };
        let (position, since) = self.held.entry(key).or_insert((oldest, stat.taken));
        if *position != oldest {
            (*position, *since) = (oldest, stat.taken);
        }
        Some(stat.taken.duration_since(*since).unwrap_or_default())
    }
}

/// Returns the member that it was at the last look.
fn same<'a>(members: &'a [Member], of: &Member) -> Option<&'a Member> {
    members.iter().find(|m| m.seat == of.seat && m.joined == of.joined && m.role == of.role)
}

fn death(channel: &str, member: &Member) -> String {
    let holding = match member.in_flight {
        Some(n @ 1..) => format!(" with {n} messages in flight"),
        _ => String::new(),
    };
    format!("process {}, a {} of {channel}, died{holding}", member.pid, members::role(member.role))
}

//! Two looks at every channel, and what happened in between.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use sysvring::{ChannelId, Member, MemberRates, Rates, Stat};

use crate::failure::Failure;
use crate::{channel, members, refused, units};

/// A channel, as it is and as it changes.
#[derive(Clone, Debug)]
pub struct Sample {
    pub stat: Stat,
    /// How to name it.
    pub name: String,
    /// What happened since the last look; none at the first.
    rates: Option<Rates>,
    pub members: Vec<MemberSample>,
}

impl Sample {
    /// Returns the messages sent a second; 0 at the first look.
    pub fn sent(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, |rates| rates.sent)
    }

    /// Returns the messages received a second.
    pub fn received(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, |rates| rates.received)
    }

    /// Returns the bytes received a second.
    pub fn bytes(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, |rates| rates.bytes_received)
    }
}

/// A member, as it is and as it changes.
#[derive(Clone, Debug)]
pub struct MemberSample {
    pub member: Member,
    rates: Option<MemberRates>,
    /// How long it has held its oldest message, at least.
    pub held: Option<Duration>,
    /// Whether no receiver of its broadcast channel is further behind.
    pub is_slowest: bool,
}

impl MemberSample {
    /// Returns the messages that it sent or acknowledged a second.
    pub fn messages(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, |rates| rates.messages)
    }

    /// Returns how often it blocked a second.
    pub fn parks(&self) -> f64 {
        self.rates.as_ref().map_or(0.0, |rates| rates.parks)
    }
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
    /// What could not be looked at, as a sandbox refused it.
    pub unseen: Option<String>,
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
        let mut look = Look { unseen: refused::unseen(&stats), ..Look::default() };
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
        let rates = last.as_ref().and_then(|last| stat.since(last));
        let mut samples = Vec::new();
        let max_lag = stat.members.iter().filter_map(|member| member.lag).max();
        for (n, member) in stat.members.iter().enumerate() {
            let before = last.as_ref().and_then(|last| same(&last.members, member));
            let is_dead = !member.alive && !member.left;
            if rates.is_some() && is_dead && before.is_none_or(|before| before.alive) {
                deaths.push(Death { time: stat.taken, text: death(&name, member) });
            }
            samples.push(MemberSample {
                member: member.clone(),
                rates: rates.as_ref().and_then(|rates| rates.members.get(n).copied()),
                held: self.held_for(stat, member),
                is_slowest: member.lag.is_some() && member.lag == max_lag,
            });
        }
        Sample { stat: stat.clone(), name, rates, members: samples }
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
        Some(n @ 1..) => {
            format!(" with {} in flight", units::counted(n, "message", "messages"))
        }
        _ => String::new(),
    };
    let (process, role) = (members::process(member), members::role(member.role));
    format!("{process}, a {role} of {channel}, died{holding}")
}

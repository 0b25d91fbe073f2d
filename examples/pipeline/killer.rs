//! Whom to kill, and when: to show that it makes no difference.

use std::hash::{BuildHasher, RandomState};

use sysvring::{Observer, Role};

use crate::Arguments;
use crate::messages::Lines;
use crate::progress;

/// Kills that are spread over the job.
pub struct Killer {
    wanted: u32,
    killed: u32,
    /// Blocks of the whole job, about.
    blocks: u64,
}

impl Killer {
    pub fn new(arguments: &Arguments) -> Killer {
        let wanted = arguments.kill;
        let bytes = if wanted == 0 { 0 } else { progress::size(arguments.path()) };
        let block = arguments.slot_size as u64 - Lines::HEADER as u64;
        Killer { wanted, killed: 0, blocks: bytes / block }
    }

    /// Whether nobody is to be killed any more.
    pub fn is_done(&self) -> bool {
        self.killed == self.wanted
    }

    /// The process of a random worker, if it is time. Kill number k comes when k parts of the job are
    /// done, of one more than there are kills, and when all workers are at work: nobody waits for it.
    pub fn victim(&self, arguments: &Arguments, lines: &Observer) -> Option<u32> {
        if self.is_done() {
            return None;
        }
        let stat = lines.stat().ok()?;
        let due = u128::from(self.blocks) * u128::from(self.killed + 1);
        if u128::from(stat.head) * u128::from(self.wanted + 1) < due {
            return None;
        }
        let at_work = |role| stat.members.iter().filter(move |m| m.role == role && m.alive);
        let workers: Vec<u32> = at_work(Role::Receiver).map(|member| member.pid).collect();
        // Without a reader the job is over.
        let all = workers.len() == usize::from(arguments.workers);
        if !all || at_work(Role::Sender).count() == 0 {
            return None;
        }
        Some(workers[RandomState::new().hash_one(self.killed) as usize % workers.len()])
    }

    /// One was killed.
    pub fn count(&mut self) {
        self.killed += 1;
    }

    /// What became of it; nothing where nobody was to be killed.
    pub fn report(&self) -> Option<String> {
        let Killer { wanted, killed, .. } = self;
        let how = match killed < wanted {
            true => ": the job was over too soon for more",
            false => ", and replaced them",
        };
        (*wanted != 0).then(|| format!("killed {killed} of {wanted} workers at work{how}"))
    }
}

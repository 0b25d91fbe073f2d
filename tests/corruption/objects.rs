//! The objects of a channel to change, and neighbours that no process may change.

use std::time::Duration;

use sysvring_support::raw_ipc::{self, Key, Segment};
use sysvring_support::scheduler_noise;
use sysvring_support::shared_counters::now_ns;

/// A channel to change, and its state after creation.
#[derive(Debug)]
pub struct Sample {
    pub segment: Segment,
    set: i32,
    words: Vec<u64>,
    values: Vec<u16>,
}

impl Sample {
    /// Records the current state of the channel with this key.
    pub fn of(key: &Key) -> Sample {
        let set = key.set().expect("a set");
        let segment = Segment::attach(key.segment().expect("a segment")).expect("shmat");
        Sample { words: segment.words(), values: raw_ipc::values(set), segment, set }
    }

    /// Restores the state. Returns false if the key has another channel by now.
    pub fn restore(&self, key: &Key) -> bool {
        if (key.segment(), key.set()) != (Some(self.segment.id), Some(self.set)) {
            return false;
        }
        self.restore_memory();
        raw_ipc::set_values(self.set, &self.values).expect("SETALL");
        true
    }

    pub fn restore_memory(&self) {
        self.segment.restore(&self.words);
    }
}

/// Another channel, and a segment and a set that do not belong to a channel.
#[derive(Debug)]
pub struct Neighbours {
    channel: Key,
    foreign: Key,
    before: String,
}

impl Neighbours {
    pub fn new() -> Neighbours {
        let (channel, foreign) = (Key::new(), Key::new());
        drop(channel.options().create::<sysvring::spsc::Sender<u64>>().expect("a neighbour"));
        foreign.make_segment(8192, 0o600);
        foreign.make_set(10, 0o600);
        let mut neighbours = Neighbours { channel, foreign, before: String::new() };
        neighbours.before = neighbours.state();
        neighbours
    }

    /// Returns everything that is visible of them.
    fn state(&self) -> String {
        let state = |key: &Key| {
            let (segment, set) = (key.segment().expect("there"), key.set().expect("there"));
            (segment, set, raw_ipc::bytes(segment), raw_ipc::values(set))
        };
        format!("{:?} {:?}", state(&self.channel), state(&self.foreign))
    }

    /// Fails if one of them was changed.
    pub fn must_be_untouched(&self) {
        assert!(self.state() == self.before, "a neighbour was changed");
    }
}

/// Returns whether something that began at `since`, on the monotonic clock, and should have taken
/// `time`, is late by more than the host excuses.
pub fn is_late(time: Duration, since: u64) -> bool {
    let took = Duration::from_nanos(now_ns() - since);
    took > time && took > time + scheduler_noise::allowance(since)
}

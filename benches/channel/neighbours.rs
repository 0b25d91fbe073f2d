//! Busy loops that want the processors which the measured processes run on.

use std::io;

use sysvring_support::worker::{Orders, Worker, hear, say};

use crate::pair;

/// What the measured processes share their processors with.
#[derive(Clone, Copy)]
pub struct Neighbours {
    pub name: &'static str,
    /// Busy loops on each of the processors.
    loops: usize,
    /// How nice they are.
    theirs: i32,
    /// How nice the measured processes are.
    pub ours: i32,
}

pub const QUIET: Neighbours = Neighbours { name: "quiet", loops: 0, theirs: 0, ours: 0 };
pub const ONE: Neighbours = Neighbours { name: "1 loop", loops: 1, theirs: 0, ours: 0 };
pub const THREE: Neighbours = Neighbours { name: "3 loops", loops: 3, theirs: 0, ours: 0 };
/// Processes of nice 15 beside a loop that is not.
pub const NICED: Neighbours = Neighbours { name: "nice 15, 1 loop", loops: 1, theirs: 0, ours: 15 };
/// The other way round.
pub const NICE: Neighbours =
    Neighbours { name: "1 loop of nice 15", loops: 1, theirs: 15, ours: 0 };

impl Neighbours {
    pub fn is_about_nice(self) -> bool {
        self.theirs != self.ours
    }

    /// Starts them; they end when they are dropped.
    pub fn start(self, cores: &[usize]) -> io::Result<Vec<Worker>> {
        let mut started = Vec::new();
        for &core in cores {
            for _ in 0..self.loops {
                let mut worker = pair::worker(core, &[&"neighbour", &self.theirs])?;
                worker.hear()?;
                worker.tell("go")?;
                started.push(worker);
            }
        }
        Ok(started)
    }
}

/// A busy loop.
pub fn worker(orders: &mut Orders) {
    be_nice(orders.next());
    say("ready");
    hear();
    loop {
        std::hint::spin_loop();
    }
}

/// Makes this thread, and those that it starts, so nice.
pub fn be_nice(nice: i32) {
    // SAFETY: numbers only.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    assert!(set == 0 || nice == 0, "setpriority: {}", io::Error::last_os_error());
}

//! Busy loops that compete for the processors of the measured processes.

use std::io;

use sysvring_support::worker::{Args, Worker, print_line, read_line};

use crate::transport::ends;

/// The load with which the measured processes share their processors.
#[derive(Clone, Copy)]
pub struct Neighbours {
    pub name: &'static str,
    /// Busy loops per processor.
    loops: usize,
    /// Nice value of the busy loops.
    theirs: i32,
    /// Nice value of the measured processes.
    pub ours: i32,
}

pub const QUIET: Neighbours = Neighbours { name: "quiet", loops: 0, theirs: 0, ours: 0 };
pub const ONE: Neighbours = Neighbours { name: "1 loop", loops: 1, theirs: 0, ours: 0 };
pub const THREE: Neighbours = Neighbours { name: "3 loops", loops: 3, theirs: 0, ours: 0 };
/// The measured processes have nice 15, the busy loop has nice 0.
pub const NICED: Neighbours = Neighbours { name: "nice 15, 1 loop", loops: 1, theirs: 0, ours: 15 };
/// The busy loop has nice 15, the measured processes have nice 0.
pub const NICE: Neighbours =
    Neighbours { name: "1 loop of nice 15", loops: 1, theirs: 15, ours: 0 };

impl Neighbours {
    pub fn is_about_nice(self) -> bool {
        self.theirs != self.ours
    }

    /// Starts the busy loops, which stop when the result is dropped.
    pub fn start(self, cores: &[usize]) -> io::Result<Vec<Worker>> {
        let mut started = Vec::new();
        for &core in cores {
            for _ in 0..self.loops {
                let mut worker = ends::worker(core, &[&"neighbour", &self.theirs])?;
                worker.read_line()?;
                worker.write_line("go")?;
                started.push(worker);
            }
        }
        Ok(started)
    }
}

/// Runs a busy loop.
pub fn worker(args: &mut Args) {
    be_nice(args.next());
    print_line("ready");
    read_line();
    loop {
        std::hint::spin_loop();
    }
}

/// Sets the nice value of this thread, which threads that it starts inherit.
pub fn be_nice(nice: i32) {
    // SAFETY: numbers only.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    assert!(set == 0 || nice == 0, "setpriority: {}", io::Error::last_os_error());
}

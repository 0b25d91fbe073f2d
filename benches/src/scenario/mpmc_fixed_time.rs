//! MPMC throughput over a fixed duration, stalls included.
//!
//! A turn of a fixed count ends with its last message, which may never arrive if a preempted member
//! blocks all others. Here new processes run until they are killed. Each receiver counts in a cache
//! line of its own, and the parent reads all counts and the clock twice, so a stall lowers the
//! throughput by its whole length.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use sysvring_support::worker::{Args, Worker, print_line, read_line};

use crate::clock;
use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::table::Series;
use crate::transport::baseline::{CachePadded, Segment};
use crate::transport::{Transport, ends};
use crate::workload::mpmc_workload::MpmcWorkload;

/// A topology: the number of senders and of receivers.
#[derive(Clone, Copy)]
pub struct Topology {
    pub senders: usize,
    pub receivers: usize,
}

/// The topologies measured.
pub const TOPOLOGIES: [Topology; 5] = [
    Topology { senders: 1, receivers: 1 },
    Topology { senders: 2, receivers: 1 },
    Topology { senders: 1, receivers: 2 },
    Topology { senders: 4, receivers: 4 },
    Topology { senders: 8, receivers: 8 },
];

impl Topology {
    /// Returns its name: senders x receivers.
    pub fn name(self) -> String {
        format!("{}x{}", self.senders, self.receivers)
    }

    /// Returns whether members share processors.
    pub fn is_crowd(self) -> bool {
        self.senders + self.receivers > 2
    }

    /// Returns the processor of a member: senders run on one and receivers on the other; with more
    /// than two members, both kinds alternate between both.
    pub fn core(self, cores: (usize, usize), sends: bool, index: usize) -> usize {
        match sends == (self.is_crowd() && index % 2 == 1) {
            true => cores.1,
            false => cores.0,
        }
    }
}

/// A comparison of MPMC transports, with messages of 8 B.
pub struct FixedTime<'a> {
    pub transports: &'a [Transport],
    pub topology: Topology,
    pub goals: &'a [Goal<Transport>],
}

impl FixedTime<'_> {
    /// Returns the throughput of each transport in Mmsg/s, one figure per round.
    pub fn run(&self, cores: &Cores, effort: Effort) -> io::Result<Results<Transport>> {
        let FixedTime { transports, topology, goals } = *self;
        let rounds = effort.rounds();
        let span = Duration::from_millis(effort.pick(50, 200, 400));
        let mut rates = vec![Series::default(); transports.len()];
        for round in 0..rounds {
            for i in rotated(transports.len(), round) {
                rates[i].push(self.once(transports[i], cores, span)?);
            }
            // Removes what the killed members left.
            sysvring::reap().map_err(io::Error::other)?;
        }
        let results = Results::of_series(Kind::Rate, transports, rates);
        let title = format!(
            "MPMC {} (senders x receivers) on two processors, 8 B, fixed duration {} ms: Mmsg/s; \
             {rounds} rounds",
            topology.name(),
            span.as_millis()
        );
        results.print_rates(title, goals);
        Ok(results)
    }

    /// Runs new processes for one measurement.
    fn once(&self, transport: Transport, cores: &Cores, span: Duration) -> io::Result<f64> {
        let counts = Counts::create(self.topology.receivers);
        let mut team = self.start(transport, cores, &counts)?;
        for worker in &mut team {
            worker.write_line("go")?;
        }
        sleep(span / 4);
        let (before, start) = counts.read();
        sleep(span);
        let (after, end) = counts.read();
        // Stops all before the kills, or the survivors would detect the deaths.
        for worker in &team {
            worker.signal(libc::SIGSTOP);
        }
        for worker in &mut team {
            worker.kill()?;
        }
        Ok((after - before) as f64 / (end - start) as f64 * 1e3)
    }

    /// Starts the senders, then the receivers. The first sender creates what the others attach to.
    fn start(
        &self,
        transport: Transport,
        cores: &Cores,
        counts: &Counts,
    ) -> io::Result<Vec<Worker>> {
        let Topology { senders, receivers } = self.topology;
        let mut team = Vec::new();
        let mut address = String::from(NONE);
        let (a, b) = cores.apart;
        let members = (0..senders).map(|i| (true, i)).chain((0..receivers).map(|i| (false, i)));
        for (sends, index) in members {
            let args: [&dyn ToString; 10] = [
                &"mpmc-member",
                &sends,
                &index,
                &transport,
                &senders,
                &receivers,
                &a,
                &b,
                &counts.0.id(),
                &address,
            ];
            let core = self.topology.core(cores.apart, sends, index);
            let mut worker = ends::worker(core, &args)?;
            let said = worker.read_line()?;
            if team.is_empty() {
                address = said;
            }
            team.push(worker);
        }
        Ok(team)
    }
}

/// A counter per receiver.
pub struct Counts(Segment, usize);

impl Counts {
    fn create(n: usize) -> Counts {
        Counts(Segment::create(n * size_of::<CachePadded>()), n)
    }

    fn all(&self) -> &[CachePadded] {
        // SAFETY: the segment was created for that many counters, is zero at first, page-aligned,
        // and lives as long as `self`; they are only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.0.start().cast::<CachePadded>(), self.1) }
    }

    /// Returns the counter of one receiver.
    pub fn of(&self, index: usize) -> &AtomicU64 {
        &self.all()[index].0
    }

    /// Returns their sum and the time, read together.
    fn read(&self) -> (u64, u64) {
        loop {
            let before = clock::now();
            let sum = self.all().iter().map(|count| count.0.load(Relaxed)).sum();
            let after = clock::now();
            // Otherwise this process was preempted in between.
            if after - before < 20_000 {
                return (sum, after);
            }
        }
    }
}

/// The address before the first sender created the queue.
const NONE: &str = "none";

/// The arguments of a member.
#[cfg_attr(not(feature = "competitors"), allow(dead_code, reason = "for members in one process"))]
pub struct Task {
    pub sends: bool,
    /// Its index among the senders or receivers.
    pub index: usize,
    pub transport: Transport,
    pub topology: Topology,
    pub cores: (usize, usize),
    pub counts: Counts,
    /// Where to attach, or `None` for the member that creates the queue.
    pub address: Option<String>,
}

impl Task {
    pub fn from_args(args: &mut Args) -> Task {
        let (sends, index, transport) = (args.next(), args.next(), args.next());
        let topology = Topology { senders: args.next(), receivers: args.next() };
        let cores = (args.next(), args.next());
        let counts = Counts(Segment::attach(args.next()), topology.receivers);
        let address = Some(args.next::<String>()).filter(|address| address != NONE);
        Task { sends, index, transport, topology, cores, counts, address }
    }
}

impl MpmcWorkload for Task {
    fn send(&self, send: impl FnMut(u64)) {
        read_line();
        send_on(self.index, send)
    }

    fn receive(&self, receive: impl FnMut() -> u64) {
        print_line("ready");
        read_line();
        receive_on(self.counts.of(self.index), receive)
    }
}

/// The first word of a message holds its sender from this bit on, and its number below.
const WHOSE: u32 = 32;

/// Sends forever.
pub fn send_on(index: usize, mut send: impl FnMut(u64)) -> ! {
    let mut next = (index as u64) << WHOSE;
    loop {
        next += 1;
        send(next);
    }
}

/// Receives forever and checks that the messages of each sender arrive in order.
pub fn receive_on(count: &AtomicU64, mut receive: impl FnMut() -> u64) -> ! {
    let mut last = [0_u64; 16];
    let mut n = 0;
    loop {
        let message = receive();
        let last = &mut last[(message >> WHOSE) as usize];
        assert!(*last < message, "{message:x} after {last:x}");
        *last = message;
        n += 1;
        count.store(n, Relaxed);
    }
}

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

use sysvring_support::worker::{Orders, Worker, hear, say};

use crate::contest::rotated;
use crate::link::Way;
use crate::machine::Cores;
use crate::pair;
use crate::table::Series;
use crate::team::Course;
use crate::verdict::{Aim, Standing, print_rates};
use crate::yardstick::{Apart, Segment};
use crate::{Extent, clock};

/// A topology: the number of senders and of receivers.
#[derive(Clone, Copy)]
pub struct Shape {
    pub senders: usize,
    pub receivers: usize,
}

/// The topologies measured.
pub const SHAPES: [Shape; 5] = [
    Shape { senders: 1, receivers: 1 },
    Shape { senders: 2, receivers: 1 },
    Shape { senders: 1, receivers: 2 },
    Shape { senders: 4, receivers: 4 },
    Shape { senders: 8, receivers: 8 },
];

impl Shape {
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
pub struct Window<'a> {
    pub ways: &'a [Way],
    pub shape: Shape,
    pub aims: &'a [Aim<Way>],
}

impl Window<'_> {
    /// Returns the throughput of each transport in Mmsg/s, one figure per round.
    pub fn run(&self, cores: &Cores, extent: Extent) -> io::Result<Vec<Series>> {
        let Window { ways, shape, aims } = *self;
        let rounds = extent.rounds();
        let span = Duration::from_millis(extent.pick(50, 200, 400));
        let mut rates = vec![Series::default(); ways.len()];
        for round in 0..rounds {
            for i in rotated(ways.len(), round) {
                rates[i].push(self.once(ways[i], cores, span)?);
            }
            // Removes what the killed members left.
            sysvring::reap().map_err(io::Error::other)?;
        }
        let relative: Vec<Series> = rates.iter().map(|series| series.over(&rates[0])).collect();
        let standing = Standing::rates(ways, &rates, &relative);
        let title = format!(
            "MPMC {} (senders x receivers) on two processors, 8 B, fixed duration {} ms: Mmsg/s; {rounds} rounds",
            shape.name(),
            span.as_millis()
        );
        print_rates(title, &standing, aims);
        Ok(rates)
    }

    /// Runs new processes for one measurement.
    fn once(&self, way: Way, cores: &Cores, span: Duration) -> io::Result<f64> {
        let counts = Counts::create(self.shape.receivers);
        let mut team = self.start(way, cores, &counts)?;
        for worker in &mut team {
            worker.tell("go")?;
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
    fn start(&self, way: Way, cores: &Cores, counts: &Counts) -> io::Result<Vec<Worker>> {
        let Shape { senders, receivers } = self.shape;
        let mut team = Vec::new();
        let mut address = String::from(NONE);
        let (a, b) = cores.apart;
        let members = (0..senders).map(|i| (true, i)).chain((0..receivers).map(|i| (false, i)));
        for (sends, index) in members {
            let orders: [&dyn ToString; 10] = [
                &"window",
                &sends,
                &index,
                &way,
                &senders,
                &receivers,
                &a,
                &b,
                &counts.0.id(),
                &address,
            ];
            let core = self.shape.core(cores.apart, sends, index);
            let mut worker = pair::worker(core, &orders)?;
            let said = worker.hear()?;
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
        Counts(Segment::create(n * size_of::<Apart>()), n)
    }

    fn all(&self) -> &[Apart] {
        // SAFETY: the segment was created for that many counters, is zero at first, page-aligned,
        // and lives as long as `self`; they are only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.0.start().cast::<Apart>(), self.1) }
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
#[allow(dead_code, reason = "members that are threads of one process need all of it")]
pub struct Task {
    pub sends: bool,
    /// Its index among the senders or receivers.
    pub index: usize,
    pub way: Way,
    pub shape: Shape,
    pub cores: (usize, usize),
    pub counts: Counts,
    /// Where to attach, or `None` for the member that creates the queue.
    pub address: Option<String>,
}

impl Task {
    pub fn hear(orders: &mut Orders) -> Task {
        let (sends, index, way) = (orders.next(), orders.next(), orders.next());
        let shape = Shape { senders: orders.next(), receivers: orders.next() };
        let cores = (orders.next(), orders.next());
        let counts = Counts(Segment::attach(orders.next()), shape.receivers);
        let address = Some(orders.next::<String>()).filter(|address| address != NONE);
        Task { sends, index, way, shape, cores, counts, address }
    }
}

impl Course for Task {
    fn send(&self, send: impl FnMut(u64)) {
        hear();
        send_on(self.index, send)
    }

    fn receive(&self, receive: impl FnMut() -> u64) {
        say("ready");
        hear();
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

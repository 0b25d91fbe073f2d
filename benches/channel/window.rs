//! How many messages a second go through a team in a window of time, whatever holds it up?
//!
//! A turn of so many messages ends when the last one does, or never where a member that is interrupted
//! holds up all others. Here new processes work on for ever; each receiver counts in a line of its
//! own, and who started them reads all counts and the clock twice. A stall counts as what it is.

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

/// How many there are of each kind.
#[derive(Clone, Copy)]
pub struct Shape {
    pub senders: usize,
    pub receivers: usize,
}

/// Those that are measured.
pub const SHAPES: [Shape; 5] = [
    Shape { senders: 1, receivers: 1 },
    Shape { senders: 2, receivers: 1 },
    Shape { senders: 1, receivers: 2 },
    Shape { senders: 4, receivers: 4 },
    Shape { senders: 8, receivers: 8 },
];

impl Shape {
    /// As it is said.
    pub fn name(self) -> String {
        format!("{} to {}", self.senders, self.receivers)
    }

    /// More than one processor each.
    pub fn is_crowd(self) -> bool {
        self.senders + self.receivers > 2
    }

    /// Where a member runs: senders on one processor and receivers on another; with more than two
    /// members both kinds on both, one after the other.
    pub fn core(self, cores: (usize, usize), sends: bool, index: usize) -> usize {
        match sends == (self.is_crowd() && index % 2 == 1) {
            true => cores.1,
            false => cores.0,
        }
    }
}

/// What is compared, with messages of 8 B.
pub struct Window<'a> {
    pub ways: &'a [Way],
    pub shape: Shape,
    pub aims: &'a [Aim<Way>],
}

impl Window<'_> {
    /// Million messages a second of each way, one figure a round.
    pub fn run(&self, cores: &Cores, extent: Extent) -> io::Result<Vec<Series>> {
        let Window { ways, shape, aims } = *self;
        let rounds = extent.rounds();
        let span = Duration::from_millis(extent.pick(50, 200, 400));
        let mut rates = vec![Series::default(); ways.len()];
        for round in 0..rounds {
            for i in rotated(ways.len(), round) {
                rates[i].push(self.once(ways[i], cores, span)?);
            }
            // Of those that were killed.
            sysvring::reap().map_err(io::Error::other)?;
        }
        let relative: Vec<Series> = rates.iter().map(|series| series.over(&rates[0])).collect();
        let standing = Standing::rates(ways, &rates, &relative);
        let title = format!(
            "Many to many, {} on two processors, 8 B: million messages a second in {} ms; {rounds} rounds",
            shape.name(),
            span.as_millis()
        );
        print_rates(title, &standing, aims);
        Ok(rates)
    }

    /// New processes, one window.
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
        // All at once, or who is left would be told of the dead.
        for worker in &team {
            worker.signal(libc::SIGSTOP);
        }
        for worker in &mut team {
            worker.kill()?;
        }
        Ok((after - before) as f64 / (end - start) as f64 * 1e3)
    }

    /// The senders, then the receivers. The first sender makes what the others attach to.
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

/// A count for each receiver.
pub struct Counts(Segment, usize);

impl Counts {
    fn create(n: usize) -> Counts {
        Counts(Segment::create(n * size_of::<Apart>()), n)
    }

    fn all(&self) -> &[Apart] {
        // SAFETY: the segment was made for so many, zero at first, is aligned to pages and lives as
        // long as `self`; they are only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.0.start().cast::<Apart>(), self.1) }
    }

    /// Of one receiver.
    pub fn of(&self, index: usize) -> &AtomicU64 {
        &self.all()[index].0
    }

    /// Their sum and the time, read together.
    fn read(&self) -> (u64, u64) {
        loop {
            let before = clock::now();
            let sum = self.all().iter().map(|count| count.0.load(Relaxed)).sum();
            let after = clock::now();
            // Otherwise interrupted in between.
            if after - before < 20_000 {
                return (sum, after);
            }
        }
    }
}

/// The address of what is not there yet.
const NONE: &str = "none";

/// What a member is told.
#[allow(dead_code, reason = "members that are threads of one process need all of it")]
pub struct Task {
    pub sends: bool,
    /// Among its kind.
    pub index: usize,
    pub way: Way,
    pub shape: Shape,
    pub cores: (usize, usize),
    pub counts: Counts,
    /// Where to attach; nobody made it yet otherwise.
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

/// A message's first word: whose it is, in the upper half, and its number.
const WHOSE: u32 = 32;

/// Sends for ever.
pub fn send_on(index: usize, mut send: impl FnMut(u64)) -> ! {
    let mut next = (index as u64) << WHOSE;
    loop {
        next += 1;
        send(next);
    }
}

/// Receives for ever: each sender's messages must come in order.
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

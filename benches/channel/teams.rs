//! A team of senders and receivers, and one word to go for all of them.
//!
//! The time of a turn is that of the slowest receiver. Every way gets its turn, again and again; the
//! first of them is the measure.

use std::io;

use sysvring_support::worker::{Orders, Worker, hear, say};

use crate::contest::rotated;
use crate::link::Way;
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Series, Table};
use crate::{Extent, clock};

/// What is compared.
pub struct Match<'a> {
    /// The first is the measure.
    pub ways: &'a [Way],
    /// Which of them is to be so many times as fast as the measure.
    pub goal: Option<(Way, f64)>,
    /// Senders, and as many receivers.
    pub n: usize,
    /// Bytes of a message.
    pub bytes: usize,
    /// Messages of each.
    pub each: u64,
}

impl Match<'_> {
    pub fn run(&self, cores: &Cores, extent: Extent) -> io::Result<()> {
        let Match { ways, goal, n, bytes, each } = *self;
        let (rounds, turns) = (extent.rounds(), extent.pick(1, 5, 9));
        let mut rates = vec![Series::default(); ways.len()];
        let mut ratios = rates.clone();
        for round in 0..rounds {
            let mut teams =
                ways.iter().map(|&way| self.start(way, cores)).collect::<io::Result<Vec<_>>>()?;
            let mut figures = vec![Series::default(); ways.len()];
            for turn in 0..turns {
                for i in rotated(ways.len(), round + turn) {
                    figures[i].push(self.go(&mut teams[i])?);
                }
            }
            for i in 0..ways.len() {
                rates[i].push(figures[i].median());
                ratios[i].push(figures[i].over(&figures[0]).median());
            }
        }
        let title = format!(
            "Many to many, {n} to {n} on two processors, {bytes} B: million messages a second; {rounds} \
             rounds of {turns} turns of {}",
            each * n as u64
        );
        let of = format!("of {}", ways[0].label());
        let heads = ["", "median", "least", "most", "ns each", &of, "least", "most", "goal", ""];
        let mut table = Table::new(title, &heads);
        for (i, &way) in ways.iter().enumerate() {
            let mut cells = rates[i].cells(1).to_vec();
            cells.push(format!("{:.1}", 1e3 / rates[i].median()));
            if i != 0 {
                cells.extend(ratios[i].cells(2));
                let goal = match goal {
                    Some((whose, times)) if whose == way => Goal::AtLeast(times),
                    _ => Goal::None,
                };
                cells.extend(goal.cells(ratios[i].median()));
            }
            table.row(way.label(), cells);
        }
        table.print();
        Ok(())
    }

    /// The senders, then the receivers of one way. The first sender makes what the others attach to.
    fn start(&self, way: Way, cores: &Cores) -> io::Result<Vec<Worker>> {
        let mut team: Vec<Worker> = Vec::new();
        let mut address = String::from(NONE);
        for i in 0..2 * self.n {
            let (role, core) = match i < self.n {
                true => ("send", cores.apart.0),
                false => ("receive", cores.apart.1),
            };
            // Of several on two processors, both kinds on both.
            let core = match self.n > 1 && i % 2 == 1 {
                true => cores.apart.0 + cores.apart.1 - core,
                false => core,
            };
            let orders: [&dyn ToString; 6] =
                [&"many", &role, &way, &self.bytes, &self.each, &address];
            let mut worker = pair::worker(core, &orders)?;
            let said = worker.hear()?;
            if i == 0 {
                address = said;
            }
            team.push(worker);
        }
        Ok(team)
    }

    /// One turn: million messages a second.
    fn go(&self, team: &mut [Worker]) -> io::Result<f64> {
        for worker in team.iter_mut() {
            worker.tell("go")?;
        }
        let (mut first, mut last) = (f64::MAX, 0.0_f64);
        for receiver in &mut team[self.n..] {
            let [start, end] = receiver.figures()?;
            (first, last) = (first.min(start), last.max(end));
        }
        Ok((self.each * self.n as u64) as f64 / (last - first) * 1e3)
    }
}

/// The address of what is not there yet.
const NONE: &str = "none";

/// What a member of a team is told.
pub struct Task {
    pub sends: bool,
    pub way: Way,
    pub bytes: usize,
    pub each: u64,
    /// Where to attach; nobody made it yet otherwise.
    pub address: Option<String>,
}

impl Task {
    pub fn hear(orders: &mut Orders) -> Task {
        let (role, way, bytes) = (orders.next::<String>(), orders.next(), orders.next());
        let (each, address) = (orders.next(), orders.next::<String>());
        let address = (address != NONE).then_some(address);
        Task { sends: role == "send", way, bytes, each, address }
    }
}

pub fn message<const N: usize>(n: u64) -> [u64; N] {
    std::array::from_fn(|i| n + i as u64)
}

pub fn check<const N: usize>(message: &[u64; N]) {
    let first = message[0];
    assert!(message.iter().zip(first..).all(|(word, right)| *word == right), "a torn message");
}

/// A sender's course: told to go, it sends its turn.
pub fn turns(each: u64, mut send: impl FnMut(u64)) {
    loop {
        hear();
        (0..each).for_each(&mut send);
    }
}

/// A receiver's course, and the result of each turn: when it began and ended.
pub fn timed_turns(each: u64, mut receive: impl FnMut()) {
    say("ready");
    loop {
        hear();
        let start = clock::now();
        (0..each).for_each(|_| receive());
        say(format!("{start} {}", clock::now()));
    }
}

//! Throughput of each wait strategy on shared processors.
//!
//! Round trips, a stream through one slot, and a stream through a ring of default capacity, between
//! two processes or two threads, on two processors and on one, alone and next to busy loops. The
//! target of `Balanced`, the default, is to be nearly as good everywhere as the better of the other
//! two. Turns have a fixed duration, because a pair that spins on one processor next to busy loops
//! transfers only a few messages per second.

use std::io;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Handle, Options};
use sysvring_support::worker::{self, Args, Worker, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::table::{Bound, Series, Table};
use crate::transport::{Transport, ends};
use crate::workload::neighbours::{self, NICE, NICED, Neighbours, ONE, QUIET, THREE};

const TRANSPORTS: &[Transport] = &[Transport::Sysvring, Transport::Spin, Transport::Park];
const GOAL: Bound = Bound::AtLeast(0.8);

const TRIPS: &str = "round trips";
const SINGLE: &str = "stream, 1 slot";
const STREAM: &str = "stream, 1,024 slots";

/// The message that ends a turn.
const STOP: u64 = u64::MAX;

/// Runs all rows, or with `only` those whose workload and name contain it.
pub fn run(cores: &Cores, effort: Effort, only: Option<&str>) -> io::Result<()> {
    let (millis, turns): (u64, usize) = effort.pick((10, 1), (100, 5), (150, 9));
    let (first, second) = cores.apart;
    let everywhere = [("two processors", (first, second)), ("one processor", (first, first))];
    let places = if first == second { &everywhere[1..] } else { &everywhere[..] };
    let neighbours: &[Neighbours] = match effort {
        Effort::Smoke => &[QUIET, ONE],
        _ => &[QUIET, ONE, THREE, NICED, NICE],
    };
    for workload in [TRIPS, SINGLE, STREAM] {
        let title = format!(
            "Shared processors, {workload}: thousands per second; {turns} turns of {millis} ms"
        );
        let heads = [
            "",
            "balanced",
            "min",
            "max",
            "spin",
            "min",
            "max",
            "park",
            "min",
            "max",
            "balanced vs the better",
            "target",
            "",
        ];
        let mut table = Table::new(title, &heads);
        for &(place, processors) in places {
            for &beside in neighbours {
                for threads in [false, true] {
                    // Threads wait as processes do; some rows are enough to show that.
                    if threads && (workload != TRIPS || beside.is_about_nice()) {
                        continue;
                    }
                    let cell = Cell { workload, processors, beside, threads, millis };
                    let kind = if threads { "threads" } else { "processes" };
                    let name = format!("{place}, {kind}, {}", beside.name);
                    if only.is_none_or(|only| format!("{workload}: {name}").contains(only)) {
                        table.row(name, cell.run(turns)?);
                    }
                }
            }
        }
        table.print();
    }
    Ok(())
}

/// One row of a table.
struct Cell {
    workload: &'static str,
    processors: (usize, usize),
    beside: Neighbours,
    threads: bool,
    millis: u64,
}

impl Cell {
    fn run(&self, turns: usize) -> io::Result<Vec<String>> {
        let mut pairs = TRANSPORTS
            .iter()
            .map(|&transport| self.start(transport))
            .collect::<io::Result<Vec<_>>>()?;
        let (first, second) = self.processors;
        let places = [first, second];
        let distinct = if first == second { 1 } else { 2 };
        // Started after the pairs, which would take long to start next to busy loops.
        let _neighbours = self.beside.start(&places[..distinct])?;
        let mut rates = vec![Series::default(); TRANSPORTS.len()];
        for turn in 0..turns {
            for i in rotated(TRANSPORTS.len(), turn) {
                let (receiver, sender) = &mut pairs[i];
                receiver.write_line("go")?;
                if let Some(sender) = sender {
                    sender.write_line("go")?;
                }
                let [rate] = receiver.figures()?;
                rates[i].push(rate);
            }
        }
        let better = if rates[1].median() > rates[2].median() { &rates[1] } else { &rates[2] };
        let mut cells: Vec<String> = rates.iter().flat_map(Series::three).collect();
        cells.push(rates[0].over(better).range());
        // Turns next to busy loops vary widely, so the medians are compared.
        cells.extend(GOAL.cells(rates[0].median() / better.median()));
        Ok(cells)
    }

    /// Starts the process of the receiver, and that of the sender if it is separate.
    fn start(&self, transport: Transport) -> io::Result<(Worker, Option<Worker>)> {
        let Cell { workload, processors: (first, second), beside, threads, millis } = self;
        if *threads {
            let args: [&dyn ToString; 7] =
                [&"contended", &"both", &transport, workload, &beside.ours, millis, second];
            let mut both = ends::worker(*first, &args)?;
            both.read_line()?;
            return Ok((both, None));
        }
        let more: [&dyn ToString; 3] = [workload, &beside.ours, millis];
        let (sender, receiver) = ends::start("contended", transport, self.processors, &more)?;
        Ok((receiver, Some(sender)))
    }
}

pub fn worker(args: &mut Args) {
    let (role, transport, workload): (String, Transport, String) =
        (args.next(), args.next(), args.next());
    neighbours::be_nice(args.next());
    let time = Duration::from_millis(args.next());
    match role.as_str() {
        "send" => {
            let (mut end, address) = Endpoint::first(transport, &workload);
            print_line(address);
            loop {
                read_line();
                end.turn(time);
            }
        }
        "receive" => {
            let mut end = Endpoint::second(transport, &workload, &args.next::<String>());
            print_line("ready");
            loop {
                read_line();
                print_line(end.turn(time));
            }
        }
        "both" => {
            let processor: usize = args.next();
            let (mut first, address) = Endpoint::first(transport, &workload);
            let mut second = Endpoint::second(transport, &workload, &address);
            print_line("ready");
            loop {
                read_line();
                let rate = std::thread::scope(|scope| {
                    let second = scope.spawn(|| {
                        worker::pin(processor);
                        second.turn(time)
                    });
                    first.turn(time);
                    second.join().expect("the receiver")
                });
                print_line(rate);
            }
        }
        other => panic!("unknown role: {other}"),
    }
}

/// One end of a workload.
enum Endpoint {
    Asks(Sender<u64>, Receiver<u64>),
    Answers(Receiver<u64>, Sender<u64>),
    Sends(Sender<u64>),
    Receives(Receiver<u64>),
}

fn attach<H: Handle>(transport: Transport, address: &str) -> H {
    let id = address.parse().expect("a channel's id");
    Options::id(id).wait(transport.wait()).attach().expect("attach to the channel")
}

fn create<H: Handle>(transport: Transport, workload: &str) -> H {
    let options = Options::private().wait(transport.wait());
    let options = if workload == SINGLE { options.capacity(1) } else { options };
    options.create().expect("create a channel")
}

impl Endpoint {
    /// Creates the channels and returns this end and their addresses.
    fn first(transport: Transport, workload: &str) -> (Endpoint, String) {
        let tx: Sender<u64> = create(transport, workload);
        let address = tx.id().to_string();
        if workload != TRIPS {
            return (Endpoint::Sends(tx), address);
        }
        let rx: Receiver<u64> = create(transport, workload);
        let address = format!("{address}-{}", rx.id());
        (Endpoint::Asks(tx, rx), address)
    }

    fn second(transport: Transport, workload: &str, address: &str) -> Endpoint {
        if workload != TRIPS {
            return Endpoint::Receives(attach(transport, address));
        }
        let (there, back) = address.split_once('-').expect("two addresses");
        Endpoint::Answers(attach(transport, there), attach(transport, back))
    }

    /// Runs one turn and returns its throughput in thousands per second.
    fn turn(&mut self, time: Duration) -> f64 {
        let start = Instant::now();
        let mut count = 0_u64;
        match self {
            Endpoint::Asks(tx, rx) => {
                while start.elapsed() < time {
                    tx.send(&count).expect("send");
                    assert_eq!(rx.recv(), Ok(count));
                    count += 1;
                }
                tx.send(&STOP).expect("send");
            }
            Endpoint::Answers(rx, tx) => loop {
                let message = rx.recv().expect("receive");
                if message == STOP {
                    break;
                }
                tx.send(&message).expect("send");
                count += 1;
            },
            Endpoint::Sends(tx) => {
                // Where messages are cheap, the clock is not read for each.
                let stride = if tx.capacity() > 64 { 64 } else { 1 };
                while !count.is_multiple_of(stride) || start.elapsed() < time {
                    tx.send(&count).expect("send");
                    count += 1;
                }
                tx.send(&STOP).expect("send");
            }
            Endpoint::Receives(rx) => {
                while rx.recv().expect("receive") != STOP {
                    count += 1;
                }
            }
        }
        count as f64 / start.elapsed().as_secs_f64() / 1e3
    }
}

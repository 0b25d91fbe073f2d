//! Overshoot of timed calls on a shared processor.
//!
//! The reference is a call of the standard library that sleeps for the same time: the time that the
//! kernel takes to reschedule a process is unavoidable.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, RecvError};
use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::table::{Series, Table};
use crate::transport::{Transport, ends};
use crate::workload::neighbours::{self, NICE, NICED, ONE, QUIET, THREE};

const TRANSPORTS: &[Transport] = &[Transport::Std, Transport::Sysvring, Transport::Park];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (millis, count): (u64, u64) = effort.pick((5, 1), (100, 3), (100, 5));
    let turns = effort.pick(1, 5, 9);
    let title =
        format!("Overshoot of `recv_timeout({millis} ms)`: ms; {turns} turns of {count} calls");
    let heads = ["", "median", "min", "max", "worst, median", "worst, max"];
    let mut table = Table::new(title, &heads);
    let core = cores.apart.0;
    for beside in [QUIET, ONE, THREE, NICED, NICE] {
        let mut workers = Vec::new();
        for transport in TRANSPORTS {
            let args: [&dyn ToString; 5] = [&"late", transport, &beside.ours, &millis, &count];
            let mut worker = ends::worker(core, &args)?;
            worker.read_line()?;
            workers.push(worker);
        }
        let _neighbours = beside.start(&[core])?;
        let mut delays = vec![[Series::default(), Series::default()]; TRANSPORTS.len()];
        for turn in 0..turns {
            for i in rotated(TRANSPORTS.len(), turn) {
                workers[i].write_line("go")?;
                let [median, worst] = workers[i].figures()?;
                delays[i][0].push(median);
                delays[i][1].push(worst);
            }
        }
        for (&transport, [median, worst]) in TRANSPORTS.iter().zip(&delays) {
            let name =
                if transport == Transport::Std { "std::sync::mpsc" } else { transport.label() };
            let mut cells = median.cells(2).to_vec();
            cells.extend([format!("{:.2}", worst.median()), format!("{:.2}", worst.max())]);
            table.row(format!("{}, {name}", beside.name), cells);
        }
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Args) {
    let transport: Transport = args.next();
    neighbours::be_nice(args.next());
    let time = Duration::from_millis(args.next());
    let count: u64 = args.next();
    if transport == Transport::Std {
        let (_tx, rx) = mpsc::channel::<u64>();
        turns(count, time, || {
            assert_eq!(rx.recv_timeout(time), Err(mpsc::RecvTimeoutError::Timeout))
        });
    } else {
        let options = Options::private().wait(transport.wait());
        let tx: Sender<u64> = options.create().expect("create a channel");
        let id = Options::id(tx.id()).wait(transport.wait());
        let mut rx: Receiver<u64> = id.attach().expect("attach to the channel");
        turns(count, time, || assert_eq!(rx.recv_timeout(time), Err(RecvError::Timeout)));
    }
}

/// Reports the median and the worst overshoot of each turn, in milliseconds.
fn turns(count: u64, time: Duration, mut call: impl FnMut()) {
    print_line("ready");
    loop {
        read_line();
        let mut delay = || {
            let start = Instant::now();
            call();
            (start.elapsed().saturating_sub(time)).as_secs_f64() * 1e3
        };
        let delays: Series = (0..count).map(|_| delay()).collect();
        print_line(format!("{} {}", delays.median(), delays.max()));
    }
}

//! Overshoot of timed calls on a shared processor.
//!
//! The reference is a call of the standard library that sleeps for the same time: the time that the
//! kernel takes to reschedule a process is unavoidable.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, RecvError};
use sysvring_support::worker::{Orders, hear, say};

use crate::contest::rotated;
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::neighbours::{self, NICE, NICED, ONE, QUIET, THREE};
use crate::table::{Series, Table};
use crate::{Extent, pair};

/// The first represents the standard library's channel.
const WAYS: &[Way] = &[Way::Raw, Way::Balanced, Way::Park];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let (millis, count): (u64, u64) = extent.pick((5, 1), (100, 3), (100, 5));
    let turns = extent.pick(1, 5, 9);
    let title =
        format!("Overshoot of `recv_timeout({millis} ms)`: ms; {turns} turns of {count} calls");
    let heads = ["", "median", "min", "max", "worst, median", "worst, max"];
    let mut table = Table::new(title, &heads);
    let core = cores.apart.0;
    for beside in [QUIET, ONE, THREE, NICED, NICE] {
        let mut workers = Vec::new();
        for way in WAYS {
            let orders: [&dyn ToString; 5] = [&"late", way, &beside.ours, &millis, &count];
            let mut worker = pair::worker(core, &orders)?;
            worker.hear()?;
            workers.push(worker);
        }
        let _neighbours = beside.start(&[core])?;
        let mut delays = vec![[Series::default(), Series::default()]; WAYS.len()];
        for turn in 0..turns {
            for i in rotated(WAYS.len(), turn) {
                workers[i].tell("go")?;
                let [median, worst] = workers[i].figures()?;
                delays[i][0].push(median);
                delays[i][1].push(worst);
            }
        }
        for (&way, [median, worst]) in WAYS.iter().zip(&delays) {
            let name = if way == Way::Raw { "std::sync::mpsc" } else { way.label() };
            let mut cells = median.cells(2).to_vec();
            cells.extend([format!("{:.2}", worst.median()), format!("{:.2}", worst.most())]);
            table.row(format!("{}, {name}", beside.name), cells);
        }
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let way: Way = orders.next();
    neighbours::be_nice(orders.next());
    let time = Duration::from_millis(orders.next());
    let count: u64 = orders.next();
    if way == Way::Raw {
        let (_tx, rx) = mpsc::channel::<u64>();
        turns(count, time, || {
            assert_eq!(rx.recv_timeout(time), Err(mpsc::RecvTimeoutError::Timeout))
        });
    } else {
        let options = Options::private().wait(way.wait());
        let tx: Sender<u64> = options.create().expect("create a channel");
        let mut rx: Receiver<u64> = link::receiver(way, &tx.id().to_string());
        turns(count, time, || assert_eq!(rx.recv_timeout(time), Err(RecvError::Timeout)));
    }
}

/// Reports the median and the worst overshoot of each turn, in milliseconds.
fn turns(count: u64, time: Duration, mut call: impl FnMut()) {
    say("ready");
    loop {
        hear();
        let mut delay = || {
            let start = Instant::now();
            call();
            (start.elapsed().saturating_sub(time)).as_secs_f64() * 1e3
        };
        let delays: Series = (0..count).map(|_| delay()).collect();
        say(format!("{} {}", delays.median(), delays.most()));
    }
}

//! SPSC throughput while a tap reads along.
//!
//! The tap is a thread of the benchmark's own process, which otherwise waits. It is not pinned. Where
//! only two processors are usable, it runs on one of those of sender and receiver, and takes
//! processor time from it: a tap that reads all the time shows that, and one that reads a tenth of
//! the time shows the rest.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{ChannelId, Tap, TapStart};

use crate::effort::Effort;
use crate::interleave::{Pair, interleave};
use crate::machine::Cores;
use crate::report::table::{Series, Table, figure};
use crate::scenario::stream::{self, Stream};
use crate::transport::Transport::Sysvring;
use crate::transport::ends;

/// How much a tap reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    ATenth,
    Everything,
}

impl Reading {
    const ALL: [Reading; 3] = [Reading::Nothing, Reading::ATenth, Reading::Everything];

    fn label(self) -> &'static str {
        match self {
            Reading::Nothing => "no tap",
            Reading::ATenth => "a tap, 1 ms of 10",
            Reading::Everything => "a tap, all the time",
        }
    }
}

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    for (bytes, count) in [(8, 2_000_000), (64, 1_000_000), (1024, 200_000)] {
        of_size(bytes, effort.pick(2_000, count / 2, count), cores, effort)?;
    }
    Ok(())
}

fn of_size(bytes: usize, count: u64, cores: &Cores, effort: Effort) -> io::Result<()> {
    let schedule = effort.schedule_of(1, 5, 9);
    let shares = RefCell::new(Reading::ALL.map(|_| Series::default()));
    let start = |_| {
        let capacity = ends::capacity(bytes);
        let stream = Stream { transport: Sysvring, bytes, capacity, count, batches: false };
        stream::start(stream, cores)
    };
    let outcomes = interleave(&Reading::ALL, schedule, start, |reading, pair| {
        let (figures, share) = tapped(reading, pair)?;
        shares.borrow_mut()[reading as usize].push(share * 100.0);
        Ok(figures)
    })?;
    let title =
        format!("SPSC throughput beside a tap, {bytes} B: Mmsg/s; {schedule} of {count} messages");
    let heads = ["", "median", "min", "max", "vs no tap", "seen, %"];
    let mut table = Table::new(title, &heads);
    for ((reading, outcome), share) in Reading::ALL.iter().zip(&outcomes).zip(&*shares.borrow()) {
        let mut cells = outcome.figures[0].three().to_vec();
        cells.push(outcome.ratios[0].range());
        cells.push(figure(share.median()));
        table.row(reading.label(), cells);
    }
    table.print();
    Ok(())
}

/// Runs a turn while a tap reads, and returns the share of the messages that it has seen.
fn tapped(reading: Reading, pair: &mut Pair) -> io::Result<([f64; 1], f64)> {
    if reading == Reading::Nothing {
        return Ok((ends::turn::<1>(pair)?, 0.0));
    }
    let mut tap = Tap::open(channel_of(pair)?, TapStart::Now).map_err(io::Error::other)?;
    let (start, stop) = (tap.position(), AtomicBool::new(false));
    let figures = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&mut tap, reading, &stop));
        let figures = ends::turn::<1>(pair);
        stop.store(true, Relaxed);
        reader.join().expect("a tap")?;
        figures
    })?;
    Ok((figures, tap.seen() as f64 / (tap.position() - start).max(1) as f64))
}

fn read(tap: &mut Tap, reading: Reading, stop: &AtomicBool) -> io::Result<()> {
    let mut message = Vec::new();
    while !stop.load(Relaxed) {
        let end = Instant::now() + Duration::from_millis(1);
        while !stop.load(Relaxed) && Instant::now() < end {
            for _ in 0..100 {
                let pause = Duration::from_micros(100);
                if tap.next_timeout(&mut message, pause).map_err(io::Error::other)?.is_none() {
                    break;
                }
            }
        }
        if reading == Reading::ATenth {
            thread::sleep(Duration::from_millis(9));
        }
    }
    Ok(())
}

/// Returns the channel whose sender is the first process of a pair.
fn channel_of((sender, _): &Pair) -> io::Result<ChannelId> {
    let pid = sender.pid() as u32;
    let list = sysvring::list().map_err(io::Error::other)?;
    let its = list.iter().find(|stat| stat.members.iter().any(|member| member.pid == pid));
    its.map(|stat| stat.id).ok_or_else(|| io::Error::other("the sender has no channel"))
}

//! System calls of a stream while both sides are awake.
//!
//! Runs the stream of [`crate::scenario::stream`] at 8 B with both children traced. The baseline makes no
//! system calls, which shows that tracing adds none. Every traced call stops its caller long enough
//! for the other side to park, so the count is an upper bound of that without the tracer.

use std::io;

use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::table::{Bound, Series, Table};
use crate::scenario::stream::{self, Stream};
use crate::trace::{Counts, Tracer};
use crate::transport::Transport;
use crate::transport::ends::CAPACITY;

const TRANSPORTS: &[Transport] = &[Transport::Baseline, Transport::Sysvring, Transport::Spin];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let count: u64 = effort.pick(20_000, 5_000_000, 10_000_000);
    let rounds = effort.pick(1, 3, 5);
    let mut calls = vec![Series::default(); TRANSPORTS.len()];
    let mut rates = calls.clone();
    let mut kinds = vec![Counts::new(); TRANSPORTS.len()];
    for round in 0..rounds {
        for i in rotated(TRANSPORTS.len(), round) {
            let transport = TRANSPORTS[i];
            let (capacity, batches) = (CAPACITY, false);
            let stream = Stream { transport, bytes: 8, capacity, count, batches };
            let (mut sender, mut receiver) = stream::start(stream, cores)?;
            let tracer = Tracer::attach(&[sender.pid(), receiver.pid()])?;
            receiver.write_line("go")?;
            sender.write_line("go")?;
            let found = tracer.count()?;
            let [rate] = receiver.figures()?;
            let traced = (count - count / 10) as f64;
            rates[i].push(rate);
            calls[i].push(found.values().sum::<u64>() as f64 / traced * 1e6);
            for (number, n) in found {
                *kinds[i].entry(number).or_default() += n;
            }
        }
    }
    let title = format!(
        "System calls of both sides per million messages, in a stream of {count} messages of 8 B; \
         {rounds} rounds"
    );
    let heads = ["", "median", "min", "max", "traced Mmsg/s", "target", "", "calls, all rounds"];
    let mut table = Table::new(title, &heads);
    for (i, &transport) in TRANSPORTS.iter().enumerate() {
        let mut cells = calls[i].cells(2).to_vec();
        cells.push(format!("{:.1}", rates[i].median()));
        let goal =
            if transport == Transport::Baseline { Bound::None } else { Bound::AtMost(100.0) };
        // The target applies to the worst round.
        cells.extend(goal.cells(calls[i].max()));
        cells.push(list(&kinds[i]));
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

/// Lists the calls found, by name where a channel might make them.
fn list(kinds: &Counts) -> String {
    if kinds.is_empty() {
        return "none".to_owned();
    }
    let each = kinds.iter().map(|(&number, n)| format!("{n} {}", name(number)));
    each.collect::<Vec<_>>().join(", ")
}

/// Returns the name of a system call.
pub fn name(number: i64) -> String {
    match number {
        libc::SYS_semop => "semop".to_owned(),
        libc::SYS_semtimedop => "semtimedop".to_owned(),
        libc::SYS_semctl => "semctl".to_owned(),
        libc::SYS_membarrier => "membarrier".to_owned(),
        libc::SYS_sched_yield => "sched_yield".to_owned(),
        libc::SYS_clock_gettime => "clock_gettime".to_owned(),
        libc::SYS_read => "read".to_owned(),
        libc::SYS_write => "write".to_owned(),
        libc::SYS_getpid => "getpid".to_owned(),
        libc::SYS_shmctl => "shmctl".to_owned(),
        other => format!("call {other}"),
    }
}

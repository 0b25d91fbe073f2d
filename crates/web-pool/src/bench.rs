//! The comparison of the transports: interleaved, in several rounds.
//!
//! A round starts a front for each transport. They take turns, so that both meet the machine in the
//! same state; the one that waits for its turn does nothing.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::load::{self, Load, Report};
use crate::{Bench, Failure, Transport};

/// Figures of a turn: p50, p99 and maximum in microseconds, processor time of all and of the front in
/// microseconds per request, requests per second, wake-ups and futile ones per 1,000 requests.
const FIGURES: [&str; 8] = [
    "p50, us",
    "p99, us",
    "max, us",
    "processor, us/request",
    "of that, front",
    "requests/s",
    "wake-ups/1,000 requests",
    "of those, futile",
];

/// How many requests warm up the front of a new round.
const WARM_UP: Duration = Duration::from_millis(300);

const TRANSPORTS: [Transport; 2] = [Transport::Sysvring, Transport::Unix];

/// A running front. Dropped, it is killed.
pub struct Front {
    child: Child,
    pub port: u16,
}

impl Front {
    pub fn start(transport: Transport, workers: u8, threads: u8) -> Result<Front, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--port", "0", "--transport", transport.name()])
            .args(["--workers", &workers.to_string(), "--threads", &threads.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(Failure::Ended)?;
        let mut front = Front { child, port: 0 };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        front.port = port.ok_or(Failure::Ended)?;
        Ok(front)
    }

    /// Ends it as an operator would, and waits.
    fn stop(mut self) -> io::Result<()> {
        // SAFETY: a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let end = self.child.wait()?;
        if end.success() { Ok(()) } else { Err(io::Error::other(format!("the front: {end}"))) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs all, and prints a table for each rate.
pub fn run(options: &Bench) -> Result<(), Failure> {
    let rates: [Option<u64>; 3] = [Some(500), Some(2_000), None];
    // By rate, transport and figure.
    let mut all = rates.map(|_| [const { Vec::new() }; 2].map(|_: Vec<f64>| vec![Vec::new(); 8]));
    let mut errors = 0;
    for round in 0..options.rounds {
        let mut fronts = Vec::new();
        for transport in TRANSPORTS {
            fronts.push(Front::start(transport, options.workers, options.threads)?);
        }
        for front in &fronts {
            load::run(&Load { time: WARM_UP, ..options.load(front.port, None) })?;
        }
        for turn in 0..options.turns {
            for (rate, figures) in rates.iter().zip(&mut all) {
                for i in 0..TRANSPORTS.len() {
                    let i = (i + round + turn) % TRANSPORTS.len();
                    let report = load::run(&options.load(fronts[i].port, *rate))?;
                    errors += report.errors;
                    for (series, figure) in figures[i].iter_mut().zip(self::figures(&report)) {
                        series.push(figure);
                    }
                }
            }
        }
        for front in fronts {
            front.stop()?;
        }
    }
    let mut out = io::stdout().lock();
    for (rate, figures) in rates.iter().zip(&all) {
        let name = match rate {
            Some(rate) => format!("{rate} requests per second"),
            None => "saturated".to_owned(),
        };
        writeln!(
            out,
            "\n{name}, {} workers, {} connections; median (min to max) of {} rounds x {} turns of {:?}:\n",
            options.workers,
            options.connections,
            options.rounds,
            options.turns,
            options.time(),
        )?;
        writeln!(out, "| | sysvring | Unix sockets | sysvring/Unix |")?;
        writeln!(out, "|---|--:|--:|--:|")?;
        let [ours, theirs] = figures;
        for ((name, ours), theirs) in FIGURES.iter().zip(ours).zip(theirs) {
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
            writeln!(
                out,
                "| {name} | {} | {} | {} |",
                range(ours, 1),
                range(theirs, 1),
                range(&ratios, 2)
            )?;
        }
    }
    writeln!(out, "\n{errors} errors")?;
    if errors == 0 { Ok(()) } else { Err(Failure::Errors(errors)) }
}

fn figures(report: &Report) -> [f64; 8] {
    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| us(report.quantile(part)));
    let [work, front] = report.work.map(us);
    let [wakes, futile] = report.wakes.map(|wakes| wakes * 1e3);
    [p50, p99, max, work, front, report.per_second(), wakes, futile]
}

/// Formats the median, the minimum and the maximum.
fn range(series: &[f64], digits: usize) -> String {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = match sorted.len() {
        0 => f64::NAN,
        n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    };
    let [min, max] = [sorted.first(), sorted.last()].map(|x| x.copied().unwrap_or(f64::NAN));
    format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
}

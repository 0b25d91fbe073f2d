//! An HTTP front before a pool of worker processes.
//!
//! ```text
//! web-pool --workers 4 --port 8080 --kill       serves; kills a random worker every half second
//! web-pool load --port 8080 --rate 2000         sends requests at a fixed rate
//! web-pool bench                                compares channels with Unix sockets
//! ```
//!
//! A request goes as a message over an MPMC channel to one of the workers, and its answer comes back
//! over another one. With `--transport unix`, the same pool uses a Unix stream socket for each
//! worker.

mod bench;
mod channel;
mod clock;
mod front;
mod load;
mod message;
mod socket;
mod waiting;
mod workers;

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sysvring::ChannelId;

use crate::load::{Load, Stats};

/// Answers HTTP requests in a pool of worker processes.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Task {
    /// Send requests to a front, and report what they cost
    Load(Generate),
    /// Compare the transports at 500 and 2,000 requests per second, and saturated
    Bench(Bench),
    /// Run a worker; the front starts them
    #[command(hide = true)]
    Work { channels: Vec<ChannelId> },
}

/// Serve until SIGINT or SIGTERM.
#[derive(Args)]
struct Serve {
    /// Worker processes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=100))]
    workers: u8,
    /// Port on the loopback interface; 0: any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Kill a random worker, and replace it, each time that these milliseconds have passed
    #[arg(long, value_name = "MILLISECONDS", num_args = 0..=1, default_missing_value = "500",
          value_parser = milliseconds)]
    kill: Option<Duration>,
    /// How requests reach the workers
    #[arg(long, default_value_t, value_enum)]
    transport: Transport,
    /// Threads of the front
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
}

#[derive(Args)]
struct Generate {
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Requests per second, sent on time (open loop); without it, each connection sends its next
    /// request when it has its answer (closed loop)
    #[arg(long)]
    rate: Option<u64>,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

#[derive(Args)]
struct Bench {
    /// Rounds, each with new processes
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Turns of each transport at each rate, per round
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Seconds per turn
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    #[arg(long, default_value_t = 2)]
    workers: u8,
    /// Threads of the front
    #[arg(long, default_value_t = 1)]
    threads: u8,
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// How requests reach the workers.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Transport {
    /// Two MPMC channels
    #[default]
    Sysvring,
    /// A Unix stream socket for each worker
    Unix,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Sysvring => "sysvring",
            Transport::Unix => "unix",
        }
    }
}

impl Generate {
    fn load(&self) -> Load {
        let time = Duration::from_secs_f64(self.seconds);
        Load { port: self.port, rate: self.rate, time, connections: self.connections }
    }
}

impl Bench {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn load(&self, port: u16, rate: Option<u64>) -> Load {
        Load { port, rate, time: self.time(), connections: self.connections }
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

/// Why the program, or a request, failed.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Channel(sysvring::Error),
    /// A process ended, or did not answer as expected.
    Ended,
    /// This many requests failed.
    Errors(u64),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Io(error) => error.fmt(f),
            Failure::Channel(error) => error.fmt(f),
            Failure::Ended => f.write_str("the other process ended, or answered something else"),
            Failure::Errors(count) => write!(f, "{count} requests failed"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Failure {
        Failure::Io(error.into())
    }
}

macro_rules! from_channel_errors {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Channel(error.into())
            }
        }
    )+};
}

from_channel_errors!(sysvring::Error, sysvring::SendError, sysvring::RecvError);

fn main() -> ExitCode {
    let Arguments { task, serve } = Arguments::parse();
    let done = match task {
        None => front::run(&serve),
        Some(Task::Load(options)) => generate(&options.load()),
        Some(Task::Bench(options)) => bench::run(&options),
        Some(Task::Work { channels }) => work(&channels),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("web-pool: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a worker: over these channels, or over the socket that is its standard input.
fn work(channels: &[ChannelId]) -> Result<(), Failure> {
    match channels {
        &[requests, answers] => channel::work(requests, answers),
        _ => {
            let socket = io::stdin().as_fd().try_clone_to_owned()?;
            Ok(socket::work(UnixStream::from(socket))?)
        }
    }
}

fn generate(load: &Load) -> Result<(), Failure> {
    let report = load::run(load)?;
    let Stats { killed, duplicates, .. } = Stats::read(load.port)?;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| report.quantile(part));
    let [work, front] = report.work;
    let [wakes, futile] = report.wakes;
    writeln!(
        io::stdout(),
        "{} requests, {:.0} per second\nerrors {}\np50 {p50:?}, p99 {p99:?}, max {max:?}\n\
         processor time per request {work:?}, of that in the front {front:?}\n\
         wake-ups of the front for messages per request {wakes:.3}, futile {futile:.3}\n\
         killed workers {killed}, dropped second answers {duplicates}",
        report.times.len(),
        report.per_second(),
        report.errors,
    )?;
    if report.errors == 0 { Ok(()) } else { Err(Failure::Errors(report.errors)) }
}

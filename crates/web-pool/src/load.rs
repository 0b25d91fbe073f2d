//! The load generator: a thread for each connection, which blocks.
//!
//! *Open loop*: requests are due at a fixed rate, whether earlier ones were answered or not. The
//! time of a request begins when it is due if all connections are busy then, and when it is sent if
//! one was free: a late wake-up of the generator is not part of it. *Closed loop*: each connection
//! sends its next request when it has its answer.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::message::answer;
use crate::{Failure, clock};

/// A request that has no answer after that time is an error.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub port: u16,
    /// Requests per second; `None`: closed loop.
    pub rate: Option<u64>,
    pub time: Duration,
    pub connections: usize,
}

/// What became of the requests.
#[derive(Default)]
pub struct Report {
    /// The times of the answered requests, ascending.
    pub times: Vec<Duration>,
    pub errors: u64,
    pub elapsed: Duration,
    /// Processor time per request: all of it, and the front's share.
    pub work: [Duration; 2],
    /// Wake-ups of the front for messages per request, and how many of them were futile.
    pub wakes: [f64; 2],
}

impl Report {
    pub fn quantile(&self, part: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get((last as f64 * part) as usize).copied().unwrap_or_default()
    }

    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// A connection to the front.
struct Client {
    input: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Client { input: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Makes a request; returns the body of the answer if its status is 200.
    fn get(&mut self, path: &str) -> io::Result<&[u8]> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.input.get_mut().write_all(request.as_bytes())?;
        let mut is_ok = false;
        let mut length = 0;
        for number in 0.. {
            self.line.clear();
            if self.input.read_line(&mut self.line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match self.line.trim_end() {
                "" => break,
                status if number == 0 => is_ok = status.starts_with("HTTP/1.1 200 "),
                header => {
                    if let Some((name, value)) = header.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().map_err(io::Error::other)?;
                    }
                }
            }
        }
        self.body.resize(length, 0);
        self.input.read_exact(&mut self.body)?;
        if is_ok { Ok(&self.body) } else { Err(io::Error::other("the status is not 200")) }
    }

    /// Makes the request of a number, and checks its answer.
    fn request(&mut self, number: u64) -> io::Result<()> {
        let text = format!("text-{number}");
        match self.get(&format!("/hash/{text}"))? == answer(text.as_bytes()) {
            true => Ok(()),
            false => Err(io::Error::other("the answer is wrong")),
        }
    }
}

/// The front's counters.
#[derive(Clone, Default)]
pub struct Stats {
    pub pids: Vec<u32>,
    pub killed: u64,
    pub duplicates: u64,
    wakes: u64,
    futile: u64,
}

impl Stats {
    pub fn read(port: u16) -> Result<Stats, Failure> {
        let mut client = Client::connect(port)?;
        let text = String::from_utf8_lossy(client.get("/stats")?).into_owned();
        let mut stats = Stats::default();
        for line in text.lines() {
            let (name, values) = line.split_once(' ').ok_or(Failure::Ended)?;
            let values: Vec<u64> = values.split(' ').filter_map(|n| n.parse().ok()).collect();
            let first = values.first().copied().unwrap_or(0);
            match name {
                "front" | "workers" => stats.pids.extend(values.iter().map(|&pid| pid as u32)),
                "killed" => stats.killed = first,
                "duplicates" => stats.duplicates = first,
                "wakes" => stats.wakes = first,
                "futile" => stats.futile = first,
                _ => {}
            }
        }
        Ok(stats)
    }

    /// Returns the processor time of each process, the front first.
    fn times(&self) -> Vec<Duration> {
        // A worker that was killed meanwhile has taken its time with it.
        let time = |&pid: &u32| clock::processor_time(pid).unwrap_or_default();
        self.pids.iter().map(time).collect()
    }
}

/// Sends requests, and measures what they cost.
pub fn run(load: &Load) -> Result<Report, Failure> {
    let clients: Vec<Client> =
        (0..load.connections).map(|_| Client::connect(load.port)).collect::<io::Result<_>>()?;
    let stats = Stats::read(load.port)?;
    let before = stats.times();
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let parts: Vec<(Vec<Duration>, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| generate(load, client, &next, start)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let elapsed = start.elapsed();
    let after = stats.times();
    let mut report = Report { elapsed, ..Report::default() };
    for (times, errors) in parts {
        report.times.extend(times);
        report.errors += errors;
    }
    report.times.sort_unstable();
    let requests = report.times.len().max(1) as u32;
    let spent = |n: usize| after[n].saturating_sub(before[n]);
    report.work = [(0..after.len()).map(spent).sum::<Duration>() / requests, spent(0) / requests];
    let now = Stats::read(load.port)?;
    report.wakes = [now.wakes - stats.wakes, now.futile - stats.futile]
        .map(|count| count as f64 / f64::from(requests));
    Ok(report)
}

/// Sends the requests of one connection.
fn generate(
    load: &Load,
    mut client: Client,
    next: &AtomicU64,
    start: Instant,
) -> (Vec<Duration>, u64) {
    clock::sleep_exactly();
    let (mut times, mut errors) = (Vec::new(), 0);
    loop {
        let number = next.fetch_add(1, Relaxed);
        let due = match load.rate {
            Some(rate) => Duration::from_nanos(number * 1_000_000_000 / rate),
            None => start.elapsed(),
        };
        if due >= load.time {
            return (times, errors);
        }
        let early = due.saturating_sub(start.elapsed());
        let begun = match early.is_zero() {
            true => start + due,
            false => {
                thread::sleep(early);
                Instant::now()
            }
        };
        match client.request(number) {
            Ok(()) => times.push(begun.elapsed()),
            Err(_) => {
                errors += 1;
                match Client::connect(load.port) {
                    Ok(again) => client = again,
                    Err(_) => return (times, errors),
                }
            }
        }
    }
}

//! Requests and replies at a fixed rate: the time from a request to its reply, and the processor time
//! of both sides for it.
//!
//! The client sleeps until the next request is due, so both sides wait before each message. These
//! pauses cost the same with every transport.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sysvring_support::worker::{Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::table::{Bound, Series, Table};
use crate::transport::ends::{self, remove_leftovers};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::transport::{Transport, Transport::*};
use crate::{by_transport, clock};

/// Words per message.
const ONE: usize = 1;
/// Requests that warm up.
const WARM_UP: u64 = 20;
/// Requests per second.
const RATES: [u64; 3] = [100, 1_000, 10_000];
const TRANSPORTS: [Transport; 4] = [Pipe, Unix, Sysvring, Park];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    RATES.into_iter().try_for_each(|rate| at_rate(cores, rate, effort))
}

fn at_rate(cores: &Cores, rate: u64, effort: Effort) -> io::Result<()> {
    let (rounds, count) = (effort.pick(1, 3, 9), effort.pick(5, rate / 4, rate / 2).max(5));
    // Nanoseconds: the median, the 99th percentile, and the processor time per request.
    let mut figures = vec![<[Series; 3]>::default(); TRANSPORTS.len()];
    for round in 0..rounds {
        for i in rotated(TRANSPORTS.len(), round) {
            let more: [&dyn ToString; 2] = [&rate, &count];
            let (mut client, mut server) =
                ends::start_ping_pong("requests", TRANSPORTS[i], cores.apart, &more)?;
            client.write_line("go")?;
            let [half, most, sent] = client.figures()?;
            let [answered] = server.figures()?;
            let all = [half, most, sent + answered];
            figures[i].iter_mut().zip(all).for_each(|(series, x)| series.push(x));
        }
        remove_leftovers();
    }
    let of = |what: usize| figures.iter().map(|figures| figures[what].clone()).collect();
    let [times, work] = [0, 2].map(|what| Results::of_series(Kind::Time, &TRANSPORTS, of(what)));
    let title = format!(
        "Requests at {rate} per second: us until the reply, and of processor time of both sides; \
         {rounds} rounds of {count} requests"
    );
    let mut heads = times.heads(&["", "p50", "min", "max", "p99"], "p50 ");
    heads.extend(work.heads(&["processor", "min", "max"], "processor "));
    let mut table = Table::new(title, &heads);
    for (i, [half, most, worked]) in figures.iter().enumerate() {
        let us = |series: &Series| series.times(1e-3).three();
        let mut cells = us(half).to_vec();
        cells.push(us(most)[0].clone());
        cells.extend(times.cells(i));
        cells.extend(us(worked));
        cells.extend(work.cells(i));
        table.row(TRANSPORTS[i].label(), cells);
    }
    table.print();
    let goals =
        [Pipe, Unix].map(|over| Goal { contender: Sysvring, over, bound: Bound::AtMost(1.0) });
    times.check(&goals);
    println!("\nProcessor time:");
    work.check(&goals);
    Ok(())
}

pub fn worker(args: &mut Args) {
    let (role, transport, _core): (String, Transport, usize) =
        (args.next(), args.next(), args.next());
    let (rate, count): (u64, u64) = (args.next(), args.next());
    match role.as_str() {
        "serve" => by_transport!(transport, request::<ONE>(rate, count)),
        "return" => {
            let address: String = args.next();
            by_transport!(transport, reply::<ONE>(count, &address))
        }
        other => panic!("unknown role: {other}"),
    }
}

/// Reports the median and the 99th percentile of the times, and the processor time per request.
fn request<T: IpcTransport<N>, const N: usize>(rate: u64, count: u64) {
    let (mut tx, mut rx) = ends::serving::<T, N>();
    read_line();
    let (pause, mut due) = (Duration::from_nanos(1_000_000_000 / rate), Instant::now());
    let mut one = |n| {
        let sent = clock::now();
        tx.send(&[n; N]);
        assert_eq!(rx.receive_one(), [n; N]);
        let time = clock::now() - sent;
        due += pause;
        sleep(due.saturating_duration_since(Instant::now()));
        time
    };
    for n in 0..WARM_UP {
        one(n);
    }
    let worked = clock::worked();
    let mut times: Vec<u64> = (0..count).map(&mut one).collect();
    let worked = (clock::worked() - worked) / count;
    times.sort_unstable();
    let part = |part: usize| times[(times.len() - 1) * part / 100];
    print_line(format!("{} {} {worked}", part(50), part(99)));
    read_line();
}

/// Reports the processor time per request.
fn reply<T: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
    let (mut tx, mut rx) = ends::returning::<T, N>(address);
    let mut one = || {
        let message = rx.receive_one();
        tx.send(&message);
    };
    (0..WARM_UP).for_each(|_| one());
    let worked = clock::worked();
    (0..count).for_each(|_| one());
    print_line((clock::worked() - worked) / count);
    read_line();
}

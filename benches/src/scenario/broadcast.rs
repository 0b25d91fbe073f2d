//! Throughput with one sender and several receivers, each of which gets every message, and the
//! one-way latency to one receiver.
//!
//! The sender has one processor, and all receivers share the other one: on more than two processors
//! each would have its own. A turn lasts from the first message that the sender sends after warming up
//! until the last receiver has received the last one. A message counts once, however many receive it.

use std::io;

use sysvring_support::worker::{Args, Worker, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::stream_summary::named;
use crate::report::table::{Bound, Table};
use crate::scenario::{bandwidth, one_way, stream};
use crate::transport::Transport::{
    Broadcast, BroadcastInPlace, Channels, ChannelsInPlace, InPlace, Sysvring,
};
use crate::transport::broadcast::BroadcastTransport;
use crate::transport::{Transport, ends};
use crate::workload::broadcast_workload::{receive, send};

/// The numbers of receivers.
const RECEIVERS: [usize; 4] = [1, 2, 4, 8];

/// The largest message that is sent and received by value.
const BY_VALUE: usize = 0x1_0000;

/// Slots for messages that are written and read in place: each is a frame.
const FRAMES: usize = 4;

/// The rates of messages of one size, by the number of receivers.
pub type ByReceivers = Vec<(usize, Results<Transport>)>;

/// Runs the tables whose names contain `rows`, e.g. "to 2, 8 B" or "one-way". Returns the rates by message
/// size.
pub fn run(
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
    rows: Option<&str>,
) -> io::Result<Vec<(usize, ByReceivers)>> {
    let mut sizes = Vec::new();
    for (bytes, count) in [
        (8, effort.pick(2_000, 500_000, 1_000_000)),
        (64, effort.pick(2_000, 250_000, 500_000)),
        (1024, effort.pick(2_000, 50_000, 100_000)),
        (BY_VALUE, effort.pick(50, 1_000, 2_000)),
        (bandwidth::LARGEST, effort.pick(2, 40, 80)),
    ] {
        let all = of_size(bytes, count, cores, effort, transports, rows)?;
        if !all.is_empty() {
            sizes.push((bytes, all));
        }
    }
    if rows.is_some_and(|rows| !"one-way".contains(rows)) {
        return Ok(sizes);
    }
    let goals = [Goal { contender: Broadcast, over: Sysvring, bound: Bound::AtMost(1.2) }];
    for words in [1, 8] {
        one_way::of_size(words, cores, effort, &[Sysvring, Broadcast], &goals)?;
    }
    Ok(sizes)
}

/// Measures messages of this size with all numbers of receivers.
fn of_size(
    bytes: usize,
    count: u64,
    cores: &Cores,
    effort: Effort,
    transports: &[Transport],
    rows: Option<&str>,
) -> io::Result<ByReceivers> {
    let (mut all, mut heads) = (ByReceivers::new(), vec![String::new()]);
    for receivers in RECEIVERS {
        let count = (count / receivers as u64).max(effort.pick(2, 20, 20));
        let stream = Stream { bytes, receivers, count };
        if rows.is_some_and(|rows| !stream.name().contains(rows)) {
            continue;
        }
        let takes = |transport: &Transport| stream.takes(*transport);
        let those: Vec<Transport> = transports.iter().copied().filter(takes).collect();
        all.push((receivers, stream.run(cores, effort, &those)?));
        heads.push(format!("to {receivers}"));
    }
    if all.is_empty() {
        return Ok(all);
    }
    let title = format!(
        "Broadcast, {}: {} (vs a channel for each receiver, vs the best competitor)",
        named(bytes),
        unit(bytes).0
    );
    let mut table = Table::new(title, &heads);
    for &transport in transports {
        if all.iter().any(|(_, results)| results.position(transport).is_some()) {
            table.row(transport.label(), all.iter().map(|(_, results)| results.brief(transport)));
        }
    }
    table.print();
    Ok(all)
}

/// Returns the unit of a rate of messages of this size, and its part of a million messages a second.
pub fn unit(bytes: usize) -> (&'static str, f64) {
    if bytes >= BY_VALUE { ("thousand msg/s", 1e3) } else { ("Mmsg/s", 1.0) }
}

/// What is sent.
#[derive(Clone, Copy)]
struct Stream {
    bytes: usize,
    receivers: usize,
    /// Messages per turn.
    count: u64,
}

/// The sender, and all receivers.
type Team = (Worker, Vec<Worker>);

impl Stream {
    /// Returns the name of its table.
    fn name(self) -> String {
        format!("to {}, {}", self.receivers, named(self.bytes))
    }

    /// Returns whether a transport takes part: an SPSC channel only with one receiver.
    fn takes(self, transport: Transport) -> bool {
        let is_large = self.bytes > BY_VALUE;
        match transport {
            Sysvring => !is_large && self.receivers == 1,
            InPlace => is_large && self.receivers == 1,
            Broadcast | Channels => !is_large,
            BroadcastInPlace | ChannelsInPlace => is_large,
            _ => true,
        }
    }

    fn run(
        self,
        cores: &Cores,
        effort: Effort,
        transports: &[Transport],
    ) -> io::Result<Results<Transport>> {
        let (count, schedule) = (self.count, effort.schedule());
        let start = |transport| self.start(transport, cores);
        let turn = |transport, team: &mut Team| turn(self.count_of(transport), team);
        let outcomes = interleave(transports, schedule, start, turn)?;
        let mut results = Results::of_outcomes(Kind::Rate, transports, &outcomes);
        let (unit, factor) = unit(self.bytes);
        results.figures.iter_mut().for_each(|rate| *rate = rate.times(factor));
        let title = format!(
            "Broadcast {}: {unit}, and the sender's processor time; {schedule} of {count} messages, \
             a tenth of iceoryx2 below {}",
            self.name(),
            named(BY_VALUE)
        );
        let heads = ["", "median", "min", "max", "ns/msg", "sender, ns/msg"];
        let mut table = Table::new(title, &results.heads(&heads, ""));
        for (i, transport) in transports.iter().enumerate() {
            let [rate, worked] = &outcomes[i].figures;
            let mut cells = results.figures[i].three().to_vec();
            cells.extend([1e3 / rate.median(), worked.median()].map(|ns| format!("{ns:.1}")));
            cells.extend(results.cells(i));
            table.row(transport.label(), cells);
        }
        table.print();
        self.check(&results);
        Ok(results)
    }

    /// Checks the targets for sysvring.
    fn check(self, results: &Results<Transport>) {
        let (contender, channels, spsc) = match self.bytes > BY_VALUE {
            true => (BroadcastInPlace, ChannelsInPlace, InPlace),
            false => (Broadcast, Channels, Sysvring),
        };
        let (over, bound) = match self.receivers {
            1 => (spsc, Bound::AtLeast(0.9)),
            _ => (channels, Bound::AtLeast(1.0)),
        };
        results.check(&[Goal { contender, over, bound }]);
        let best = if self.bytes <= 64 && self.receivers <= 2 { 3.0 } else { 1.0 };
        results.check_best(contender, Bound::AtLeast(best));
    }

    fn count_of(self, transport: Transport) -> u64 {
        let is_slow = transport == Transport::Iceoryx2 && self.bytes < BY_VALUE;
        if is_slow { (self.count / 10).max(2) } else { self.count }
    }

    fn capacity(self) -> usize {
        if self.bytes > BY_VALUE { FRAMES } else { ends::capacity(self.bytes) }
    }

    /// Starts the sender, then the receivers.
    fn start(self, transport: Transport, cores: &Cores) -> io::Result<Team> {
        let (capacity, count) = (self.capacity(), self.count_of(transport));
        let more: [&dyn ToString; 5] =
            [&transport, &self.bytes, &self.receivers, &capacity, &count];
        let args: [&dyn ToString; 2] = [&"broadcast", &"send"];
        let mut sender = ends::worker(cores.apart.0, &[&args[..], &more].concat())?;
        let address = sender.read_line()?;
        ends::note(transport, &address);
        let start = |index: usize| {
            let args: [&dyn ToString; 2] = [&"broadcast", &"receive"];
            let last: [&dyn ToString; 2] = [&index, &address];
            let mut receiver = ends::worker(cores.apart.1, &[&args[..], &more, &last].concat())?;
            receiver.expect("ready");
            Ok(receiver)
        };
        let receivers = (0..self.receivers).map(start).collect::<io::Result<Vec<Worker>>>()?;
        Ok((sender, receivers))
    }
}

/// Runs a turn. Returns the rate in Mmsg/s, and the processor time of the sender per message.
fn turn(count: u64, (sender, receivers): &mut Team) -> io::Result<[f64; 2]> {
    for receiver in receivers.iter_mut() {
        receiver.write_line("go")?;
    }
    sender.write_line("go")?;
    let [start, worked] = sender.figures()?;
    let mut end = start;
    for receiver in receivers {
        let [its] = receiver.figures()?;
        end = end.max(its);
    }
    let timed = (count - count / 10) as f64;
    Ok([timed / (end - start) * 1e3, worked / timed])
}

/// The arguments of one process.
struct Task {
    receivers: usize,
    capacity: usize,
    count: u64,
    /// Its index among the receivers, and the address; `None` for the sender.
    receives: Option<(usize, String)>,
}

pub fn worker(args: &mut Args) {
    let role: String = args.next();
    let (transport, bytes): (Transport, usize) = (args.next(), args.next());
    let (receivers, capacity, count) = (args.next(), args.next(), args.next());
    let receives = (role == "receive").then(|| (args.next(), args.next()));
    let task = Task { receivers, capacity, count, receives };
    match bytes {
        8 => work::<1>(transport, task),
        64 => work::<8>(transport, task),
        1024 => work::<128>(transport, task),
        BY_VALUE => work::<{ BY_VALUE / 8 }>(transport, task),
        bandwidth::LARGEST => std::thread::scope(|scope| {
            let large = std::thread::Builder::new().stack_size(stream::STACK);
            let run = || work::<{ bandwidth::LARGEST / 8 }>(transport, task);
            large.spawn_scoped(scope, run).expect("a thread").join().expect("it ends");
        }),
        other => panic!("unknown size: {other}"),
    }
}

fn work<const N: usize>(transport: Transport, task: Task) {
    use crate::transport::broadcast::{self, One};
    use crate::transport::sysvring;
    match transport {
        Sysvring => run_end::<One<sysvring::Sysvring>, N>(task),
        InPlace => run_end::<One<sysvring::InPlace>, N>(task),
        Broadcast => run_end::<broadcast::Broadcast, N>(task),
        BroadcastInPlace => run_end::<broadcast::BroadcastInPlace, N>(task),
        Channels => run_end::<broadcast::Channels, N>(task),
        ChannelsInPlace => run_end::<broadcast::ChannelsInPlace, N>(task),
        #[cfg(feature = "competitors")]
        Transport::Shaq => run_end::<crate::transport::shaq_broadcast::ShaqBroadcast, N>(task),
        #[cfg(feature = "large")]
        Transport::Iceoryx2 => {
            run_end::<crate::transport::iceoryx2_and_ipc_channel::Iceoryx2, N>(task)
        }
        other => panic!("not broadcast: {other}"),
    }
}

fn run_end<T: BroadcastTransport<N>, const N: usize>(task: Task) {
    match task.receives {
        None => {
            let (accept, address) = T::offer_to(task.capacity, task.receivers);
            print_line(address);
            // All receivers have attached by the time `go` arrives.
            read_line();
            send(accept(), task.count);
        }
        Some((index, address)) => {
            let rx = T::attach_as(&address, index, task.receivers, task.capacity);
            print_line("ready");
            receive(rx, task.count);
        }
    }
}

//! Wait sets by the number of their channels: what a wake-up costs, and what an idle set costs.
//!
//! One process has the senders of all channels, and sends to another one each time; the other has
//! the receivers in one set. So each wake-up is that of another channel.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use sysvring::{Options, RecvError, Token, WaitSet, spsc};
use sysvring_support::worker::{Args, print_line, read_line};

use crate::clock;
use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::table::{Bound, Series, Table};
use crate::transport::ends;
use crate::transport::epoll::reapable;

/// Channels in a set.
const COUNTS: [usize; 4] = [1, 10, 100, 1_000];
/// Slots of each.
const CAPACITY: usize = 16;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let counts = &COUNTS[..effort.pick(2, 4, 4)];
    let (schedule, wakes) = (effort.schedule_of(1, 3, 5), effort.pick(5, 40, 100));
    let start = |channels: usize| {
        let mut sender = ends::worker(cores.apart.0, &[&"wait-set", &"send", &channels, &wakes])?;
        let mut receiver =
            ends::worker(cores.apart.1, &[&"wait-set", &"receive", &channels, &wakes])?;
        let ids = sender.read_line()?;
        receiver.write_line(&ids)?;
        receiver.read_line()?;
        Ok((sender, receiver))
    };
    let outcomes = interleave(counts, schedule, start, |_, pair| ends::turn::<3>(pair))?;
    let title = format!(
        "A wake-up by the number of channels in a wait set: us from before send to after receive, \
         and processor time of the receiver; {schedule} of {wakes} messages"
    );
    let heads = ["channels", "p50", "min", "max", "p99", "processor", "min", "max", "vs 1 channel"];
    let mut table = Table::new(title, &heads);
    for (channels, outcome) in counts.iter().zip(&outcomes) {
        let [p50, p99, work] = &outcome.figures;
        let mut cells = p50.cells(1).to_vec();
        cells.push(format!("{:.1}", p99.median()));
        cells.extend(work.cells(1));
        cells.push(outcome.ratios[2].range());
        table.row(channels, cells);
    }
    table.print();
    idle(cores, effort)
}

/// Measures sets in which nothing happens.
fn idle(cores: &Cores, effort: Effort) -> io::Result<()> {
    let time = Duration::from_millis(effort.pick(100, 5_000, 10_000));
    let title =
        format!("An idle wait set: processor time of its process in {} s", time.as_secs_f64());
    let heads = ["channels", "ms", "% of one processor", "context switches", "target, %", ""];
    let mut table = Table::new(title, &heads);
    for &channels in &COUNTS[..effort.pick(2, 4, 4)] {
        let mut sender = ends::worker(cores.apart.0, &[&"wait-set", &"send", &channels, &1])?;
        let mut receiver = ends::worker(cores.apart.1, &[&"wait-set", &"idle", &channels, &1])?;
        let ids = sender.read_line()?;
        receiver.write_line(&ids)?;
        receiver.read_line()?;
        receiver.write_line("go")?;
        sleep(time);
        sender.write_line("go")?;
        let [work, sleeps] = receiver.figures()?;
        let share = work / time.as_nanos() as f64 * 100.0;
        let mut cells =
            vec![format!("{:.3}", work / 1e6), format!("{share:.4}"), format!("{sleeps:.0}")];
        cells.extend(Bound::AtMost(0.1).cells(share));
        table.row(channels, cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Args) {
    let role: String = args.next();
    let (channels, wakes): (usize, usize) = (args.next(), args.next());
    match role.as_str() {
        "send" => send(channels, wakes),
        "receive" => receive(channels, wakes),
        "idle" => wait(channels),
        other => panic!("unknown role: {other}"),
    }
}

/// Messages at the start of a turn that only warm up.
const WARM_UP: usize = 5;

/// Sends the clock to one channel after the other; in an idle set, one message ends the wait.
fn send(channels: usize, wakes: usize) {
    // The first one leads to the message queue of the set after all were killed.
    let (first, name) = reapable();
    let create = |options: Options| options.capacity(CAPACITY).create().expect("a channel");
    let mut senders: Vec<spsc::Sender<u64>> = vec![create(first)];
    senders.extend((1..channels).map(|_| create(Options::private())));
    let ids = senders[1..].iter().map(|sender| sender.id().to_string());
    print_line([name].into_iter().chain(ids).collect::<Vec<_>>().join(" "));
    let mut next = 0;
    loop {
        read_line();
        for _ in 0..wakes + WARM_UP {
            sleep(Duration::from_millis(2));
            senders[next % channels].send(&clock::now()).expect("send");
            next += 1;
        }
    }
}

/// The receivers of all channels, in a set.
struct Receivers {
    set: WaitSet,
    /// In the order of their tokens, which ascend.
    receivers: Vec<(Token, spsc::Receiver<u64>)>,
    /// Messages that were received together with one before, and their delays in microseconds.
    more: Vec<f64>,
}

impl Receivers {
    fn attach(channels: usize) -> Receivers {
        let set = WaitSet::new().expect("a set");
        let ids = read_line();
        let mut receivers = Vec::new();
        for address in ids.split(' ') {
            let options = match address.parse() {
                Ok(id) => Options::id(id),
                Err(_) => Options::named(address),
            };
            let receiver: spsc::Receiver<u64> = options.attach().expect("the channel");
            receivers.push((set.add(&receiver).expect("added"), receiver));
        }
        assert_eq!(receivers.len(), channels);
        let mut receivers = Receivers { set, receivers, more: Vec::new() };
        // All are armed from here on.
        for (_, receiver) in &mut receivers.receivers {
            assert_eq!(receiver.try_recv(), Err(RecvError::Empty));
        }
        print_line("ready");
        receivers
    }

    /// Waits for a message, receives it, and arms its channel again; returns its delay in
    /// microseconds.
    fn receive(&mut self) -> f64 {
        loop {
            if let Some(delay) = self.more.pop() {
                return delay;
            }
            for event in self.set.wait(None).expect("wait") {
                let place =
                    self.receivers.binary_search_by_key(&event.token(), |(token, _)| *token);
                let (_, receiver) = &mut self.receivers[place.expect("a token of this set")];
                loop {
                    match receiver.try_recv() {
                        Ok(sent) => self.more.push((clock::now() - sent) as f64 / 1e3),
                        Err(RecvError::Empty) => break,
                        Err(error) => panic!("receive: {error}"),
                    }
                }
            }
        }
    }
}

/// Reports, for each turn, the median and 99th percentile in microseconds, and the processor time
/// per message in microseconds.
fn receive(channels: usize, wakes: usize) {
    let mut receivers = Receivers::attach(channels);
    let mut delay = || receivers.receive();
    loop {
        read_line();
        for _ in 0..WARM_UP {
            delay();
        }
        let before = clock::worked();
        let delays: Series = (0..wakes).map(|_| delay()).collect();
        let work = (clock::worked() - before) as f64 / 1e3 / wakes as f64;
        print_line(format!("{} {} {work}", delays.median(), delays.quantile(0.99)));
    }
}

/// Waits for the first message, and reports the processor time and the context switches until then.
fn wait(channels: usize) {
    let mut receivers = Receivers::attach(channels);
    read_line();
    let (worked, sleeps) = (clock::worked(), clock::sleeps());
    receivers.receive();
    print_line(format!("{} {}", clock::worked() - worked, clock::sleeps() - sleeps));
    read_line();
}

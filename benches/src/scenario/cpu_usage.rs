//! CPU usage of an idle receiver and of a lightly loaded channel.
//!
//! CPU time, user and system, of a call that blocks for seconds, and of both sides of a link that
//! transfers 1,000 messages per second.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use sysvring_support::worker::{Orders, hear, say};

use crate::goals::Results;
use crate::interleave::rotated;
use crate::link::{self, CAPACITY, Leftovers, Transport};
use crate::machine::Cores;
use crate::table::{Series, Table, figure};
use crate::traits::{IpcTransport, Local, Receive, Send};
use crate::{Effort, by_transport, clock};

/// Words per message.
const ONE: usize = 1;
/// Interval between messages.
const PAUSE: Duration = Duration::from_millis(1);

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let transports: Vec<Transport> =
        transports.iter().copied().filter(|transport| transport.is_between()).collect();
    let rounds = effort.pick(1, 2, 5);
    let count: u64 = effort.pick(50, 200, 1_000);
    // Percentage of a CPU while idle; CPU time per message in microseconds, receiver and sender.
    let mut figures = vec![<[Series; 3]>::default(); transports.len()];
    for round in 0..rounds {
        for i in rotated(transports.len(), round) {
            let leftovers = Leftovers::default();
            let (mut sender, mut receiver) =
                link::start("rest", transports[i], cores, &[&count], &leftovers)?;
            // The receiver waits for the first message.
            let begin = clock::now();
            sleep(PAUSE * count as u32);
            sender.tell("go")?;
            let [waited] = receiver.figures()?;
            let share = waited / (clock::now() - begin) as f64 * 100.0;
            let ([received], [sent]) = (receiver.figures()?, sender.figures()?);
            let each = [share, received / 1e3 / count as f64, sent / 1e3 / count as f64];
            figures[i].iter_mut().zip(each).for_each(|(series, x)| series.push(x));
        }
    }
    let title = format!(
        "Idle CPU: CPU usage of a receiver that waits {} s, and CPU time per message of {count} messages, one per \
         millisecond; {rounds} rounds",
        PAUSE.as_secs_f64() * count as f64
    );
    let both: Vec<Series> = figures.iter().map(|[_, rx, tx]| rx.plus(tx)).collect();
    let ratios: Vec<Series> = both.iter().map(|series| series.over(&both[0])).collect();
    let results = Results::times(&transports, &both, &ratios);
    let heads = ["", "idle, % of one CPU", "receiver, us/msg", "sender, us/msg"].map(str::to_owned);
    let of = results.heads().into_iter().map(|of| format!("both {of}"));
    let mut table = Table::new(title, &heads.into_iter().chain(of).collect::<Vec<_>>());
    for (i, series) in figures.iter().enumerate() {
        let cells = series.iter().map(|series| figure(series.median()));
        table.row(transports[i].label(), cells.chain(results.cells(i)));
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Orders) {
    let (role, transport, count): (String, Transport, u64) =
        (args.next(), args.next(), args.next());
    match role.as_str() {
        "send" => by_transport!(transport, send::<ONE>(count), within()),
        "receive" => {
            let address: String = args.next();
            by_transport!(transport, receive::<ONE>(count, &address), within())
        }
        other => panic!("unknown role: {other}"),
    }
}

fn within<L: Local<N>, const N: usize>() {
    panic!("not between processes");
}

fn send<C: IpcTransport<N>, const N: usize>(count: u64) {
    let (offer, address) = C::offer(CAPACITY);
    say(address);
    hear();
    let mut tx = C::accept(offer);
    tx.send(&[0; N]);
    let before = clock::worked();
    for n in 1..=count {
        sleep(PAUSE);
        tx.send(&[n; N]);
    }
    say(clock::worked() - before);
    hear();
}

fn receive<C: IpcTransport<N>, const N: usize>(count: u64, address: &str) {
    let mut rx = C::attach(address, CAPACITY);
    let mut message = [0; N];
    let mut one = |n| {
        rx.receive(&mut message);
        assert_eq!(message, [n; N]);
    };
    say("ready");
    let before = clock::worked();
    one(0);
    let then = clock::worked();
    say(then - before);
    (1..=count).for_each(one);
    say(clock::worked() - then);
    hear();
}

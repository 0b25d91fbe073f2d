//! MPMC throughput with one sender and one receiver, when 16 messages are sent and received at once.

use std::io;

use sysvring::{Options, mpmc};
use sysvring_support::worker::{Args, print_line, read_line};

use crate::clock;
use crate::effort::Effort;
use crate::interleave::interleave;
use crate::machine::Cores;
use crate::report::goals::{Goal, Kind, Results};
use crate::report::table::Bound;
use crate::scenario::batches::Case;
use crate::transport::traits::BATCH;
use crate::transport::{Transport, ends};

/// A message of 8 bytes: its number within the turn.
type Number = [u64; 1];

pub fn run(cores: &Cores, effort: Effort, transports: &[Transport]) -> io::Result<()> {
    let case = |transport, batches| Case { transport, batches };
    let cases = [
        case(Transport::Sysvring, false),
        case(Transport::Sysvring, true),
        case(Transport::Shaq, true),
    ];
    let cases: Vec<Case> =
        cases.into_iter().filter(|case| transports.contains(&case.transport)).collect();
    // With the tenth that warms up, a multiple of the length of a batch.
    let (schedule, count) = (effort.schedule(), effort.pick(4_000, 200_000, 400_000));
    let start = |Case { transport, batches }: Case| match batches {
        true => ends::start("mpmc-batches", transport, cores.apart, &[&count]),
        false => ends::start("mpmc", transport, cores.apart, &[&8, &count]),
    };
    let outcomes = interleave(&cases, schedule, start, |_, (sender, receiver)| {
        sender.write_line("go")?;
        receiver.write_line("go")?;
        receiver.figures::<1>()
    })?;
    let title =
        format!("MPMC 1x1, 8 B, batches of {BATCH}: Mmsg/s; {schedule} of {count} messages");
    let goals = [Goal {
        contender: case(Transport::Sysvring, true),
        over: case(Transport::Shaq, true),
        bound: Bound::AtLeast(2.5),
    }];
    Results::of_outcomes(Kind::Rate, &cases, &outcomes).print_rates(title, &goals);
    Ok(())
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let count: u64 = args.next();
    match (role.as_str(), transport) {
        ("send", Transport::Sysvring) => {
            let tx: mpmc::Sender<Number> = Options::private().create().expect("a channel");
            print_line(tx.id());
            send(count, |batch| tx.send_batch(batch).expect("send"));
        }
        ("receive", Transport::Sysvring) => {
            let id = args.next::<String>().parse().expect("an id");
            let rx: mpmc::Receiver<Number> = Options::id(id).attach().expect("a member");
            receive(count, |batch, most| {
                rx.recv_batch(batch, most).expect("receive");
            });
        }
        #[cfg(feature = "competitors")]
        ("send", Transport::Shaq) => {
            let (queue, address) = crate::transport::shaq::mpmc_producer::<1>(None);
            print_line(address);
            send(count, |batch| {
                ends::poll_until_some(|| queue.try_write_slice(batch).then_some(()));
            });
        }
        #[cfg(feature = "competitors")]
        ("receive", Transport::Shaq) => {
            let queue = crate::transport::shaq::mpmc_consumer::<1>(&args.next::<String>());
            receive(count, |batch, most| {
                let most = most.try_into().expect("at least one");
                ends::poll_until_some(|| {
                    batch.extend(&queue.try_reserve_read_batch(most)?);
                    Some(())
                });
            });
        }
        other => panic!("unknown task: {other:?}"),
    }
}

/// Sends the messages of each turn, and a tenth as many before to warm up.
fn send(count: u64, mut send: impl FnMut(&[Number])) {
    loop {
        read_line();
        for first in (0..count + count / 10).step_by(BATCH) {
            let batch: [Number; BATCH] = std::array::from_fn(|i| [first + i as u64]);
            send(&batch);
        }
    }
}

/// Receives them, and reports the throughput of each turn in Mmsg/s.
fn receive(count: u64, mut receive: impl FnMut(&mut Vec<Number>, usize)) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut up_to = |next: &mut u64, end: u64| {
        while *next < end {
            receive(&mut batch, (end - *next).min(BATCH as u64) as usize);
            for [number] in batch.drain(..) {
                assert_eq!(number, *next, "out of order");
                *next += 1;
            }
        }
    };
    print_line("ready");
    loop {
        read_line();
        let mut next = 0;
        up_to(&mut next, count / 10);
        let start = clock::now();
        up_to(&mut next, count / 10 + count);
        print_line(count as f64 / (clock::now() - start) as f64 * 1e3);
    }
}

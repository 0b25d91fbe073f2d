//! MPMC throughput, for several numbers of senders and receivers.

use std::io;
use std::thread;

use shaq::mpmc;
use sysvring::{Handle, Options, mpmc as ours};
use sysvring_support::worker::{self, Orders, hear, say};

use crate::Extent;
use crate::duel::Duel;
use crate::link::{self, CAPACITY, Way};
use crate::machine::Cores;
use crate::table::{Goal, Series, Table};
use crate::team::{Course, Turns, check, message};
use crate::verdict::{Aim, Standing};
use crate::vyukov::Queue;
use crate::window::{self, SHAPES, Shape, Task, Window};

/// A target for sysvring, relative to another transport.
fn aim(over: Way, times: f64) -> Aim<Way> {
    Aim { whose: Way::Sysvring, over, goal: Goal::AtLeast(times) }
}

/// Returns the throughput of every topology.
pub fn run(cores: &Cores, extent: Extent, ways: &[Way]) -> io::Result<Vec<(Shape, Vec<Series>)>> {
    let count = extent.pick(4_000, 200_000, 400_000);
    // Fixed count, where members are not preempted.
    let between: Vec<Way> = ways.iter().copied().filter(|way| way.is_between()).collect();
    let aims = [aim(Way::Shaq, 4.0), aim(Way::Vyukov, 0.8)];
    let eight = Duel { ways: &between, bytes: 8, count, aims: &aims };
    eight.run(cores, extent)?;
    Duel { bytes: 64, aims: &[], ..eight }.run(cores, extent)?;
    let aims = [aim(Way::Shaq, 5.0), aim(Way::Crossbeam, 1.0)];
    let mut shapes = Vec::new();
    for shape in SHAPES {
        let aims = if shape.senders == 4 { &aims[..] } else { &[] };
        shapes.push((shape, Window { ways, shape, aims }.run(cores, extent)?));
    }
    print_all(ways, &shapes);
    Ok(shapes)
}

/// Prints all topologies in one table.
fn print_all(ways: &[Way], shapes: &[(Shape, Vec<Series>)]) {
    let heads = shapes.iter().map(|(shape, _)| shape.name());
    let heads: Vec<String> = std::iter::once(String::new()).chain(heads).collect();
    let title = "MPMC throughput (senders x receivers) on two processors, 8 B: Mmsg/s (vs Vyukov's ring, vs the best \
                 competitor)";
    let mut table = Table::new(title, &heads);
    for (i, way) in ways.iter().enumerate() {
        let cell = |(_, rates): &(Shape, Vec<Series>)| {
            let relative: Vec<Series> = rates.iter().map(|rate| rate.over(&rates[0])).collect();
            Standing::rates(ways, rates, &relative).brief(i)
        };
        table.row(way.label(), shapes.iter().map(cell));
    }
    table.print();
}

pub fn worker(orders: &mut Orders) {
    let (role, way, bytes): (String, Way, usize) = (orders.next(), orders.next(), orders.next());
    let turns = Turns(orders.next());
    match (role.as_str(), bytes) {
        ("send", 8) => send::<1>(way, None, &turns),
        ("send", 64) => send::<8>(way, None, &turns),
        ("receive", 8) => receive::<1>(way, &orders.next::<String>(), &turns),
        ("receive", 64) => receive::<8>(way, &orders.next::<String>(), &turns),
        other => panic!("unknown task: {other:?}"),
    }
}

/// Runs a member in a run of fixed duration.
pub fn member(orders: &mut Orders) {
    let task = Task::hear(orders);
    match (task.way, task.sends, task.address.as_deref()) {
        (Way::Crossbeam, false, _) if task.index == 0 => all(task),
        (Way::Crossbeam, ..) => stand_by(),
        (_, true, address) => send::<1>(task.way, address, &task),
        (_, false, address) => {
            receive::<1>(task.way, address.expect("the sender's address"), &task)
        }
    }
}

/// Stands by, because all members run as threads of another process.
fn stand_by() {
    say("within a process");
    loop {
        hear();
    }
}

/// Runs all members as threads of this process.
fn all(task: Task) {
    let (tx, rx) = crossbeam_channel::bounded(CAPACITY);
    let Task { shape, cores, counts, .. } = task;
    say("ready");
    hear();
    thread::scope(|scope| {
        for index in 0..shape.senders {
            let tx = tx.clone();
            scope.spawn(move || {
                worker::pin(shape.core(cores, true, index));
                window::send_on(index, |first| tx.send(first).expect("a receiver"));
            });
        }
        for index in 0..shape.receivers {
            let (rx, count) = (rx.clone(), counts.of(index));
            scope.spawn(move || {
                worker::pin(shape.core(cores, false, index));
                window::receive_on(count, || rx.recv().expect("a sender"));
            });
        }
    });
}

/// Attaches a member to a channel, or creates the channel if there is no address yet.
fn join<H: Handle>(address: Option<&str>) -> H {
    match address {
        None => Options::private().create(),
        Some(address) => Options::id(address.parse().expect("an id")).attach(),
    }
    .expect("a member")
}

fn send<const N: usize>(way: Way, address: Option<&str>, course: &impl Course) {
    match way {
        Way::Sysvring => {
            let tx: ours::Sender<[u64; N]> = join(address);
            say(tx.id());
            course.send(|first| tx.send(&message(first)).expect("send"));
        }
        Way::InPlace => {
            let tx: ours::Sender<[u64; N]> = join(address);
            say(tx.id());
            course.send(|first| {
                let mut loan = tx.loan().expect("loan");
                *loan = message(first);
                loan.commit().expect("commit");
            });
        }
        Way::Vyukov => {
            let queue = address.map_or_else(Queue::<N>::create, Queue::attach);
            say(queue.address());
            course.send(|first| queue.send(&message(first)));
        }
        Way::Shaq => {
            let file = match address {
                None => link::memory(mpmc::minimum_file_size::<[u64; N]>(CAPACITY)),
                Some(address) => link::same_memory(address),
            };
            // SAFETY: the first sender creates the queue, once; all ends use the same type, which
            // consists of plain words.
            let queue = match address {
                None => unsafe {
                    let len = file.metadata().expect("its length").len() as usize;
                    mpmc::Producer::create(&file, len)
                },
                Some(_) => unsafe { mpmc::Producer::join(&file) },
            }
            .expect("a producer");
            say(link::address(&file));
            course.send(|first| link::insist(|| queue.try_write(message::<N>(first)).ok()));
        }
        other => panic!("not MPMC: {other}"),
    }
}

fn receive<const N: usize>(way: Way, address: &str, course: &impl Course) {
    match way {
        Way::Sysvring => {
            let rx: ours::Receiver<[u64; N]> = join(Some(address));
            course.receive(|| check(&rx.recv().expect("receive")));
        }
        Way::InPlace => {
            let rx: ours::Receiver<[u64; N]> = join(Some(address));
            course.receive(|| check(&rx.recv_ref().expect("receive in place")));
        }
        Way::Vyukov => {
            let queue = Queue::<N>::attach(address);
            course.receive(|| check(&queue.recv()));
        }
        Way::Shaq => {
            // SAFETY: all ends use the same type, which consists of plain words.
            let queue = unsafe { mpmc::Consumer::<[u64; N]>::join(&link::same_memory(address)) }
                .expect("a consumer");
            // Its blocking call stalls for seconds where members share processors; polling does
            // not.
            course.receive(|| check(&link::insist(|| queue.try_read())));
        }
        other => panic!("not MPMC: {other}"),
    }
}

//! Many to many.

use std::io;

use shaq::mpmc;
use sysvring::{Options, mpmc as ours};
use sysvring_support::worker::{Orders, say};

use crate::Extent;
use crate::link::{self, CAPACITY, Way};
use crate::machine::Cores;
use crate::teams::{Match, Task, check, message, timed_turns, turns};

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let each = extent.pick(4_000, 200_000, 400_000);
    let ways = &[Way::Shaq, Way::Sysvring];
    let one = Match { ways, goal: Some((Way::Sysvring, 3.0)), n: 1, bytes: 8, each };
    one.run(cores, extent)?;
    Match { goal: None, bytes: 64, ..one }.run(cores, extent)?;
    // More than the ring holds, or nobody would meet anybody.
    let four = Match { goal: Some((Way::Sysvring, 5.0)), n: 4, each: each / 40, ..one };
    four.run(cores, extent).or_else(|error| {
        // The rival's, where its members share processors: whoever is interrupted stops all.
        println!("\nMany to many, 4 to 4: not to be compared, {error}");
        Ok(())
    })
}

pub fn worker(orders: &mut Orders) {
    let Task { sends, way, bytes, each, address } = Task::hear(orders);
    let address = address.as_deref();
    match (sends, bytes) {
        (true, 8) => send::<1>(way, each, address),
        (true, 64) => send::<8>(way, each, address),
        (false, 8) => receive::<1>(way, each, address),
        (false, 64) => receive::<8>(way, each, address),
        other => panic!("no such work: {other:?}"),
    }
}

fn send<const N: usize>(way: Way, each: u64, address: Option<&str>) {
    match way {
        Way::Shaq => {
            let file = match address {
                None => link::memory(mpmc::minimum_file_size::<[u64; N]>(CAPACITY)),
                Some(address) => link::same_memory(address),
            };
            // SAFETY: the first sender makes the queue, once; all ends use the same type, which is
            // plain words.
            let queue = match address {
                None => unsafe {
                    let len = file.metadata().expect("its length").len() as usize;
                    mpmc::Producer::create(&file, len)
                },
                Some(_) => unsafe { mpmc::Producer::join(&file) },
            }
            .expect("a producer");
            say(link::address(&file));
            turns(each, |n| link::insist(|| queue.try_write(message::<N>(n)).ok()));
        }
        Way::Sysvring => {
            let tx: ours::Sender<[u64; N]> = match address {
                None => Options::private().create(),
                Some(address) => Options::id(address.parse().expect("an id")).attach(),
            }
            .expect("a sender");
            say(tx.id());
            turns(each, |n| tx.send(&message(n)).expect("send"))
        }
        other => panic!("not many to many: {other}"),
    }
}

fn receive<const N: usize>(way: Way, each: u64, address: Option<&str>) {
    let address = address.expect("the sender's address");
    match way {
        Way::Shaq => {
            // SAFETY: all ends use the same type, which is plain words.
            let queue = unsafe { mpmc::Consumer::<[u64; N]>::join(&link::same_memory(address)) }
                .expect("a consumer");
            // Its waiting call stalls for seconds where members share processors; asking does not.
            timed_turns(each, || check(&link::insist(|| queue.try_read())));
        }
        Way::Sysvring => {
            let id = address.parse().expect("an id");
            let rx: ours::Receiver<[u64; N]> = Options::id(id).attach().expect("a receiver");
            timed_turns(each, || check(&rx.recv().expect("receive")));
        }
        other => panic!("not many to many: {other}"),
    }
}

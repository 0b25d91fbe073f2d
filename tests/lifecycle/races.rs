//! Many processes open, leave and remove one channel at the same time.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Lifetime, Options};
use sysvring_support::fork::Fork;
use sysvring_support::name::{Name, is_gone};
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::{shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

/// The number of processes.
const MANY: usize = 16;

/// How many opens of a churn must succeed.
const OPENS: u64 = 300;

/// A handle of either side.
#[expect(dead_code, reason = "held for its seat")]
enum Either {
    Tx(Sender<u64>),
    Rx(Receiver<u64>),
}

fn open(options: Options, sends: bool) -> Result<Either, Error> {
    Ok(if sends { Either::Tx(options.open()?) } else { Either::Rx(options.open()?) })
}

/// Waits, without sleeping, for a number that another process increments.
fn wait_for(number: &AtomicU64, n: u64) {
    while number.load(Acquire) < n {
        std::thread::yield_now();
    }
}

#[test]
fn one_sender_and_one_receiver_win() {
    Worker::run(&[&"races::race", &Name::new()]);
}

/// In each round, many processes open one channel: half of them to send, half to receive.
#[work]
fn race(args: &mut Args) {
    const ROUNDS: u64 = 100;
    let name: String = args.next();
    let [go, done, close, closed] = shared_counters::<4>();
    // Zero for a seat, otherwise the process that the error named.
    let results = shared_counters::<MANY>();
    let lifetime = |round| if round % 2 == 0 { Lifetime::Kept } else { Lifetime::LastMember };
    let racers: Vec<Fork> = (0..MANY)
        .map(|i| {
            let name = &name;
            Fork::start(move || {
                for round in 1..=ROUNDS {
                    let options = Options::named(name).lifetime(lifetime(round));
                    wait_for(go, round);
                    let opened = open(options, i % 2 == 0);
                    let result = match &opened {
                        Ok(_) => 0,
                        Err(Error::SeatTaken { pid, role, .. }) => {
                            assert_eq!(*role, if i % 2 == 0 { "sender" } else { "receiver" });
                            assert_ne!(*pid, 0, "everybody is visible here");
                            u64::from(*pid)
                        }
                        Err(error) => panic!("{error}"),
                    };
                    results[i].store(result, Release);
                    done.fetch_add(1, AcqRel);
                    wait_for(close, round);
                    drop(opened);
                    closed.fetch_add(1, AcqRel);
                }
            })
        })
        .collect();
    for round in 1..=ROUNDS {
        go.store(round, Release);
        until(|| done.load(Acquire) == MANY as u64 * round);
        let stat = sysvring::stat(&*name).expect("stat");
        assert_eq!(stat.members.iter().filter(|m| m.alive).count(), 2);
        for role in 0..2 {
            let of_role = || (role..MANY).step_by(2);
            let winners: Vec<_> = of_role().filter(|&i| results[i].load(Acquire) == 0).collect();
            assert_eq!(winners.len(), 1, "seats of role {role} in round {round}");
            let winner = racers[winners[0]].pid();
            assert!(stat.members.iter().any(|m| m.alive && m.pid == winner));
            for loser in of_role().filter(|i| *i != winners[0]) {
                assert_eq!(results[loser].load(Acquire), u64::from(winner));
            }
        }
        close.store(round, Release);
        until(|| closed.load(Acquire) == MANY as u64 * round);
        assert_eq!(is_gone(&*name), lifetime(round) == Lifetime::LastMember);
        if lifetime(round) == Lifetime::Kept {
            sysvring::remove(&*name).expect("removed");
        }
    }
    racers.into_iter().for_each(Fork::finish);
}

#[test]
fn opening_and_leaving_never_collide() {
    let name = Name::new();
    Worker::run(&[&"races::churn", &name, &0]);
    assert!(is_gone(name.as_str()), "the last member removed it");
}

#[test]
fn opening_and_removing_never_collide() {
    let name = Name::new();
    Worker::run(&[&"races::churn", &name, &1]);
    assert!(is_gone(name.as_str()), "it was removed, or the last member removed it");
}

/// Many processes open and leave, and some remove, as fast as they can, until enough opens have
/// succeeded. Every open returns a seat or an error that the seat is taken.
#[work]
fn churn(args: &mut Args) {
    let (name, removers): (String, usize) = (args.next(), args.next());
    let [opened] = shared_counters::<1>();
    let racers: Vec<Fork> = (0..MANY)
        .map(|i| {
            let name = &name;
            Fork::start(move || {
                let mut rng = Rng::new();
                while opened.load(Relaxed) < OPENS {
                    if i < 4 * removers && rng.below(2) == 0 {
                        match sysvring::remove(&**name) {
                            Ok(()) | Err(Error::NotFound { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    let options = Options::named(name).lifetime(Lifetime::LastMember);
                    match open(options, rng.below(2) == 0) {
                        Ok(handle) => {
                            opened.fetch_add(1, Relaxed);
                            rng.pause(14);
                            drop(handle);
                        }
                        Err(Error::SeatTaken { .. }) => rng.pause(14),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    racers.into_iter().for_each(Fork::finish);
}

//! Members that left or died are not woken: after a thousand of them, a burst costs as few system
//! calls as before.

use std::sync::atomic::Ordering::{Acquire, Release};

use sysvring::{Options, Wait, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::shared_counters::{shared_counters, until, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

const BURST: u64 = 64;
/// The number of bursts in each state. The median counts, because interruptions by the host cost
/// system calls.
const BURSTS: u64 = 21;
const DEATHS: u64 = 20;
/// The maximum number of posts and parks of a burst beyond those in a new channel.
const MORE: u64 = 8;

#[test(quiet)]
fn a_burst_after_a_thousand_senders_left() {
    Worker::run(&[&"departed_waiters::burst", &Name::new(), &"senders left"]);
}

#[test(quiet)]
fn a_burst_after_twenty_senders_were_killed() {
    Worker::run(&[&"departed_waiters::burst", &Name::new(), &"senders killed"]);
}

#[test(quiet)]
fn a_burst_after_twenty_parked_receivers_were_killed() {
    Worker::run(&[&"departed_waiters::burst", &Name::new(), &"receivers killed"]);
}

#[test(quiet)]
fn a_drain_after_a_thousand_receivers_left() {
    Worker::run(&[&"departed_waiters::drain", &Name::new(), &"receivers left"]);
}

#[test(quiet)]
fn a_drain_after_twenty_parked_senders_were_killed() {
    Worker::run(&[&"departed_waiters::drain", &Name::new(), &"senders killed"]);
}

/// Returns the posts of all living members, and how often they parked.
fn posts_and_sleeps(name: &str) -> [u64; 2] {
    let stat = sysvring::stat(name).expect("stat");
    let alive = || stat.members.iter().filter(|member| member.alive);
    [alive().map(|member| member.wakes).sum(), alive().map(|member| member.parks).sum()]
}

/// Returns the minimum cost of some bursts: a busy host makes some more expensive, departed waiters
/// all of them.
fn cost(name: &str, mut burst: impl FnMut()) -> [u64; 2] {
    let (mut posts, mut sleeps) = (Vec::new(), Vec::new());
    for _ in 0..BURSTS {
        let before = posts_and_sleeps(name);
        burst();
        let after = posts_and_sleeps(name);
        posts.push(after[0] - before[0]);
        sleeps.push(after[1] - before[1]);
    }
    [posts, sleeps].map(|of| of.into_iter().min().expect("a burst"))
}

fn compare(fresh: [u64; 2], after: [u64; 2]) {
    for (what, fresh, after) in [("posts", fresh[0], after[0]), ("sleeps", fresh[1], after[1])] {
        assert!(after <= fresh + MORE, "a burst costs {after} {what}; on a fresh channel {fresh}");
    }
}

/// Kills a member while it is parked.
fn kill_asleep(set: i32, wake: usize, body: impl FnOnce()) {
    let before = raw_ipc::waiting(set, wake);
    let mut victim = Fork::start(body);
    until(|| raw_ipc::waiting(set, wake) == before + 1);
    assert!(victim.kill_and_wait(), "it ended by itself");
    // A death wakes a member of the same side, which finds nothing and parks again.
    until(|| raw_ipc::waiting(set, wake) == before);
}

/// One receiver is parked; 64 messages are sent at once.
#[work]
fn burst(args: &mut Args) {
    let (name, what): (String, String) = (args.next(), args.next());
    let options = || Options::named(&name).capacity(128).max_members(64).wait(Wait::Park);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let receive = || {
        let rx: mpmc::Receiver<u64> = options().open().expect("open");
        while rx.recv().is_ok() {}
    };
    let all_quiet = || tx.is_empty() && raw_ipc::waiting(set, WAKE_RECEIVERS) == 1;
    let burst = || {
        until(all_quiet);
        for n in 0..BURST {
            tx.send(&n).expect("send");
        }
        until(all_quiet);
    };
    let receiver = Fork::start(receive);
    let fresh = cost(&name, burst);
    match &*what {
        "senders left" => {
            for _ in 0..1_000 {
                until(all_quiet);
                drop(options().attach::<mpmc::Sender<u64>>().expect("attach"));
            }
        }
        "senders killed" => {
            let [here] = shared_counters::<1>();
            for n in 0..DEATHS {
                until(all_quiet);
                let mut victim = Fork::start(|| {
                    let _tx: mpmc::Sender<u64> = options().attach().expect("attach");
                    here.fetch_add(1, Release);
                    std::thread::sleep(std::time::Duration::from_secs(100));
                });
                until_at_least(here, n + 1);
                assert!(victim.kill_and_wait(), "it ended by itself");
            }
        }
        "receivers killed" => (0..DEATHS).for_each(|_| kill_asleep(set, WAKE_RECEIVERS, receive)),
        other => panic!("{other}"),
    }
    let after = cost(&name, burst);
    drop(tx);
    receiver.finish();
    compare(fresh, after);
}

/// One sender is parked at a full ring; the receiver empties it.
#[work]
fn drain(args: &mut Args) {
    let (name, what): (String, String) = (args.next(), args.next());
    let options =
        || Options::named(&name).capacity(BURST as usize).max_members(64).wait(Wait::Park);
    let [asked, sent] = shared_counters::<2>();
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let set = rx.stat().expect("stat").set.expect("a set").id;
    // Fills the ring and sends one more, each time it is told to.
    let sender = Fork::start(|| {
        let tx: mpmc::Sender<u64> = options().open().expect("open");
        for round in 1.. {
            until_at_least(asked, round);
            if asked.load(Acquire) == u64::MAX {
                break;
            }
            for n in 0..=BURST {
                tx.send(&n).expect("send");
            }
            sent.store(round, Release);
        }
    });
    let is_blocked = || rx.is_full() && raw_ipc::waiting(set, WAKE_SENDERS) == 1;
    let ask = || {
        let round = asked.load(Acquire) + 1;
        asked.store(round, Release);
        until(is_blocked);
        round
    };
    let drain = |round: u64| {
        for _ in 0..BURST {
            rx.recv().expect("a message");
        }
        until_at_least(sent, round);
        rx.recv().expect("the last one");
    };
    let fresh = cost(&name, || drain(ask()));
    let round = ask();
    match &*what {
        "receivers left" => {
            for _ in 0..1_000 {
                until(is_blocked);
                drop(options().attach::<mpmc::Receiver<u64>>().expect("attach"));
            }
        }
        "senders killed" => {
            let send = || _ = options().open::<mpmc::Sender<u64>>().expect("open").send(&0);
            (0..DEATHS).for_each(|_| kill_asleep(set, WAKE_SENDERS, send));
        }
        other => panic!("{other}"),
    }
    drain(round);
    let after = cost(&name, || drain(ask()));
    asked.store(u64::MAX, Release);
    drop(tx);
    sender.finish();
    compare(fresh, after);
}

//! Senders and receivers are killed at random instructions, and restarted: no receiver is overrun,
//! nothing is torn, nobody is stuck.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use sysvring::{RecvError, Wait, WaitSet, broadcast};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::shared_counters;
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

const SECONDS: u64 = if cfg!(debug_assertions) { 4 } else { 8 };
const RECEIVERS: usize = 5;
const LONG: Duration = Duration::from_secs(20);

/// The same number in every word.
#[sysvring::message]
struct Message([u64; 13]);

struct Counts {
    is_over: &'static std::sync::atomic::AtomicU64,
    /// The number of messages whose send returned, and of those received.
    sent: &'static std::sync::atomic::AtomicU64,
    received: &'static std::sync::atomic::AtomicU64,
    missed: &'static std::sync::atomic::AtomicU64,
}

fn options(name: &str, n: usize) -> sysvring::Options {
    let wait = if n.is_multiple_of(2) { Wait::Park } else { Wait::default() };
    sysvring::Options::named(name).capacity(8).wait(wait).overwriting(is_overwriting(name))
}

fn is_overwriting(name: &str) -> bool {
    name.ends_with("overwriting")
}

fn send(name: &str, counts: &Counts) {
    let mut tx: broadcast::Sender<Message> = options(name, 1).open().expect("a sender");
    let mut rng = Rng::new();
    while counts.is_over.load(Acquire) == 0 {
        for _ in 0..rng.below(40) {
            // A position is sent once: a successor goes on where the dead one stopped.
            let n = tx.position();
            tx.send_timeout(&Message([n; 13]), LONG).expect("nobody is stuck");
            counts.sent.fetch_max(n + 1, Relaxed);
        }
        std::thread::sleep(Duration::from_micros(rng.below(100)));
    }
    tx.finish().expect("finished");
}

/// Receives, waiting in a call or in a set.
fn next_message(
    rx: &mut broadcast::Receiver<Message>,
    set: Option<&WaitSet>,
) -> Result<Message, RecvError> {
    let Some(set) = set else { return rx.recv_timeout(LONG) };
    loop {
        match rx.try_recv() {
            Err(RecvError::Empty) => {}
            other => return other,
        }
        if set.wait(Some(LONG)).expect("a set").is_empty() {
            return Err(RecvError::Timeout);
        }
    }
}

/// Every message from the first one on arrives, once, and whole.
fn receive(name: &str, n: usize, counts: &Counts) {
    let label = format!("receiver-{n}");
    // Some resume where the last one was killed, and some begin anew.
    let label = if n < 2 { label } else { String::new() };
    let mut rx: broadcast::Receiver<Message> =
        options(name, n).label(label).open().expect("a receiver");
    let set = n.is_multiple_of(3).then(|| {
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        set
    });
    let mut next = None;
    let mut rng = Rng::new();
    loop {
        let position = rx.position();
        let message = match next_message(&mut rx, set.as_ref()) {
            Ok(message) => message,
            Err(RecvError::Lagged { .. }) if next.is_none() => continue,
            Err(RecvError::Lagged { messages }) if is_overwriting(name) => {
                next = next.map(|next| next + messages);
                counts.missed.fetch_add(messages, Relaxed);
                continue;
            }
            // The sender is about to be restarted, or has finished.
            Err(RecvError::Disconnected) if counts.is_over.load(Acquire) != 0 => return,
            Err(RecvError::Disconnected) => {
                std::thread::sleep(Duration::from_micros(50));
                continue;
            }
            Err(error) => panic!("{error}, at {position}"),
        };
        let number = message.0[0];
        assert_eq!(message.0, [number; 13], "torn, at {position}");
        if !is_overwriting(name) {
            assert_eq!(number, position, "another message");
        }
        assert_eq!(next.unwrap_or(number), number, "a gap");
        next = Some(number + 1);
        counts.received.fetch_add(1, Relaxed);
        if rng.below(100) == 0 {
            std::thread::sleep(Duration::from_micros(rng.below(100)));
        }
    }
}

#[work]
fn kill_at_random(args: &mut Args) {
    let name: String = args.next();
    let [is_over, sent, received, missed] = shared_counters::<4>().each_ref();
    let counts = Counts { is_over, sent, received, missed };
    let start = |n: usize| {
        Fork::start(|| match n {
            0 => send(&name, &counts),
            n => receive(&name, n - 1, &counts),
        })
    };
    // The segment and its messages outlive every member.
    let mut members: Vec<Fork> = (0..=RECEIVERS).map(start).collect();
    let (begun, mut rng, mut kills) = (Instant::now(), Rng::new(), 0);
    // On a busy host, members are killed before they have done much.
    let enough = |kills| kills > 100 && received.load(Relaxed) > 1_000;
    while goes_on(begun, Duration::from_secs(SECONDS), enough(kills)) {
        std::thread::sleep(Duration::from_micros(rng.below(3_000)));
        let n = rng.below(members.len() as u64) as usize;
        assert!(members[n].kill_and_wait(), "it ended by itself");
        members[n] = start(n);
        kills += 1;
    }
    is_over.store(1, Release);
    members.into_iter().for_each(Fork::finish);
    let stat = sysvring::stat(&*name).expect("stat");
    sysvring::remove(&*name).expect("removed");
    let [sent, received, missed] = [sent, received, missed].map(|count| count.load(Acquire));
    eprintln!("{kills} kills, {sent} sent, {received} received, {missed} missed");
    assert!(kills > 100 && received > 1_000);
    assert_eq!(stat.overslept, 0);
}

#[test(quiet)]
fn nothing_is_lost_or_torn_when_members_are_killed() {
    Worker::run(&[&"random_kills::kill_at_random", &Name::new()]);
}

#[test(quiet)]
fn nothing_is_torn_when_members_of_an_overwriting_channel_are_killed() {
    let name = format!("{}-overwriting", Name::new());
    Worker::run(&[&"random_kills::kill_at_random", &name]);
}

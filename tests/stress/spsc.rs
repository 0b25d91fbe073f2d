//! SPSC: the sender and the receiver of one stream are killed over and over at random moments and
//! restarted, and the stream continues without a gap.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, RecvError};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::allowance;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::stopwatch;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

/// The duration of the run, and the minimum number of kills. A busy host takes longer for them.
const DURATION: Duration = Duration::from_secs(5);
const KILLS: u64 = 250;

/// The maximum time of a wait, less what the host excuses.
const STUCK: Duration = Duration::from_secs(5);

/// A position and values derived from it, so that a torn message contradicts itself.
type Message = [u64; 5];

fn message(position: u64) -> Message {
    [position, !position, position ^ 0x5555, position.rotate_left(17), position << 3]
}

#[test]
fn spsc_survives_random_kills() {
    let name = Name::new();
    let mut worker = Worker::start(&[&"spsc::kill_at_random", &name]).expect("start");
    let [kills, messages, again]: [f64; 3] = worker.figures().expect("figures");
    worker.finish();
    println!(
        "random kills: {kills} kills, {messages} messages received, each once and in order, {again} of \
         them begun by one receiver and finished by the next"
    );
    assert!(kills as u64 >= KILLS, "only {kills} kills");
}

/// What the two processes report.
struct Shared {
    /// Positions below this are certainly sent.
    sent: AtomicU64,
    /// Positions below this are certainly received and acknowledged.
    received: AtomicU64,
    /// The number of messages that another receiver got again.
    again: AtomicU64,
    /// The position that is processed under a guard, plus one.
    at_work: AtomicU64,
    /// Whether the sender is to end.
    over: AtomicU64,
}

#[work]
fn kill_at_random(args: &mut Args) {
    let name: String = args.next();
    // SAFETY: five numbers, shared with the children and never unmapped.
    let shared: &Shared = unsafe { &*shared_counters::<5>().as_ptr().cast() };
    let options = || Options::named(&*name).capacity(32);
    let send = || Fork::start(|| send_on(options(), shared));
    let receive = || Fork::start(|| receive_on(options(), shared));
    let mut rng = Rng::new();
    let (mut sender, mut receiver) = (send(), receive());
    let mut kills = 0;
    let start = Instant::now();
    let mut last = (0, now_ns());
    while stopwatch::goes_on(start, DURATION, kills >= KILLS) {
        rng.pause(22);
        match rng.below(3) {
            0 => {
                kills += u64::from(sender.kill_and_wait());
                sender = send();
            }
            1 => {
                kills += u64::from(receiver.kill_and_wait());
                receiver = receive();
            }
            _ => {
                sender.kill();
                receiver.kill();
                kills += u64::from(sender.kill_and_wait()) + u64::from(receiver.kill_and_wait());
                (receiver, sender) = (receive(), send());
            }
        }
        let received = shared.received.load(Acquire);
        if received != last.0 {
            last = (received, now_ns());
        }
        let stall = Duration::from_nanos(now_ns() - last.1);
        assert!(
            stall < STUCK || stall < STUCK + allowance(last.1),
            "nothing was received since position {received}"
        );
    }
    // A receiver that opens only after the last sender has left waits for the next one.
    let before = shared.received.load(Acquire);
    until(|| shared.received.load(Acquire) != before);
    shared.over.store(1, Release);
    sender.finish();
    receiver.finish();
    let (sent, received) = (shared.sent.load(Acquire), shared.received.load(Acquire));
    assert_eq!(sent, received, "sent and received");
    until(|| sysvring::stat(&*name).expect("stat").depth == 0);
    let overslept = sysvring::stat(&*name).expect("stat").overslept;
    assert_eq!(overslept, 0, "waiters found work that they were not woken for");
    print_line(format!("{kills} {received} {}", shared.again.load(Acquire)));
}

/// Checks that a successor starts where its predecessor's report ends, or one position further if
/// the predecessor died between the operation and the report.
fn goes_on(position: u64, report: &AtomicU64) {
    let reported = report.load(Acquire);
    assert!(position.wrapping_sub(reported) <= 1, "at {position}, reported {reported}");
    report.store(position, Release);
}

fn send_on(options: Options, shared: &Shared) {
    let mut tx: Sender<Message> = options.open().expect("the seat of the dead is free");
    goes_on(tx.position(), &shared.sent);
    while shared.over.load(Relaxed) == 0 {
        let next = message(tx.position());
        // The receiver is often absent.
        match tx.send_timeout(&next, Duration::from_millis(50)) {
            Ok(()) => shared.sent.store(tx.position(), Release),
            Err(sysvring::SendError::Timeout) => {}
            Err(sysvring::SendError::Disconnected) => {
                let _ = tx.wait_for_peer(Duration::from_millis(50));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn receive_on(options: Options, shared: &Shared) {
    let mut rx: Receiver<Message> = options.open().expect("the seat of the dead is free");
    goes_on(rx.position(), &shared.received);
    if rx.position() + 1 == shared.at_work.load(Acquire) {
        shared.again.fetch_add(1, Relaxed);
    }
    loop {
        let error = match rx.recv_ref() {
            Ok(guard) => {
                let position = guard.position();
                shared.at_work.store(position + 1, Release);
                assert_eq!(*guard, message(position));
                assert_eq!(position, shared.received.load(Relaxed), "a gap, or a message twice");
                guard.ack().expect("acknowledged");
                shared.received.store(position + 1, Release);
                continue;
            }
            Err(error) => error,
        };
        match error {
            RecvError::Disconnected if shared.over.load(Acquire) != 0 => return,
            RecvError::Disconnected => {
                let _ = rx.wait_for_peer(Duration::from_millis(50));
            }
            error => panic!("{error}"),
        }
    }
}

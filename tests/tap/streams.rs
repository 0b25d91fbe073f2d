//! A tap beside streams at full speed.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::{Message, Options, RecvError, Tap, TapStart, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::follow;

/// How long a stream lasts.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 1_500 });

/// The maximum number of words of a message of variable length.
const WORDS: usize = 128;

/// Whether the tap has seen a message. On a busy host it seldom runs, and is late for most.
static SEEN: AtomicBool = AtomicBool::new(false);

/// Waits in a thread of a sender until the tap has seen a message.
fn await_tap() {
    std::thread::spawn(|| {
        read_line();
        SEEN.store(true, Relaxed);
    });
}

/// Returns whether a sender has sent enough after `n` messages.
fn is_time(n: u64, start: Instant) -> bool {
    n.is_multiple_of(1024) && !goes_on(start, TIME, SEEN.load(Relaxed))
}

/// Follows senders until they have sent everything, and tells them of the first message.
fn follow_all(tap: &mut Tap, senders: &mut [Worker]) {
    let tell = |senders: &mut [Worker]| {
        senders.iter_mut().for_each(|sender| sender.write_line("seen").expect("tell"));
    };
    let mut is_told = false;
    follow(tap, |tap| {
        if !is_told && tap.seen() > 0 {
            is_told = true;
            tell(senders);
        }
        senders.iter().all(Worker::has_line)
    });
    if !is_told {
        tell(senders);
    }
}

/// Sends as fast as possible, each word of a message being its position. Returns how many.
fn send_fixed<const N: usize>(mut tx: spsc::Sender<[u64; N]>) -> u64 {
    let start = Instant::now();
    while !is_time(tx.position(), start) || tx.position() == 0 {
        tx.send(&[tx.position(); N]).expect("send");
    }
    tx.position()
}

/// The same in messages of 1 to [`WORDS`] words; every other one in place.
fn send_variable(mut tx: spsc::Sender<[u64]>) -> u64 {
    let start = Instant::now();
    while !is_time(tx.position(), start) || tx.position() == 0 {
        let position = tx.position();
        let len = 1 + position as usize * 7 % WORDS;
        if position.is_multiple_of(2) {
            tx.send(&[position; WORDS][..len]).expect("send");
        } else {
            let mut loan = tx.loan_with(len).expect("a loan");
            loan.fill(position);
            // Every 64th is dropped, and written again.
            if position % 64 == 1 {
                drop(loan);
                loan = tx.loan_with(len).expect("a loan");
                loan.fill(position);
            }
            loan.commit().expect("send");
        }
    }
    tx.position()
}

#[work]
fn send_spsc(args: &mut Args) {
    let (name, kind): (String, String) = (args.next(), args.next());
    await_tap();
    let sent = match kind.as_str() {
        "8" => send_fixed::<1>(Options::named(&name).attach().expect("attach")),
        "64" => send_fixed::<8>(Options::named(&name).attach().expect("attach")),
        "1024" => send_fixed::<128>(Options::named(&name).attach().expect("attach")),
        _ => send_variable(Options::named(&name).attach().expect("attach")),
    };
    print_line(sent);
    read_line();
}

fn drain<T: Message + ?Sized>(name: &str) {
    let mut rx: spsc::Receiver<T> = Options::named(name).attach().expect("attach");
    print_line("here");
    loop {
        match rx.recv_ref() {
            Ok(message) => message.ack().expect("acknowledged"),
            Err(RecvError::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[work]
fn receive_spsc(args: &mut Args) {
    let (name, kind): (String, String) = (args.next(), args.next());
    match kind.as_str() {
        "8" => drain::<[u64; 1]>(&name),
        "64" => drain::<[u64; 8]>(&name),
        "1024" => drain::<[u64; 128]>(&name),
        _ => drain::<[u64]>(&name),
    }
}

fn report(kind: &str, tap: &Tap, sent: u64) {
    let (seen, missed, unsent) = (tap.seen(), tap.missed(), tap.unsent());
    println!("{kind}: {sent} sent, {seen} seen, {missed} missed, {unsent} without a message");
}

fn spsc_stream(kind: &str, capacity: usize) {
    let name = Name::new();
    let options = || name.options().capacity(capacity);
    match kind {
        "8" => drop(options().create::<spsc::Receiver<[u64; 1]>>().expect("create")),
        "64" => drop(options().create::<spsc::Receiver<[u64; 8]>>().expect("create")),
        "1024" => drop(options().create::<spsc::Receiver<[u64; 128]>>().expect("create")),
        _ => drop(options().slot_size(8 * WORDS).create::<spsc::Receiver<[u64]>>().expect("new")),
    }
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    let mut receiver = Worker::start(&[&"streams::receive_spsc", &name, &kind]).expect("start");
    receiver.expect("here");
    let mut sender = Worker::start(&[&"streams::send_spsc", &name, &kind]).expect("start");
    follow_all(&mut tap, std::slice::from_mut(&mut sender));
    let sent: u64 = sender.read_line().expect("a number").parse().expect("a number");
    sender.write_line("leave").expect("tell");
    sender.finish();
    receiver.finish();
    crate::rest(&mut tap);
    report(&format!("SPSC, {kind} B, {capacity} slots"), &tap, sent);
    assert_eq!((tap.position(), tap.seen() + tap.missed(), tap.unsent()), (sent, sent, 0));
    assert!(tap.seen() > 0);
}

#[test]
fn spsc_8_b() {
    spsc_stream("8", 4096);
    spsc_stream("8", 64);
}

#[test]
fn spsc_64_b() {
    spsc_stream("64", 1024);
    spsc_stream("64", 8);
}

#[test]
fn spsc_1_kib() {
    spsc_stream("1024", 256);
    spsc_stream("1024", 1);
}

#[test]
fn spsc_of_variable_length() {
    spsc_stream("variable", 256);
}

#[work]
fn send_mpmc(args: &mut Args) {
    let tx: mpmc::Sender<[u64; 8]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    let abandons: bool = args.next();
    await_tap();
    let (mut sent, start) = (0u64, Instant::now());
    while !is_time(sent, start) || sent == 0 {
        let mut loan = tx.loan().expect("a loan");
        *loan = [loan.position(); 8];
        if abandons && sent.is_multiple_of(32) {
            loan[7] = u64::MAX;
            drop(loan);
            loan = tx.loan().expect("a loan");
            *loan = [loan.position(); 8];
        }
        loan.commit().expect("send");
        sent += 1;
    }
    print_line(sent);
    read_line();
}

#[work]
fn receive_mpmc(args: &mut Args) {
    let rx: mpmc::Receiver<[u64; 8]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    print_line("here");
    loop {
        match rx.recv() {
            Ok(message) => assert_eq!(message, [message[0]; 8]),
            Err(RecvError::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn mpmc_stream(capacity: usize, abandons: bool) {
    let name = Name::new();
    drop(name.options().capacity(capacity).create::<mpmc::Receiver<[u64; 8]>>().expect("create"));
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    let mut receivers =
        [(); 2].map(|()| Worker::start(&[&"streams::receive_mpmc", &name]).expect("start"));
    receivers.iter_mut().for_each(|receiver| receiver.expect("here"));
    let mut senders =
        [(); 2].map(|()| Worker::start(&[&"streams::send_mpmc", &name, &abandons]).expect("start"));
    follow_all(&mut tap, &mut senders);
    let mut sent = 0;
    for mut sender in senders {
        sent += sender.read_line().expect("a number").parse::<u64>().expect("a number");
        sender.write_line("leave").expect("tell");
        sender.finish();
    }
    receivers.into_iter().for_each(Worker::finish);
    crate::rest(&mut tap);
    report(&format!("MPMC, 64 B, {capacity} slots, abandons {abandons}"), &tap, sent);
    let (seen, missed, unsent) = (tap.seen(), tap.missed(), tap.unsent());
    assert_eq!(seen + missed + unsent, tap.position());
    assert!(seen > 0 && seen <= sent && sent <= tap.position());
    // A sender that was stopped while it abandoned a position again may send there unseen.
    assert!(abandons || sent <= seen + missed, "{sent} sent");
}

#[test]
fn mpmc_2_and_2() {
    mpmc_stream(1024, false);
    mpmc_stream(64, false);
}

#[test]
fn mpmc_with_abandoned_loans() {
    mpmc_stream(1024, true);
    mpmc_stream(4, true);
}

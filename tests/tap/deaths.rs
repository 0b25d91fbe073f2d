//! A tap beside members that are killed at any moment.

use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, SendError, Tap, TapStart, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::{check, rest};

const ROUNDS: u64 = if cfg!(debug_assertions) { 150 } else { 500 };

#[work]
fn send_spsc(args: &mut Args) {
    let mut tx: spsc::Sender<[u64; 16]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    print_line("here");
    loop {
        // Long enough to be killed in the middle.
        let position = tx.position();
        let mut loan = match tx.loan() {
            Ok(loan) => loan,
            // The next receiver comes soon.
            Err(SendError::Disconnected) => {
                std::thread::yield_now();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        *loan = [position; 16];
        loan.commit().expect("send");
    }
}

#[work]
fn receive_spsc(args: &mut Args) {
    let mut rx: spsc::Receiver<[u64; 16]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    print_line("here");
    loop {
        match rx.recv_timeout(Duration::from_secs(60)) {
            Ok(message) => assert_eq!(message, [message[0]; 16]),
            // The next sender comes soon.
            Err(RecvError::Disconnected) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[work]
fn send_mpmc(args: &mut Args) {
    let tx: mpmc::Sender<[u64; 16]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    print_line("here");
    loop {
        let mut loan = match tx.loan() {
            Ok(loan) => loan,
            Err(SendError::Disconnected) => {
                std::thread::yield_now();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        *loan = [loan.position(); 16];
        loan.commit().expect("send");
    }
}

#[work]
fn receive_mpmc(args: &mut Args) {
    let rx: mpmc::Receiver<[u64; 16]> =
        Options::named(args.next::<String>()).attach().expect("attach");
    print_line("here");
    loop {
        match rx.recv_timeout(Duration::from_secs(60)) {
            Ok(message) => assert_eq!(message, [message[0]; 16]),
            Err(RecvError::Disconnected) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn start(work: &str, name: &Name) -> Worker {
    let mut worker = Worker::start(&[&work, name]).expect("start");
    worker.expect("here");
    worker
}

/// Follows a channel whose members go on: it may never find the tap at the end.
fn follow_for(tap: &mut Tap, time: Duration) {
    let (mut message, end) = (Vec::new(), Instant::now() + time);
    while Instant::now() < end {
        let found = tap.next_timeout(&mut message, Duration::from_millis(1)).expect("a channel");
        found.iter().for_each(|tapped| check(&message, tapped.position));
    }
}

/// Kills members in turn, and starts others in their place, while a tap follows.
fn killed(name: &Name, works: &[&str]) -> Tap {
    let mut tap = Tap::open(name.as_str(), TapStart::Now).expect("a tap");
    let mut workers: Vec<Worker> = works.iter().map(|work| start(work, name)).collect();
    let mut rng = Rng::new();
    for round in 0..ROUNDS {
        follow_for(&mut tap, rng.time(23));
        let which = round as usize % works.len();
        workers[which].kill_and_wait().expect("kill");
        // Half a message of the dead is not reported, and does not stop the tap for good.
        follow_for(&mut tap, Duration::from_millis(1));
        workers[which] = start(works[which], name);
    }
    workers.iter_mut().for_each(|worker| worker.kill_and_wait().expect("kill"));
    rest(&mut tap);
    tap
}

#[test]
fn spsc_members_are_killed() {
    for capacity in [8, 256] {
        let name = Name::new();
        drop(name.options().capacity(capacity).create::<spsc::Sender<[u64; 16]>>().expect("new"));
        let mut tap = killed(&name, &["deaths::send_spsc", "deaths::receive_spsc"]);
        let mut tx: spsc::Sender<[u64; 16]> = name.options().attach().expect("attach");
        let mut rx: spsc::Receiver<[u64; 16]> = name.options().attach().expect("attach");
        while rx.try_recv().is_ok() {}
        let last = tx.position();
        tx.send(&[last; 16]).expect("room");
        assert_eq!(rest(&mut tap).last(), Some(&last));
        assert_eq!((tap.seen() + tap.missed(), tap.unsent()), (last + 1, 0));
        println!("{capacity} slots: {} seen, {} missed", tap.seen(), tap.missed());
    }
}

#[test]
fn mpmc_members_are_killed() {
    for capacity in [8, 256] {
        let name = Name::new();
        drop(name.options().capacity(capacity).create::<mpmc::Sender<[u64; 16]>>().expect("new"));
        let works =
            ["send", "receive", "send", "receive"].map(|what| format!("deaths::{what}_mpmc"));
        let mut tap = killed(&name, &works.each_ref().map(String::as_str));
        // Living members free what the dead have left; then the tap sees the next message.
        let tx: mpmc::Sender<[u64; 16]> = name.options().attach().expect("attach");
        let rx: mpmc::Receiver<[u64; 16]> = name.options().attach().expect("attach");
        while rx.try_recv().is_ok() {}
        let mut loan = tx.loan_timeout(crate::LONG).expect("room");
        let last = loan.position();
        *loan = [last; 16];
        loan.commit().expect("send");
        assert_eq!(rx.recv_timeout(crate::LONG), Ok([last; 16]));
        assert_eq!(rest(&mut tap).last(), Some(&last));
        let (seen, missed, unsent) = (tap.seen(), tap.missed(), tap.unsent());
        assert_eq!(seen + missed + unsent, last + 1);
        println!("{capacity} slots: {seen} seen, {missed} missed, {unsent} without a message");
    }
}

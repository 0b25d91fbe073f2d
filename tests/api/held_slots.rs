//! Messages that are held for long, and loans that are dropped: neither stops the ring, and what a
//! call that does not block reports is true.

use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, SendError, mpmc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

const CAPACITY: usize = 8;

fn channel(name: &Name) -> (mpmc::Sender<u64>, mpmc::Receiver<u64>) {
    let tx = name.options().capacity(CAPACITY).open().expect("open");
    (tx, name.options().attach().expect("attach"))
}

/// Sends numbers until the ring is full; returns how many.
fn fill(tx: &mpmc::Sender<u64>, first: u64) -> u64 {
    (0..).take_while(|n| tx.try_send(&(first + n)) == Ok(())).count() as u64
}

#[test]
fn dropped_loans_are_free_at_once() {
    let name = Name::new();
    let (tx, rx) = channel(&name);
    tx.send(&0).expect("send");
    let loans: Vec<_> = (1..CAPACITY).map(|_| tx.try_loan().expect("a slot")).collect();
    assert_eq!(tx.try_send(&1), Err(SendError::Full));
    drop(loans);
    assert_eq!(fill(&tx, 1), 7);
    assert_eq!(tx.try_send(&8), Err(SendError::Full));
    assert_eq!(
        rx.try_iter().map(|n| n.expect("a message")).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
}

#[test]
fn a_held_message_costs_one_slot() {
    let name = Name::new();
    let (tx, rx) = channel(&name);
    assert_eq!(fill(&tx, 0), 8);
    let guard = rx.recv_ref().expect("a message");
    let mut next = 1;
    let mut receive = |messages| {
        for _ in 0..messages {
            assert_eq!(rx.try_recv(), Ok(next));
            next += 1;
        }
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    };
    receive(7);
    for lap in 0..100 {
        assert_eq!(fill(&tx, 8 + 7 * lap), 7, "in lap {lap}");
        assert_eq!((tx.len(), rx.stat().expect("stat").depth), (8, 8));
        assert_eq!(tx.try_send(&0), Err(SendError::Full));
        receive(7);
        assert_eq!((tx.len(), rx.stat().expect("stat").depth), (1, 1));
    }
    assert_eq!(tx.flush(Duration::from_millis(20)), Err(SendError::Timeout));
    assert_eq!((*guard, guard.position(), guard.delivery_count()), (0, 0, 1));
    guard.ack().expect("acknowledged");
    tx.flush(Duration::from_secs(10)).expect("flush");
    assert_eq!(fill(&tx, 708), 8);
}

#[test]
fn a_forgotten_guard_does_not_stop_the_channel() {
    let name = Name::new();
    let (tx, rx) = channel(&name);
    assert_eq!(fill(&tx, 0), 8);
    std::mem::forget(rx.recv_ref().expect("a message"));
    for n in 8..1_000 {
        assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok(n - 7));
        tx.send_timeout(&n, Duration::from_secs(10)).expect("a free slot");
    }
    // It comes back when its receiver leaves, with its position.
    let other: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    drop(rx);
    let mut messages = Vec::new();
    while let Ok(guard) = other.recv_ref_timeout(Duration::ZERO) {
        messages.push((*guard, guard.delivery_count()));
        assert!(*guard != 0 || guard.position() == 0);
        guard.ack().expect("acknowledged");
    }
    assert_eq!(messages.iter().filter(|message| message.1 == 2).collect::<Vec<_>>(), [&(0, 2)]);
    assert_eq!(messages.len(), 8);
}

#[test]
fn a_returned_message_is_delivered_again_after_it_was_stepped_over() {
    let name = Name::new();
    let (tx, rx) = channel(&name);
    assert_eq!(fill(&tx, 0), 8);
    let other: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let mut guard = rx.recv_ref().expect("a message");
    for times in 1..=20 {
        // A few laps.
        for _ in 0..30 {
            if rx.try_recv().is_ok() {
                tx.send(&1).expect("a free slot");
            }
        }
        assert_eq!((*guard, guard.position()), (0, 0));
        assert_eq!(guard.delivery_count(), times.min(16));
        guard.release().expect("returned");
        // Under load: the ring is full of other messages.
        guard = loop {
            let next = other.recv_ref().expect("a message");
            match *next {
                0 => break next,
                _ => next.ack().expect("acknowledged"),
            }
            tx.send(&1).expect("a free slot");
        };
    }
    guard.ack().expect("acknowledged");
}

#[test]
fn a_try_call_names_the_sender_in_the_way() {
    let name = Name::new();
    let (tx, rx) = channel(&name);
    let pid = std::process::id();
    let loan = tx.loan().expect("a slot");
    // Nothing was sent yet.
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let other: mpmc::Sender<u64> = name.options().attach().expect("attach");
    other.send(&1).expect("send");
    assert_eq!(rx.try_recv(), Err(RecvError::Behind { pid }));
    assert_eq!(rx.try_recv_ref().err(), Some(RecvError::Behind { pid }));
    assert_eq!(rx.try_iter().count(), 0);
    assert_eq!(fill(&other, 2), 6);
    assert_eq!(other.try_send(&8), Err(SendError::Behind { pid }));
    assert_eq!(other.try_loan().err(), Some(SendError::Behind { pid }));
    drop(loan);
    assert_eq!(rx.try_recv(), Ok(1));
    // While every slot holds a message, the ring is full, whatever is done with them.
    assert_eq!(fill(&other, 8), 2);
    let guards: Vec<_> = (0..8).map(|_| rx.try_recv_ref().expect("a message")).collect();
    assert_eq!(other.try_send(&10), Err(SendError::Full));
    assert_eq!(other.send_timeout(&10, Duration::ZERO), Err(SendError::Blocked { pid }));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    guards.into_iter().for_each(|guard| guard.ack().expect("acknowledged"));
}

/// How long the slow job takes, and all others.
const SLOW: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_micros(20);
const JOBS: u64 = 10_000;

#[work]
fn work_in_a_pool(args: &mut Args) {
    let name: String = args.next();
    let rx: mpmc::Receiver<u64> = Options::named(name).attach().expect("attach");
    print_line("here");
    let mut done = 0;
    while let Ok(job) = rx.recv_ref() {
        if *job == JOBS / 10 {
            std::thread::sleep(SLOW);
        } else {
            let start = Instant::now();
            while start.elapsed() < QUICK {}
        }
        job.ack().expect("acknowledged");
        done += 1;
    }
    print_line(done);
}

/// One slow worker of four costs one slot of 64, and the sender next to nothing.
#[test]
fn a_slow_job_does_not_stop_a_pool() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(64).open().expect("open");
    let start = || {
        let mut worker = Worker::start(&[&"held_slots::work_in_a_pool", &name]).expect("start");
        worker.expect("here");
        worker
    };
    let workers: Vec<Worker> = (0..4).map(|_| start()).collect();
    let mut watch = Watch::start(&[]);
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    for job in 0..JOBS {
        let start = Instant::now();
        tx.send(&job).expect("send");
        if start.elapsed() > longest {
            longest = longest.max(start.elapsed().saturating_sub(watch.allowance()));
        }
        watch.restart();
    }
    let all = began.elapsed();
    tx.flush(Duration::from_secs(60)).expect("flush");
    drop(tx);
    let mut done = 0;
    for mut worker in workers {
        done += worker.read_line().expect("a number").parse::<u64>().expect("a number");
        worker.finish();
    }
    println!(
        "beside a job of {SLOW:?}, the longest send took {longest:.1?}, all of them {all:.1?}"
    );
    assert_eq!(done, JOBS);
    assert!(longest < SLOW / 2, "a send took {longest:?}");
}

//! MPMC channels: every message is received once, in the order of its sender, whichever process
//! dies.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, mpmc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

/// Sends `count` pairs of its number and a counter.
#[work]
fn send(args: &mut Args) {
    let (name, own, count): (String, u64, u64) = (args.next(), args.next(), args.next());
    let tx: mpmc::Sender<[u64; 3]> = Options::named(name).open().expect("open");
    for n in 0..count {
        tx.send(&[own, n, own ^ n]).expect("send");
    }
}

/// Receives until the end, checks the order, and reports the number of messages and their sum.
#[work]
fn receive(args: &mut Args) {
    let name: String = args.next();
    let rx: mpmc::Receiver<[u64; 3]> = Options::named(name).open().expect("open");
    print_line("here");
    let (mut last, mut count, mut sum) = ([None::<u64>; 16], 0, 0);
    for message in &rx {
        let [own, n, both] = message.expect("receive");
        assert_eq!(own ^ n, both, "torn");
        assert!(last[own as usize].is_none_or(|last| last < n), "out of order");
        last[own as usize] = Some(n);
        (count, sum) = (count + 1, sum + n);
    }
    print_line(format!("{count} {sum}"));
}

#[test]
fn every_message_once() {
    for (senders, receivers, capacity) in [(1, 1, 1), (4, 4, 8), (4, 1, 1024), (1, 4, 64)] {
        const EACH: u64 = 5_000;
        let name = Name::new();
        // Open until the others have sent, so that the stream does not end between two of them.
        let last: mpmc::Sender<[u64; 3]> = name.options().capacity(capacity).open().expect("open");
        let mut rx: Vec<_> = (0..receivers)
            .map(|_| Worker::start(&[&"mpmc_delivery::receive", &name]).expect("start"))
            .collect();
        rx.iter_mut().for_each(|rx| rx.expect("here"));
        let tx: Vec<_> = (0..senders)
            .map(|own| Worker::start(&[&"mpmc_delivery::send", &name, &own, &EACH]).expect("start"))
            .collect();
        tx.into_iter().for_each(Worker::finish);
        drop(last);
        let (mut count, mut sum) = (0.0, 0.0);
        for rx in &mut rx {
            let [c, s] = rx.figures().expect("figures");
            (count, sum) = (count + c, sum + s);
        }
        assert_eq!(count as u64, senders * EACH);
        assert_eq!(sum as u64, senders * (EACH * (EACH - 1) / 2));
    }
}

/// Receives messages in place, and reports each before it acknowledges it.
#[work]
fn work_slowly(args: &mut Args) {
    let name: String = args.next();
    let rx: mpmc::Receiver<[u64; 3]> = Options::named(name).open().expect("open");
    print_line("here");
    loop {
        match rx.recv_ref() {
            Ok(message) => {
                std::thread::sleep(Duration::from_micros(200));
                print_line(message[1]);
                message.ack().expect("acknowledged");
            }
            Err(RecvError::Disconnected) => return print_line("end"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_stream_survives_its_workers() {
    const COUNT: u64 = 3_000;
    const KILLS: u64 = 21;
    let name = Name::new();
    let tx: mpmc::Sender<[u64; 3]> = name.options().capacity(32).open().expect("open");
    let (done, all_seen) = std::sync::mpsc::channel::<()>();
    let kills = Arc::new(AtomicU64::new(0));
    let count = Arc::new(AtomicU64::new(u64::MAX));
    let (kills_so_far, final_count) = (Arc::clone(&kills), Arc::clone(&count));
    let sender = std::thread::spawn(move || {
        let mut n = 0;
        // On a busy host, all may be received before many are killed.
        while n < COUNT || kills_so_far.load(Relaxed) < KILLS {
            tx.send(&[0, n, n]).expect("send");
            n += 1;
        }
        final_count.store(n, Relaxed);
        tx.flush(Duration::from_secs(60)).expect("flush");
        // A receiver that joins after the last sender left would wait for the next sender.
        let _ = all_seen.recv();
    });
    let mut done = Some(done);
    let mut seen = HashSet::new();
    let start = || {
        let mut worker = Worker::start(&[&"mpmc_delivery::work_slowly", &name]).expect("start");
        worker.expect("here");
        worker
    };
    let mut workers: Vec<Option<Worker>> = (0..3).map(|_| Some(start())).collect();
    while workers.iter().any(Option::is_some) {
        if seen.len() as u64 == count.load(Relaxed) {
            done = None;
        }
        for slot in &mut workers {
            let Some(worker) = slot else { continue };
            // It may have acknowledged a message that it did not report in time, but not the
            // reverse.
            let killed = kills.load(Relaxed);
            if done.is_some() && killed < 60 && seen.len() as u64 > 40 * (killed + 1) {
                worker.kill().expect("kill");
                kills.store(killed + 1, Relaxed);
                while let Ok(line) = worker.read_line() {
                    seen.extend(line.parse::<u64>());
                }
                *slot = Some(start());
                continue;
            }
            // A worker without messages would block the reading of all others.
            if done.is_some() && !worker.has_line() {
                continue;
            }
            match worker.read_line().expect("a line").as_str() {
                "end" => *slot = None,
                line => _ = seen.insert(line.parse::<u64>().expect("a number")),
            }
        }
    }
    sender.join().expect("all sent");
    let (count, kills) = (count.load(Relaxed), kills.load(Relaxed));
    let missing: Vec<u64> = (0..count).filter(|n| !seen.contains(n)).collect();
    assert!(missing.is_empty(), "lost after {kills} kills: {missing:?}");
}

#[test]
fn clones_share_a_seat_and_try_clone_takes_another() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().label("a label").open().expect("open");
    let clone = tx.clone();
    assert_eq!(tx.stat().expect("stat").members.iter().filter(|m| m.alive).count(), 1);
    let other = tx.try_clone().expect("another");
    let labels = tx.stat().expect("stat").members.into_iter().filter(|m| m.alive).map(|m| m.label);
    assert_eq!(labels.collect::<Vec<_>>(), ["a label", "a label"]);
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    std::thread::scope(|scope| {
        for tx in [&tx, &clone, &other] {
            scope.spawn(move || (0..1000).for_each(|n| tx.send(&n).expect("send")));
        }
        let mut sum = 0;
        for _ in 0..3000 {
            sum += rx.recv().expect("receive");
        }
        assert_eq!(sum, 3 * 499_500);
    });
    drop((tx, clone));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    drop(other);
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
}

#[test]
fn a_slow_member_is_named() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let loan = tx.loan().expect("a slot");
    tx.send(&2).expect("send");
    let start = Instant::now();
    let pid = std::process::id();
    assert_eq!(rx.recv_timeout(Duration::from_millis(50)), Err(RecvError::Blocked { pid }));
    assert!(start.elapsed() >= Duration::from_millis(50));
    drop(loan);
    assert_eq!(rx.recv(), Ok(2));
}

#[test]
fn recv_into_writes_its_buffer_once() {
    let name = Name::new();
    let tx: mpmc::Sender<[u64; 3]> = name.options().open().expect("open");
    let rx: mpmc::Receiver<[u64; 3]> = name.options().attach().expect("attach");
    let mut place = [7; 3];
    assert_eq!(rx.try_recv_into(&mut place), Err(RecvError::Empty));
    let soon = Duration::from_millis(1);
    assert_eq!(rx.recv_into_timeout(&mut place, soon), Err(RecvError::Timeout));
    assert_eq!(place, [7; 3]);
    tx.send_batch(&[[1, 2, 3], [4, 5, 6], [7, 8, 9]]).expect("send");
    rx.recv_into(&mut place).expect("receive");
    assert_eq!(place, [1, 2, 3]);
    rx.try_recv_into(&mut place).expect("receive");
    assert_eq!(place, [4, 5, 6]);
    rx.recv_into_timeout(&mut place, soon).expect("receive");
    assert_eq!(place, [7, 8, 9]);
    drop(tx);
    assert_eq!(rx.recv_into(&mut place), Err(RecvError::Disconnected));
}

#[test]
fn the_number_of_seats_is_limited() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().max_members(3).open().expect("open");
    let all: Vec<_> = (0..2).map(|_| tx.try_clone().expect("a seat")).collect();
    match tx.try_clone() {
        Err(sysvring::Error::NoSeat { seats: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    drop(all);
    tx.try_clone().expect("a seat again");
}

/// A forgotten guard and a forgotten loan end with their handle: the message is delivered again,
/// and receivers step over the slot, even if another member has the seat by then.
#[test]
fn forgotten_guards_and_loans_end_with_their_handle() {
    for again in [false, true] {
        let name = Name::new();
        let options = name.options().capacity(2);
        let tx: mpmc::Sender<u64> = options.open().expect("open");
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        let forgetful: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        tx.send(&1).expect("send");
        std::mem::forget(forgetful.recv_ref().expect("a message"));
        // Scans the slots while there is no message for it.
        assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout));
        drop(forgetful);
        let other = again.then(|| name.options().attach::<mpmc::Receiver<u64>>().expect("attach"));
        assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok(1), "again {again}");
        drop(other);
        let forgetful: mpmc::Sender<u64> = name.options().attach().expect("attach");
        std::mem::forget(forgetful.loan().expect("a slot"));
        tx.send(&2).expect("send");
        drop(forgetful);
        let other = again.then(|| name.options().attach::<mpmc::Sender<u64>>().expect("attach"));
        assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok(2), "again {again}");
        drop((other, tx));
        assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Err(RecvError::Disconnected));
    }
}

/// A receiver that finds the channel empty waits for the next sender, whatever happened before.
#[test]
fn an_abandoned_slot_is_not_a_message() {
    for sent in 0..40 {
        let name = Name::new();
        let tx: mpmc::Sender<u64> = name.options().capacity(64).open().expect("open");
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        for n in 0..sent {
            tx.send(&n).expect("send");
            assert_eq!(rx.recv(), Ok(n));
        }
        drop(tx.loan().expect("a slot"));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        drop((tx, rx));
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        let soon = Duration::from_millis(5);
        assert_eq!(rx.recv_timeout(soon), Err(RecvError::Timeout), "after {sent}");
        drop(rx);
        let tx: mpmc::Sender<u64> = name.options().attach().expect("attach");
        tx.send(&7).expect("send");
        tx.finish().expect("finish");
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        let other: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        assert_eq!(rx.recv(), Ok(7), "after {sent}");
        assert_eq!(rx.recv_timeout(soon), Err(RecvError::Disconnected), "after {sent}");
        assert_eq!(other.recv_timeout(soon), Err(RecvError::Disconnected), "after {sent}");
    }
}

/// However many slots were abandoned, and whichever member stepped over them: a member that joins,
/// or joins again, finds the position of the next message.
#[test]
fn abandoned_slots_do_not_mislead_new_members() {
    for between in [0, 1, 3] {
        let name = Name::new();
        let tx: mpmc::Sender<u64> = name.options().capacity(4).open().expect("open");
        let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        let idle: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        for n in 0..4_000 {
            if between != 0 && n % between == 0 {
                tx.send(&n).expect("send");
                assert_eq!(rx.recv(), Ok(n));
            }
            drop(tx.loan().expect("a slot"));
        }
        let new: mpmc::Receiver<u64> = name.options().attach().expect("attach");
        for rx in [&idle, &new, &rx] {
            assert_eq!(rx.try_recv(), Err(RecvError::Empty), "one message for {between}");
            tx.send(&between).expect("send");
            assert_eq!(rx.recv(), Ok(between));
        }
    }
}

/// Longer than the messages that are acknowledged together; messages beyond the requested number
/// stay.
#[test]
fn a_batch_contains_all_available_messages() {
    let tx: mpmc::Sender<u64> = Options::private().capacity(256).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).open().expect("open");
    let (mut sent, mut messages) = (0, Vec::new());
    for there in [1, 31, 32, 33, 64, 65, 200, 256] {
        for max in [1, 31, 32, 33, 64, 255, 256, 1_000] {
            let before = messages.len();
            tx.send_batch(&(sent..sent + there as u64).collect::<Vec<_>>()).expect("room");
            sent += there as u64;
            let got = rx.recv_batch(&mut messages, max).expect("a batch");
            assert_eq!((got, tx.len()), (there.min(max), there - there.min(max)));
            while !tx.is_empty() {
                rx.try_recv_batch(&mut messages, max).expect("the rest");
            }
            assert_eq!(messages.len() - before, there);
        }
    }
    assert!(messages.into_iter().eq(0..sent));
    assert_eq!(rx.try_recv_batch(&mut Vec::new(), 8), Err(RecvError::Empty));
}

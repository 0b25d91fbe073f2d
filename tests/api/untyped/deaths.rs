//! Members that are killed: peers of untyped handles, and processes that use them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::{Flavor, Options, RecvError, SendError, untyped};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use super::kinds::LONG;

/// Has one side of a channel until it is killed.
#[work]
fn sit(args: &mut Args) {
    let (name, side): (String, String) = (args.next(), args.next());
    let options = Options::named(name);
    let _handle: (Option<untyped::Sender>, Option<untyped::Receiver>) = match &*side {
        "sender" => (Some(options.attach().expect("attach")), None),
        _ => (None, Some(options.attach().expect("attach"))),
    };
    print_line("here");
    read_line();
}

fn seated(name: &Name, side: &str) -> Worker {
    let mut worker = Worker::start(&[&"untyped::deaths::sit", name, &side]).expect("start");
    worker.expect("here");
    worker
}

/// Kills a process while `call` waits for it, and returns what the call returned, soon after.
fn kill_during<R>(mut victim: Worker, call: impl FnOnce() -> R) -> R {
    std::thread::scope(|scope| {
        let killing = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            let at = now_ns();
            victim.kill_and_wait().expect("kill");
            at
        });
        let watch = Watch::start(&[]);
        let result = call();
        let late = watch.late(killing.join().expect("no panic"));
        assert!(late < Duration::from_millis(500), "noticed after {late:?}");
        result
    })
}

#[test]
fn the_death_of_the_sender_ends_a_receive<F: AnyFlavor>() {
    let name = Name::new();
    drop(name.options().create::<F::Sender<u64>>().expect("create"));
    let victim = seated(&name, "sender");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let result = kill_during(victim, || rx.recv_into(&mut Vec::new()));
    assert_eq!(result, Err(RecvError::Disconnected));
    // The next sender opens the channel again.
    let mut tx: F::Sender<u64> = name.options().attach().expect("attach");
    tx.try_send(&7).expect("room");
    assert_eq!(*rx.recv_boxed().expect("a message"), 7u64.to_ne_bytes());
}

#[test]
fn the_death_of_the_receiver_ends_a_send<F: TakingFlavor>() {
    let name = Name::new();
    drop(name.options().capacity(1).create::<F::Sender<u64>>().expect("create"));
    let victim = seated(&name, "receiver");
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(&7u64.to_ne_bytes()).expect("room");
    let result = kill_during(victim, || tx.send(&8u64.to_ne_bytes()));
    assert_eq!(result, Err(SendError::Disconnected));
    let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    tx.send(&8u64.to_ne_bytes()).expect("room");
    assert_eq!(rx.recv_timeout(LONG), Ok(8));
}

/// Holds a message in place, unacknowledged.
#[work]
fn hold(args: &mut Args) {
    let name: String = args.next();
    let mut rx: untyped::Receiver = Options::named(name).attach().expect("attach");
    let guard = rx.recv_ref().expect("a message");
    print_line(guard.delivery_count());
    read_line();
}

/// A message under the guard of a process that is killed is delivered to its successor.
#[test]
fn a_held_message_survives_its_receiver<F: TakingFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<[u8]> = name.options().capacity(4).create().expect("create");
    tx.try_send_batch(&[&b"first"[..], b"second"]).expect("room");
    for n in 1..=3 {
        let mut holder = Worker::start(&[&"untyped::deaths::hold", &name]).expect("start");
        holder.expect(&n.to_string());
        holder.kill_and_wait().expect("kill");
    }
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let mut got = Vec::new();
    for _ in 0..2 {
        let guard = rx.recv_ref_timeout(LONG).expect("a message");
        got.push((guard.to_vec(), guard.delivery_count()));
        guard.ack().expect("acknowledged");
    }
    got.sort();
    assert_eq!(got, [(b"first".to_vec(), 4), (b"second".to_vec(), 1)]);
    assert_eq!(tx.stat().expect("stat").depth, 0);
}

/// Reserves a slot, half writes a message there, and waits to be killed.
#[work]
fn half_write(args: &mut Args) {
    let name: String = args.next();
    let mut tx: untyped::Sender = Options::named(name).attach().expect("attach");
    tx.send(b"whole").expect("room");
    let mut loan = tx.loan(100).expect("room");
    loan[..50].fill(b'x');
    print_line("written");
    read_line();
}

/// A message that its sender did not send is never received.
#[test]
fn a_loan_dies_with_its_sender<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<[u8]> = name.options().capacity(4).create().expect("create");
    let mut worker = Worker::start(&[&"untyped::deaths::half_write", &name]).expect("start");
    worker.expect("written");
    worker.kill_and_wait().expect("kill");
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(b"next").expect("room");
    tx.finish().expect("a member");
    assert_eq!(*rx.recv_boxed_timeout(LONG).expect("a message"), *b"whole");
    assert_eq!(*rx.recv_boxed_timeout(LONG).expect("a message"), *b"next");
    assert_eq!(rx.recv_boxed_timeout(LONG).err(), Some(RecvError::Disconnected));
}

/// Sends numbers from `first` on until it is killed.
#[work]
fn count_up(args: &mut Args) {
    let (name, mut next): (String, u64) = (args.next(), args.next());
    let mut tx: untyped::Sender = Options::named(name).attach().expect("attach");
    print_line("here");
    loop {
        match next % 2 {
            0 => tx.send(&next.to_ne_bytes()).expect("a receiver"),
            _ => {
                let mut loan = tx.loan(8).expect("a receiver");
                loan.copy_from_slice(&next.to_ne_bytes());
                loan.commit().expect("a receiver");
            }
        }
        next += 1;
    }
}

/// Takes numbers in place, reports each one and then acknowledges it, until it is killed.
#[work]
fn report(args: &mut Args) {
    let name: String = args.next();
    let mut rx: untyped::Receiver = Options::named(name).attach().expect("attach");
    print_line("here");
    loop {
        let Ok(guard) = rx.recv_ref() else { return };
        print_line(u64::from_ne_bytes((&*guard).try_into().expect("eight bytes")));
        guard.ack().expect("acknowledged");
    }
}

/// Senders that are killed at random moments lose nothing that they sent, and send no half message.
#[test]
fn killed_senders_leave_whole_messages<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().capacity(8).create().expect("create");
    let (mut rng, mut next, mut kills) = (Rng(7), 0, 0);
    // On a busy host, many are killed before they have sent anything.
    while kills < 30 || next <= 100 {
        kills += 1;
        let mut worker =
            Worker::start(&[&"untyped::deaths::count_up", &name, &next]).expect("start");
        worker.expect("here");
        let until = Instant::now() + Duration::from_micros(rng.below(3_000));
        let mut dead = false;
        loop {
            if !dead && Instant::now() >= until {
                worker.kill_and_wait().expect("kill");
                dead = true;
            }
            match rx.try_recv() {
                Ok(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Err(RecvError::Empty | RecvError::Behind { .. }) => {}
                Err(RecvError::Disconnected) if dead => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Receivers that are killed at random moments, each followed by another one, lose nothing: every
/// message is reported, and one more often only if its receiver was killed before it acknowledged
/// it.
#[test]
fn killed_receivers_lose_nothing<F: TakingFlavor>() {
    const COUNT: u64 = 60_000;
    const DEATHS: u64 = 4;
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(8).create().expect("create");
    let deaths = Arc::new(AtomicU64::new(0));
    let deaths_so_far = Arc::clone(&deaths);
    let sending = std::thread::spawn(move || {
        let mut count = 0;
        // On a busy host, one receiver may live long enough for very many messages.
        while count < COUNT || deaths_so_far.load(Relaxed) < DEATHS {
            let n = count;
            count += 1;
            while let Err(error) = tx.send_timeout(&n, LONG) {
                assert_eq!(error, SendError::Disconnected);
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        // It stays until all is received.
        while tx.len() != 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        count
    });
    let mut rng = Rng(8);
    let mut reported = vec![0u32; COUNT as usize];
    let (mut last, mut again) = (None, 0);
    while !sending.is_finished() {
        let mut worker = Worker::start(&[&"untyped::deaths::report", &name]).expect("start");
        worker.expect("here");
        let until = Instant::now() + Duration::from_micros(1_000 + rng.below(6_000));
        while Instant::now() < until && !sending.is_finished() {
            if worker.has_line() {
                match worker.read_line() {
                    Ok(line) => note(&line, &mut reported, &mut last, &mut again),
                    // All was received, and it has ended.
                    Err(_) => break,
                }
            }
        }
        worker.kill_and_wait().expect("kill");
        deaths.fetch_add(1, Relaxed);
        // What it had reported when it died; the last line may be cut.
        while let Ok(line) = worker.read_line() {
            note(&line, &mut reported, &mut last, &mut again);
        }
    }
    let (count, deaths) = (sending.join().expect("no panic"), deaths.load(Relaxed));
    assert_eq!(reported.len() as u64, count, "a message was lost");
    assert!(reported.iter().all(|times| *times > 0), "a message was lost");
    assert!(again <= deaths, "{again} messages came again after {deaths} deaths");
    assert!(F::FLAVOR == Flavor::Mpmc || last == Some(count - 1));
}

fn note(line: &str, reported: &mut Vec<u32>, last: &mut Option<u64>, again: &mut u64) {
    let n: u64 = line.parse().expect("a number");
    reported.resize(reported.len().max(n as usize + 1), 0);
    reported[n as usize] += 1;
    *again += u64::from(reported[n as usize] > 1);
    *last = Some(n);
}

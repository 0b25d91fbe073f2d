//! Channels that are removed under their members: the segment, the set, or both, as `ipcrm` does,
//! and by `sysvring::remove`.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Fault, Options, RecvError, SendError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::Key;
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::error_text::advises;
use sysvring_support::stopwatch::Stopwatch;

/// The maximum time until a member is told.
const TOLD: Duration = Duration::from_millis(500);

const AGES: Duration = Duration::from_secs(86_400 * 365);

/// The calls that can be in progress.
const CALLS: [&str; 11] = [
    "recv",
    "recv_boxed",
    "recv_ref",
    "recv_batch",
    "wait_for_sender",
    "send",
    "loan",
    "flush",
    "wait_for_receiver",
    "try_recv",
    "try_send",
];

fn wait_of(text: &str) -> Wait {
    match text {
        "Spin" => Wait::Spin,
        "Balanced" => Wait::Balanced,
        "Park" => Wait::Park,
        other => panic!("unknown wait: {other}"),
    }
}

/// Opens an end, blocks until the channel is removed, and reports the result.
#[work]
fn blocked(args: &mut Args) {
    let (key, call, wait): (i32, String, String) = (args.next(), args.next(), args.next());
    let options = Options::key(key).capacity(2).wait(wait_of(&wait));
    match call.as_str() {
        "send" | "loan" | "flush" | "wait_for_receiver" | "try_send" => {
            let mut tx = options.open().expect("open");
            sending(&mut tx, &call);
            assert_eq!(tx.send(&0), Err(SendError::Fault(Fault::Removed)), "and stays so");
            let error = tx.close().expect_err("nothing is left to leave");
            assert!(matches!(error, Error::Fault(Fault::Removed)), "{error:?}");
        }
        _ => {
            let mut rx = options.open().expect("open");
            receiving(&mut rx, &call);
            assert_eq!(rx.recv(), Err(RecvError::Fault(Fault::Removed)), "and stays so");
            let error = rx.close().expect_err("nothing is left to leave");
            assert!(matches!(error, Error::Fault(Fault::Removed)), "{error:?}");
        }
    }
}

/// Reports that it is about to block, blocks, reports the result, and waits until told to end.
fn report<T: Debug, E: Debug>(call: impl FnOnce() -> Result<T, E>) {
    print_line("blocks");
    print_line(format!("{:?}", call().map(|_| "done")));
    read_line();
}

fn receiving(rx: &mut Receiver<u64>, call: &str) {
    match call {
        "recv" => report(|| rx.recv()),
        "recv_boxed" => report(|| rx.recv_boxed_timeout(AGES)),
        "recv_ref" => report(|| rx.recv_ref().map(drop)),
        "recv_batch" => report(|| rx.recv_batch_timeout(&mut Vec::new(), 9, Duration::MAX)),
        "wait_for_sender" => report(|| rx.wait_for_peer(AGES)),
        "try_recv" => report(|| {
            loop {
                match rx.try_recv() {
                    Err(RecvError::Empty) => {}
                    other => return other,
                }
            }
        }),
        other => panic!("no such call: {other}"),
    }
}

fn sending(tx: &mut Sender<u64>, call: &str) {
    let until_full = if call == "wait_for_receiver" { 0 } else { 2 };
    for n in 0..until_full {
        tx.send(&n).expect("there is room");
    }
    match call {
        "send" => report(|| tx.send(&9)),
        "loan" => report(|| tx.loan_timeout(AGES).map(|loan| *loan)),
        "flush" => report(|| tx.flush(AGES)),
        "wait_for_receiver" => report(|| tx.wait_for_peer(Duration::MAX)),
        "try_send" => report(|| {
            loop {
                match tx.try_send(&9) {
                    Err(SendError::Full) => {}
                    other => return other,
                }
            }
        }),
        other => panic!("no such call: {other}"),
    }
}

/// A channel is removed during each call, with each `Wait`: the call ends, and the key is free.
fn goes(take_away: impl Fn(&Key)) {
    for call in CALLS {
        for wait in ["Spin", "Balanced", "Park"] {
            let key = Key::new();
            let options = || key.options().open_timeout(MOMENT);
            let (mut tx, mut rx) = (None, None);
            match call {
                "wait_for_sender" | "wait_for_receiver" => {}
                "send" | "loan" | "flush" | "try_send" => {
                    rx = Some(options().capacity(2).open::<Receiver<u64>>().expect("open"));
                }
                _ => tx = Some(options().capacity(2).open::<Sender<u64>>().expect("open")),
            }
            let args: [&dyn ToString; 4] = [&"removal::blocked", &key.0, &call, &wait];
            let mut child = Worker::start(&args).expect("start");
            child.expect("blocks");
            if wait == "Spin" || call.starts_with("try") {
                std::thread::sleep(Duration::from_millis(2));
            } else {
                child.wait_asleep().expect("it sleeps");
            }
            take_away(&key);
            let watch = Stopwatch::with(child.pid());
            let told = child.read_line().expect("it reports the fault");
            let took = watch.took();
            assert_eq!(told, "Err(Fault(Removed))", "{call} {wait}");
            assert!(took < TOLD, "{call} {wait} was told after {took:?}");

            // The key is free at once, however many processes still have the old channel attached.
            let mut new_tx: Sender<u64> = options().open().expect("open again");
            let mut new_rx: Receiver<u64> = options().open().expect("open again");
            new_tx.send(&1).expect("send");
            assert_eq!(new_rx.recv(), Ok(1));
            // The end of the old members does not affect the new channel.
            child.write_line("go").expect("it listens");
            child.finish();
            drop((tx, rx));
            assert_eq!((new_tx.send(&2), new_rx.recv_timeout(MOMENT)), (Ok(()), Ok(2)));
            assert_eq!(new_rx.try_recv(), Err(RecvError::Empty));
        }
    }
}

fn take_segment(key: &Key) {
    raw_ipc::remove_segment(key.segment().expect("a segment")).expect("IPC_RMID");
}

pub fn take_set(key: &Key) {
    raw_ipc::remove_set(key.set().expect("a set")).expect("IPC_RMID");
}

fn take_channel(key: &Key) {
    sysvring::remove(key.address()).expect("remove");
    key.assert_free();
}

#[test]
fn the_segment_is_removed() {
    goes(take_segment);
}

#[test]
fn the_set_is_removed() {
    goes(take_set);
}

#[test]
fn the_segment_then_the_set_are_removed() {
    goes(|key| {
        take_segment(key);
        take_set(key);
    });
}

#[test]
fn the_set_then_the_segment_are_removed() {
    goes(|key| {
        take_set(key);
        take_segment(key);
    });
}

#[test]
fn the_channel_is_removed() {
    goes(take_channel);
}

const WAYS: [fn(&Key); 3] = [take_segment, take_set, take_channel];

/// Opens the receiver; when told, receives until the end, and reports what it received.
#[work]
fn drains(args: &mut Args) {
    let (key, call, wait): (i32, String, String) = (args.next(), args.next(), args.next());
    let options = Options::key(key).wait(wait_of(&wait));
    let mut rx: Receiver<u64> = options.open().expect("open");
    print_line("open");
    read_line();
    let mut all = Vec::new();
    let ended = loop {
        let mut batch = Vec::new();
        let received = match call.as_str() {
            "recv" => rx.recv().map(|n| batch.push(n)),
            "recv_ref" => rx.recv_ref().and_then(|n| n.read(|n| batch.push(*n))),
            "try_recv" => match rx.try_recv() {
                Err(RecvError::Empty) => Ok(()),
                other => other.map(|n| batch.push(n)),
            },
            _ => rx.recv_batch(&mut batch, 2).map(drop),
        };
        all.extend(batch);
        if let Err(error) = received {
            break error;
        }
    };
    print_line(format!("{all:?} then {ended:?}"));
}

#[test]
fn messages_are_received_before_the_fault() {
    for take_away in WAYS {
        for call in ["recv", "recv_ref", "try_recv", "recv_batch"] {
            for wait in ["Spin", "Balanced", "Park"] {
                let key = Key::new();
                let mut tx: Sender<u64> = key.options().open().expect("open");
                let args: [&dyn ToString; 4] = [&"removal::drains", &key.0, &call, &wait];
                let mut child = Worker::start(&args).expect("start");
                child.expect("open");
                let numbers = [1, 2, 3];
                tx.send_batch(&numbers).expect("send");
                take_away(&key);
                child.write_line("go").expect("it listens");
                child.expect("[1, 2, 3] then Fault(Removed)");
                child.finish();
            }
        }
    }
}

#[test]
fn a_sender_with_room_is_told() {
    for take_away in WAYS {
        for wait in [Wait::Spin, Wait::Balanced, Wait::Park] {
            let key = Key::new();
            let options = || key.options().capacity(8).wait(wait);
            let mut tx: Sender<u64> = options().open().expect("open");
            let _rx: Receiver<u64> = options().open().expect("open");
            tx.send(&0).expect("send");
            take_away(&key);
            let watch = Stopwatch::start();
            // At the latest when the ring is full.
            let told = (0..8).find_map(|n| tx.send(&n).err());
            assert_eq!(told, Some(SendError::Fault(Fault::Removed)));
            assert!(watch.took() < TOLD, "told after {:?}", watch.took());
            assert_eq!(tx.try_send(&0), Err(SendError::Fault(Fault::Removed)));
        }
    }
}

/// No call on a handle of a removed channel panics or waits.
#[test]
fn handles_of_a_removed_channel_return_errors() {
    for take_away in WAYS {
        let key = Key::new();
        let mut tx: Sender<u64> = key.options().capacity(4).open().expect("open");
        let mut rx: Receiver<u64> = key.options().open().expect("open");
        let observer = sysvring::Observer::open(key.address()).expect("observe");
        let id = tx.id();
        tx.send_batch(&[1, 2, 3]).expect("send");
        take_away(&key);
        let watch = Stopwatch::start();
        assert_eq!((tx.len(), rx.len(), tx.capacity(), rx.is_full()), (3, 3, 4, false));
        assert_eq!((rx.is_empty(), rx.position(), tx.position()), (false, 0, 3));
        for stat in [tx.stat(), rx.stat(), observer.stat()] {
            match stat {
                Ok(stat) => assert_eq!((stat.depth, stat.id), (3, id)),
                Err(error) => drop(advises(&error)),
            }
        }
        for peer in [tx.peer(), rx.peer()] {
            // Without the set, liveness is unknown.
            assert!(peer.is_ok() || peer == Err(Fault::Removed), "{peer:?}");
        }
        let mut iter = rx.iter();
        assert_eq!(
            (iter.next(), iter.next(), iter.next()),
            (Some(Ok(1)), Some(Ok(2)), Some(Ok(3)))
        );
        assert_eq!(iter.next(), Some(Err(RecvError::Fault(Fault::Removed))));
        assert_eq!(iter.next(), None);
        drop((tx, rx, observer));
        match key.segment() {
            // No process has it attached any more.
            None => assert!(matches!(sysvring::stat(id), Err(Error::NotFound { .. }))),
            // A channel that lost only its set can be observed, and taken over with its messages.
            Some(_) => assert!(sysvring::stat(id).expect("stat").set.is_none()),
        }
        assert!(watch.took() < TOLD, "it took {:?}", watch.took());
    }
}

/// An identifier belongs to one channel: an open while that is being removed returns that channel
/// or an error, and never another one or a new one.
#[test]
fn an_identifier_outlives_its_channel() {
    let start = Instant::now();
    let (mut opened, mut refused) = (0, 0);
    while start.elapsed() < Duration::from_millis(500) || opened < 3 || refused < 3 {
        let key = Key::new();
        let tx: Sender<u64> = key.options().create().expect("create");
        let id = tx.id();
        drop(tx);
        let remover = std::thread::spawn(move || sysvring::remove(id));
        while !remover.is_finished() {
            match Options::id(id).open_timeout(MOMENT).open::<Receiver<u64>>() {
                Ok(rx) => {
                    assert_eq!(rx.id(), id);
                    opened += 1;
                }
                Err(Error::NotFound { .. }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        remover.join().expect("no panic").expect("remove");
        key.assert_free();
    }
}

/// A creator is stopped at each of its system calls while another process removes the channel. Then
/// there is a channel, or there is none.
#[work]
fn remove_while_created(_: &mut Args) {
    for n in 0.. {
        let key = Key::new();
        let create = || {
            mark();
            // A removal in between is an error.
            let tx = key.options().open_timeout(MOMENT).create::<Sender<u64>>();
            mark();
            drop(tx);
        };
        let mut stepper = Stepper::start(create).expect("traced");
        let reached = (0..n).all(|_| stepper.run_to_call(&mut || false) == Stop::Call);
        if !reached {
            assert!(n > 10, "{n} calls");
            break;
        }
        // It waits for the creator, which goes on meanwhile.
        let mut remover = Fork::start(|| _ = sysvring::remove(key.address()));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(stepper.run(&mut || false), Stop::Marked, "call {n}");
        assert!(remover.wait().success());
        stepper.kill();
        assert_eq!(key.segment().is_some(), key.set().is_some(), "call {n}");
        drop(key.options().open::<Sender<u64>>().expect("open"));
        sysvring::remove(key.address()).expect("removed");
    }
}

#[test]
fn a_channel_that_is_being_created_is_removed_whole_or_not_at_all() {
    Worker::run(&[&"removal::remove_while_created"]);
}

//! A process with write access writes into a channel while it is being created. The creator works
//! with the values that it asked for.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, broadcast, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{Key, Segment};
use sysvring_support::shared_counters::shared_counters;
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::page;

type Large = [u8; 65_536];

/// Returns the words of another geometry, which is consistent and fits into the segment: slots of 8
/// bytes, where the real ones have 65536.
fn lies() -> Vec<(usize, usize, u64)> {
    let identity = page::find("Identity");
    let total = 4096 + 2048 * 16;
    [("capacity", 2048), ("slot_size", 8), ("stride", 16), ("size", 8), ("total", total)]
        .map(|(name, value)| {
            let field = identity.field(name);
            (identity.at[0] + field.offset, field.bytes, value)
        })
        .to_vec()
}

fn lie(segment: &Segment) {
    for (at, bytes, value) in lies() {
        match bytes {
            4 => segment.u32(at).store(value as u32, Relaxed),
            _ => segment.u64(at).store(value, Relaxed),
        }
    }
}

/// Creates each kind of channel and uses what it asked for.
fn create_and_use(key: &Key) {
    let options = || Options::key(key.0).capacity(2).mode(0o666);
    let mut tx: Sender<Large> = options().create().expect("create");
    assert_eq!((tx.capacity(), tx.slot_size()), (2, 65_536), "not the options of the creator");
    tx.send(&[7; 65_536]).expect("send");
    tx.send(&[8; 65_536]).expect("send");
    assert_eq!(tx.stat().expect("stat").stride, 65_544);
    drop(tx);
    key.clear();
    let tx: mpmc::Sender<Large> = options().create().expect("create");
    assert_eq!((tx.capacity(), tx.slot_size()), (2, 65_536), "not the options of the creator");
    tx.send(&[7; 65_536]).expect("send");
    drop(tx);
    key.clear();
    let mut tx: broadcast::Sender<Large> = options().create().expect("create");
    assert_eq!((tx.capacity(), tx.slot_size()), (2, 65_536), "not the options of the creator");
    tx.send(&[7; 65_536]).expect("send");
    drop(tx);
    key.clear();
}

#[test]
fn a_header_that_changes_once_it_is_finished() {
    Worker::run(&[&"creation::change_once"]);
}

/// Stops the creator at each system call. From the first one on at which the magic is set, the
/// header has other values.
#[work]
fn change_once(_: &mut Args) {
    let key = Key::new();
    let mut creator = Stepper::start(|| {
        mark();
        create_and_use(&key);
        mark();
    })
    .expect("traced");
    let mut told = Vec::new();
    loop {
        match creator.run_to_call(&mut || false) {
            Stop::Call => {}
            Stop::Marked => break,
            other => panic!("the creator came to {other:?}"),
        }
        if let Some(id) = key.segment()
            && !told.contains(&id)
            && let Ok(segment) = Segment::attach(id)
            && segment.u64(0).load(Relaxed) != 0
        {
            lie(&segment);
            told.push(id);
        }
    }
    assert_eq!(told.len(), 3, "a channel of each kind was changed");
    creator.kill();
    key.clear();
}

#[test]
fn a_header_that_changes_all_the_time() {
    Worker::run(&[&"creation::change_all_the_time"]);
}

#[work]
fn change_all_the_time(_: &mut Args) {
    let key = Key::new();
    let [changes] = shared_counters::<1>();
    let mut scribbler = Fork::start(|| {
        loop {
            if let Some(Ok(segment)) = key.segment().map(Segment::attach) {
                // Repeat until the segment is replaced by another one.
                for _ in 0..200 {
                    lie(&segment);
                    changes.fetch_add(1, Relaxed);
                }
            }
        }
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) || changes.load(Relaxed) < 10_000 {
        let mut creator = Fork::start(|| {
            // The forked copy of the key must not remove anything.
            let key = std::mem::ManuallyDrop::new(Key(key.0));
            (0..20).for_each(|_| create_and_use(&key));
        });
        let end = creator.wait();
        assert!(end.success(), "the creator ended with {end}");
    }
    scribbler.kill_and_wait();
    key.clear();
    drop(Options::key(key.0).create::<Receiver<u64>>().expect("usable as before"));
}

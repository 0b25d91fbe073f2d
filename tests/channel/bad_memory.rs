//! Somebody writes all over the header and the slots while both sides are at work.

use std::fmt::Debug;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Message, Options, RecvError, SendError};
use sysvring_support::board::Dice;
use sysvring_support::worker::{Orders, Worker, hear, say};
use sysvring_support::{test, work};

use crate::advice::advises;
use crate::raw::{HEADER_USED, Key, Memory, at};
use crate::watch::Watch;

/// How long each pair has to bear it.
const BEARS: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(20);
/// No call takes so long, though the kernel may make it wait for others that wait for a processor.
const LONG: Duration = Duration::from_secs(2);
const CAPACITY: usize = 16;

/// What came of all calls.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    told: u64,
    opened: u64,
    refused: u64,
}

impl Tally {
    /// Counts the outcome of one call, which may take its timeout and not much more; whether the
    /// handle is of further use.
    fn count<T, E: Debug + std::fmt::Display>(
        &mut self,
        call: impl FnOnce() -> Result<T, E>,
        goes_on: impl FnOnce(&E) -> bool,
    ) -> bool {
        let watch = Watch::start();
        let result = call();
        let took = watch.took();
        let what = result.as_ref().map(drop);
        assert!(took < LONG, "a call took {took:?}: {what:?}");
        match result {
            Ok(_) => {
                self.done += 1;
                true
            }
            Err(error) => {
                self.told += 1;
                advises(&error);
                goes_on(&error)
            }
        }
    }

    fn open<H: sysvring::Handle>(&mut self, options: Options) -> Option<H> {
        let watch = Watch::start();
        let result = options.open();
        let took = watch.took();
        let what = result.as_ref().map(drop);
        assert!(took < LONG, "opening took {took:?}: {what:?}");
        match result {
            Ok(handle) => {
                self.opened += 1;
                Some(handle)
            }
            Err(error) => {
                assert!(
                    !matches!(error, Error::InvalidOption { .. } | Error::System { .. }),
                    "{error:?}"
                );
                advises(&error);
                self.refused += 1;
                None
            }
        }
    }

    /// On a machine that is busy with other things it takes longer to see enough.
    fn goes_on(&self, start: Instant) -> bool {
        let enough = self.done > 500 && self.told > 20 && self.opened > 10 && self.refused > 5;
        start.elapsed() < if enough { BEARS } else { 8 * BEARS }
    }

    fn say(&self) {
        say(format!("{} {} {} {}", self.done, self.told, self.opened, self.refused));
    }
}

fn options(key: i32) -> Options {
    Options::key(key).capacity(CAPACITY).open_timeout(SHORT)
}

#[work]
fn sends(orders: &mut Orders) {
    let (key, kind): (i32, String) = (orders.next(), orders.next());
    match kind.as_str() {
        "sized" => send_all::<[u64; 3]>(key, &[[1; 3], [2; 3]].each_ref()),
        _ => send_all::<[u8]>(key, &[b"", b"a message", &[7; 24]]),
    }
}

fn send_all<T: Message + ?Sized>(key: i32, messages: &[&T]) {
    let (mut tally, mut dice, start) = (Tally::default(), Dice::new(), Instant::now());
    while tally.goes_on(start) {
        let Some(mut tx) = tally.open::<Sender<T>>(slots::<T>(key)) else { continue };
        let goes_on = |error: &SendError| !matches!(error, SendError::Fault(_));
        let until = Instant::now() + Duration::from_millis(100);
        loop {
            let message = messages[dice.below(messages.len() as u64) as usize];
            let fit = match dice.below(20) {
                0 => tally.count(|| tx.try_send(message), goes_on),
                1 => tally.count(|| tx.flush(SHORT), goes_on),
                2 => tally.count(|| tx.wait_for_peer(SHORT), goes_on),
                3 => tally.count(|| tx.peer(), |_| false),
                4 => tally.count(|| tx.stat(), |_| true),
                5 => tx.len() <= CAPACITY,
                6 => {
                    let batch = messages.iter().copied();
                    tally.count(|| tx.try_send_batch(batch), |ended| goes_on(&ended.error))
                }
                _ => tally.count(|| tx.send_timeout(message, SHORT), goes_on),
            };
            if !fit || Instant::now() > until {
                break;
            }
        }
        if dice.below(2) == 0 {
            tally.count(|| tx.close(), |_| false);
        }
    }
    tally.say();
    hear();
}

#[work]
fn receives(orders: &mut Orders) {
    let (key, kind): (i32, String) = (orders.next(), orders.next());
    match kind.as_str() {
        "sized" => receive_all::<[u64; 3]>(key),
        _ => receive_all::<[u8]>(key),
    }
}

fn receive_all<T: Message + ?Sized>(key: i32) {
    let (mut tally, mut dice, start) = (Tally::default(), Dice::new(), Instant::now());
    while tally.goes_on(start) {
        let Some(mut rx) = tally.open::<Receiver<T>>(slots::<T>(key)) else { continue };
        let goes_on = |error: &RecvError| !matches!(error, RecvError::Fault(_));
        let until = Instant::now() + Duration::from_millis(100);
        loop {
            let fit = match dice.below(20) {
                0 => tally.count(|| rx.wait_for_peer(SHORT), goes_on),
                1 => tally.count(|| rx.peer(), |_| false),
                2 => tally.count(|| rx.stat(), |_| true),
                3 => rx.len() <= CAPACITY,
                4..8 => tally.count(|| rx.try_recv_boxed(), goes_on),
                _ => tally.count(|| rx.recv_boxed_timeout(SHORT), goes_on),
            };
            if !fit || Instant::now() > until {
                break;
            }
        }
        if dice.below(2) == 0 {
            tally.count(|| rx.close(), |_| false);
        }
    }
    tally.say();
    hear();
}

/// Slots of 24 bytes, said where it must be.
fn slots<T: Message + ?Sized>(key: i32) -> Options {
    match size_of::<T::PointerMetadata>() {
        0 => options(key),
        _ => options(key).slot_size(24),
    }
}

/// What is written, where: single bits and bytes, numbers likely and unlikely.
fn scribble(memory: &Memory, dice: &mut Dice, stride: usize) {
    let number = match dice.below(4) {
        0 => dice.below(40),
        1 => u64::MAX - dice.below(40),
        2 => 1 << dice.below(64),
        _ => dice.below(u64::MAX),
    };
    match dice.below(8) {
        0 => drop(memory.u8(dice.below(HEADER_USED as u64) as usize).swap(number as u8, Relaxed)),
        1 => memory.u64(dice.below(HEADER_USED as u64 / 8) as usize * 8).store(number, Relaxed),
        2 => {
            let byte = memory.u8(dice.below(HEADER_USED as u64) as usize);
            byte.fetch_xor(1 << dice.below(8), Relaxed);
        }
        3 => {
            let field = [at::TAIL, at::HEAD, at::CREDIT][dice.below(3) as usize];
            memory.u64(field).fetch_add(dice.below(40).wrapping_sub(20), Relaxed);
        }
        4 => {
            let field = [at::RECEIVERS, at::SENDERS][dice.below(2) as usize];
            memory.u32(field).fetch_xor(1 << dice.below(32), Relaxed);
        }
        // The word of a slot, or what lies behind it: a length.
        _ => {
            let slot = at::SLOTS + dice.below(CAPACITY as u64) as usize * stride;
            memory.u64(slot + 8 * dice.below(2) as usize).store(number, Relaxed);
        }
    }
}

/// Scribbles over whatever channel lies under the key, until told to stop.
fn scribble_until(over: &AtomicBool, key: &Key, stride: usize) {
    let mut dice = Dice::new();
    let mut current: Option<(i32, Memory, Vec<u8>)> = None;
    while !over.load(Relaxed) {
        // What is too broken to be repaired is removed, and made anew by those who open it.
        if let Some(id) = key.segment()
            && current.as_ref().is_none_or(|(known, ..)| *known != id)
            && let Some(memory) = Memory::try_of(id)
            && memory.u64(at::MAGIC).load(Relaxed) == u64::from_le_bytes(*b"SYSVRING")
        {
            let good = memory.save(256);
            current = Some((id, memory, good));
        }
        if let Some((_, memory, good)) = &current {
            for _ in 0..dice.below(20) {
                scribble(memory, &mut dice, stride);
            }
            dice.pause(22);
            // Now and then there is something to be opened again.
            memory.load(good);
            if dice.below(10) == 0 {
                key.clear();
            }
            dice.pause(22);
        }
        if dice.below(50) == 0 {
            let _ = sysvring::remove(key.address());
        }
    }
}

fn bears(kind: &str, stride: usize) {
    let key = Key::new();
    let mut sender = Worker::start(&[&"bad_memory::sends", &key.0, &kind]).expect("start");
    let mut receiver = Worker::start(&[&"bad_memory::receives", &key.0, &kind]).expect("start");
    let over = AtomicBool::new(false);
    let figures: Vec<[f64; 4]> = std::thread::scope(|scope| {
        scope.spawn(|| scribble_until(&over, &key, stride));
        let figures = [&mut sender, &mut receiver].map(|worker| worker.figures());
        over.store(true, Relaxed);
        figures.map(|figures| figures.expect("no panic")).into()
    });
    for [done, told, opened, refused] in figures {
        let tally = format!("{kind}: {done} done, {told} told; {opened} opened, {refused} refused");
        // Neither too easy nor too hard, or it proves nothing.
        assert!(done > 500.0 && told > 20.0 && opened > 10.0 && refused > 5.0, "{tally}");
        println!("{tally}");
    }
    for mut worker in [sender, receiver] {
        worker.tell("go").expect("it listens");
        worker.finish();
    }
}

#[test]
fn scribbled_over_sized() {
    bears("sized", 32);
}

#[test]
fn scribbled_over_variable() {
    bears("variable", 40);
}

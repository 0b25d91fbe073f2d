//! Interrupts of handles that are waited for: each makes its handle ready and is reported once.

use std::thread;
use std::time::Duration;

use sysvring::{Readiness, RecvError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, is_readable, tokens, wait};

const TIMES: u64 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };

#[test]
fn an_interrupt_is_reported_once<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, mut rx) = name.pair_of::<F, u64>(2);
    let by = rx.interrupter();
    let set = WaitSet::new().expect("a set");
    by.interrupt();
    let token = set.add(&rx).expect("added");
    assert!(wait(&set, NOW)[0].is_interrupted(), "it came before the handle was added");
    assert!(!wait(&set, NOW)[0].is_interrupted());
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    by.interrupt();
    by.interrupt();
    let events = wait(&set, LONG);
    assert_eq!((events.len(), events[0].token()), (1, token));
    assert!(events[0].is_interrupted());
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
}

/// Interrupts at every moment of a loop that waits and receives: each ends the wait, at once.
#[test]
fn no_interrupt_is_lost<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, mut rx) = name.pair_of::<F, u64>(2);
    let by = rx.interrupter();
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    let (noticed, notice) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..TIMES {
                for _ in 0..n % 512 {
                    std::hint::spin_loop();
                }
                let (watch, since) = (Watch::start(&[]), now_ns());
                by.interrupt();
                notice.recv_timeout(Duration::from_secs(20)).expect("it is reported");
                watch.must_be_within(PROMPT, since);
            }
        });
        for n in 0..TIMES {
            loop {
                let events = wait(&set, LONG);
                assert!(!events.is_empty(), "interrupt {n} is lost");
                let interrupted = events.iter().any(|event| event.is_interrupted());
                if interrupted {
                    noticed.send(()).expect("the other thread");
                }
                // Between this and the next wait, the event is cleared.
                assert_eq!(rx.try_recv(), Err(RecvError::Empty));
                if interrupted {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_readiness_reports_interrupts<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, mut rx) = name.pair_of::<F, u64>(2);
    let by = rx.interrupter();
    let readiness = Readiness::of(&rx).expect("a descriptor");
    assert!(is_readable(&readiness, Duration::ZERO));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert!(!is_readable(&readiness, Duration::ZERO));
    assert!(!readiness.take_interrupt());
    by.interrupt();
    assert!(is_readable(&readiness, PROMPT));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert!(readiness.take_interrupt() && !readiness.take_interrupt());
    assert!(!is_readable(&readiness, Duration::ZERO));
    // Nobody is left to be interrupted, and then the handle waits by a call again.
    drop(readiness);
    by.interrupt();
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Interrupted));
}

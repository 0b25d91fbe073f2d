//! A message received by value is validated in private memory, so no writer can change a byte after
//! the check. Two checks in place, one after the other, show that a writer tries to.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::RecvError;
use sysvring::zerocopy::IntoBytes;
use sysvring_support::handle::{
    AnyFlavor, AnyGuard, AnyHandle, AnyReceiver, AnySender, Broadcast, Mpmc, Spsc,
};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::stopwatch::goes_on;
use sysvring_support::test;

/// Large enough that a writer writes between two checks. Valid bytes are 1; the writer stores a 7,
/// which is not a valid bool.
type Flags = [bool; 256];
const GOOD: u64 = 0x0101_0101_0101_0101;
const BAD: u64 = 0x0107_0101_0701_0101;

const CAPACITY: usize = 2;
const TIME: Duration = Duration::from_millis(700);
/// The minimum number of each outcome.
const ENOUGH: u64 = 50;

/// The words of the payloads: all words of each slot except the first.
struct Payloads(Vec<usize>);

impl Payloads {
    fn of(segment: &Segment, stride: usize) -> Payloads {
        let slots = segment.u32(at::HEADER_SIZE).load(Relaxed) as usize;
        let words = (0..CAPACITY * stride).step_by(8).filter(|at| !at.is_multiple_of(stride));
        Payloads(words.map(|at| slots + at).collect())
    }

    /// Overwrites all payloads with valid and invalid bytes, over and over.
    fn scribble(&self, segment: &Segment, over: &AtomicBool) {
        while !over.load(Relaxed) {
            for value in [GOOD, BAD] {
                self.0.iter().for_each(|at| segment.u64(*at).store(value, Relaxed));
            }
        }
    }

    /// Returns whether all bytes were valid at one check and not at the next.
    fn change(&self, segment: &Segment) -> bool {
        let are_good = || self.0.iter().all(|at| segment.u64(*at).load(Relaxed) == GOOD);
        are_good() && !are_good()
    }
}

/// Returns how many messages were valid and how many were refused.
fn receive(mut next: impl FnMut() -> Result<Vec<Flags>, RecvError>) -> (u64, u64) {
    let (mut good, mut bad) = (0, 0);
    match next() {
        Ok(messages) => {
            for flags in &messages {
                let bytes = flags.as_bytes();
                assert!(
                    bytes.iter().all(|byte| *byte <= 1),
                    "received bytes that are not bools: {bytes:?}"
                );
                good += 1;
            }
        }
        Err(RecvError::Invalid { .. }) => bad += 1,
        Err(error) => panic!("{error}"),
    }
    (good, bad)
}

#[test]
fn spsc_channels() {
    received_values_are_valid::<Spsc>(false);
}

#[test]
fn mpmc_channels() {
    received_values_are_valid::<Mpmc>(false);
}

#[test]
fn broadcast_channels() {
    received_values_are_valid::<Broadcast>(false);
}

/// There, even a message that is received in place is a private copy.
#[test]
fn overwriting_channels() {
    received_values_are_valid::<Broadcast>(true);
}

fn received_values_are_valid<F: AnyFlavor>(overwriting: bool) {
    let key = Key::new();
    let options = key.options().capacity(CAPACITY).overwriting(overwriting);
    let mut tx: F::Sender<Flags> = options.create().expect("new");
    let mut rx: F::Receiver<Flags> = key.options().attach().expect("its other side");
    let segment = Segment::attach(tx.id().segment()).expect("shmat");
    let payloads = Payloads::of(&segment, tx.stat().expect("stat").stride);
    let over = AtomicBool::new(false);
    let (mut good, mut bad, mut changed) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| payloads.scribble(&segment, &over));
        let start = Instant::now();
        let enough = |good, bad, changed| [good, bad, changed].iter().all(|n| *n > ENOUGH);
        let mut way = 0;
        while goes_on(start, TIME, enough(good, bad, changed)) {
            tx.try_send(&[true; 256]).expect("there is a free slot");
            way += 1;
            let mut batch = Vec::new();
            let ways = if overwriting { 4 } else { 3 };
            let (g, b) = receive(|| match way % ways {
                3 => rx.try_recv_ref().and_then(|guard| guard.read(|flags| vec![*flags])),
                0 => rx.try_recv().map(|flags| vec![flags]),
                1 => rx.try_recv_boxed().map(|flags| vec![*flags]),
                _ => rx.try_recv_batch(&mut batch, 1).map(|_| std::mem::take(&mut batch)),
            });
            (good, bad) = (good + g, bad + b);
            changed += u64::from(payloads.change(&segment));
        }
        over.store(true, Relaxed);
    });
    println!("{good} good, {bad} refused; in place, {changed} changed after a check");
    assert!([good, bad, changed].iter().all(|n| *n > ENOUGH), "{good}, {bad}, {changed}");
}

//! A slot state that no correct member writes. A member that reads it reports it by name, in every
//! way to send and to receive, and reports it again after the state was corrected. Otherwise the
//! channel would appear empty to one side and full to the other, and block for ever.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use sysvring::{Fault, RecvError, SendError};
use sysvring_support::handle::{
    AnyFlavor, AnyGuard, AnyHandle, AnyReceiver, AnySender, Broadcast, Mpmc, Spsc,
};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::test;

use crate::endpoints::SHORT;

const CAPACITY: usize = 4;
/// The number of messages that were sent and received before. It determines the lap and the slot of
/// the next one.
const BEFORE: u64 = 9;
const LAP: u64 = BEFORE / CAPACITY as u64;
const SLOT: usize = BEFORE as usize % CAPACITY;

const UNKNOWN: &str = "a slot state has an unknown phase";
const IMPOSSIBLE: &str = "a slot state has an impossible lap";
const MORE: &str = "a slot state has an owner or a count that its phase does not have";

/// These match `src/ring/slot_state.rs`.
const FREE: u64 = 0;
const FULL: u64 = 2;
const PHASES: u64 = 6;

/// Returns slot states of a lap with an unknown phase, with any owner.
fn unknown(lap: u64) -> impl Iterator<Item = (u64, &'static str)> {
    let owners = [0, 1, 255];
    let low = (PHASES..8).flat_map(move |phase| owners.map(move |owner| owner << 3 | phase));
    low.map(move |low| (lap << 16 | low, UNKNOWN))
}

/// Returns slot states of a lap and a phase that has no owner and no delivery count, with one of
/// them. FREE may have a count of 1.
fn more(lap: u64, phase: u64) -> impl Iterator<Item = (u64, &'static str)> {
    let count = if phase == FREE { 2 } else { 1 };
    let more = [1 << 3, 0xff << 3, count << 11, 31 << 11];
    more.into_iter().map(move |more| (lap << 16 | more | phase, MORE))
}

/// Returns slot states of every phase, of laps that cannot occur any more.
fn impossible() -> impl Iterator<Item = (u64, &'static str)> {
    let laps = [LAP - 2, LAP.wrapping_sub(1 << 40)];
    let words = laps.into_iter().flat_map(|lap| (0..8).map(move |phase| lap << 16 | phase));
    words.map(|word| (word, IMPOSSIBLE))
}

/// Both endpoints of a new channel whose ring has wrapped around more than once.
struct Channel<F: AnyFlavor> {
    tx: F::Sender<u64>,
    rx: F::Receiver<u64>,
    segment: Segment,
    /// The offset of the next slot.
    next: usize,
    _key: Key,
}

impl<F: AnyFlavor> Channel<F> {
    fn new() -> Channel<F> {
        let key = Key::new();
        let mut tx: F::Sender<u64> = key.options().capacity(CAPACITY).create().expect("new");
        let mut rx: F::Receiver<u64> = key.options().attach().expect("its other side");
        for n in 0..BEFORE {
            tx.try_send(&n).expect("there is a free slot");
            assert_eq!(rx.try_recv(), Ok(n));
        }
        let segment = Segment::attach(tx.id().segment()).expect("shmat");
        let slots = segment.u32(at::HEADER_SIZE).load(Relaxed) as usize;
        let next = slots + SLOT * tx.stat().expect("stat").stride;
        Channel { tx, rx, segment, next, _key: key }
    }

    /// Returns the state of the next slot.
    fn state(&self) -> &AtomicU64 {
        self.segment.u64(self.next)
    }

    /// Makes one of the receiving calls. All but the last return at once.
    fn receive(&mut self, way: u8) -> Result<(), RecvError> {
        match way {
            0 => self.rx.try_recv().map(drop),
            1 => self.rx.try_recv_batch(&mut Vec::new(), 2).map(drop),
            2 => self.rx.try_recv_ref().and_then(|message| message.ack()),
            _ => self.rx.recv_timeout(SHORT).map(drop),
        }
    }

    /// Makes one of the sending calls.
    fn send(&mut self, way: u8) -> Result<(), SendError> {
        match way {
            0 => self.tx.try_send(&7),
            1 => self.tx.try_send_batch(&[&7, &7]).map_err(|error| error.error),
            2 => self.tx.try_loan().map(drop),
            _ => self.tx.send_timeout(&7, SHORT),
        }
    }
}

/// Checks that a receiver reports a slot state as `what`, before and after it is corrected.
fn receivers_report<F: AnyFlavor>(wrong: u64, what: &'static str) {
    for way in 0..4 {
        let mut channel = Channel::<F>::new();
        let correct = channel.state().swap(wrong, Relaxed);
        let fault = Err(RecvError::Fault(Fault::Corrupt { what }));
        assert_eq!(channel.receive(way), fault, "{wrong:#x}, way {way}");
        channel.state().store(correct, Relaxed);
        // It does not accept a later message.
        channel.tx.try_send(&7).expect("the slot is free again");
        assert_eq!(channel.receive(way), fault, "{wrong:#x}, way {way}, and then");
    }
}

#[test]
fn an_mpmc_receiver_reports_the_state() {
    let wrong = unknown(LAP).chain(more(LAP, FREE)).chain(more(LAP, FULL)).chain(impossible());
    wrong.for_each(|(wrong, what)| receivers_report::<Mpmc>(wrong, what));
}

/// In an SPSC or broadcast channel, a state of neither the last lap nor this one nor a fresh slot is
/// impossible.
#[test]
fn an_spsc_or_broadcast_receiver_reports_the_state() {
    let wrong = unknown(LAP).chain(more(LAP, FULL)).chain(impossible());
    for (wrong, _) in wrong.filter(|(state, _)| *state != 0) {
        receivers_report::<Spsc>(wrong, IMPOSSIBLE);
        receivers_report::<Broadcast>(wrong, IMPOSSIBLE);
    }
}

#[test]
fn an_mpmc_sender_reports_the_state() {
    // The state may also be of the last lap: that message was taken, or the receiver would not be
    // at its position.
    let of_this = unknown(LAP).chain(more(LAP, FREE));
    let of_last = unknown(LAP - 1).chain(more(LAP - 1, FULL)).chain(more(LAP - 1, FREE).map(last));
    for (wrong, what) in of_this.chain(of_last).chain(impossible()) {
        for way in 0..4 {
            let mut channel = Channel::<Mpmc>::new();
            let free = channel.state().swap(wrong, Relaxed);
            let fault = Err(SendError::Fault(Fault::Corrupt { what }));
            assert_eq!(channel.send(way), fault, "{wrong:#x}, way {way}");
            channel.state().store(free, Relaxed);
            assert_eq!(channel.send(way), fault, "{wrong:#x}, way {way}, and then");
        }
    }
}

/// Expects a state to be impossible: a slot that is still free in the last lap was never written
/// to, whatever else its state contains.
fn last((state, _): (u64, &'static str)) -> (u64, &'static str) {
    (state, IMPOSSIBLE)
}

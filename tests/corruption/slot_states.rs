//! A slot's word that no correct member writes. A member that encounters it reports it by name, in
//! every way to send and to receive, and reports it again after the word was replaced. Otherwise
//! the channel would appear empty to one side and full to the other, and block forever.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::{Fault, RecvError, SendError, mpmc, spsc};
use sysvring_support::memory::Memory;
use sysvring_support::tests;

use crate::endpoints::SHORT;
use crate::ground::Key;

tests![
    an_mpmc_receiver_reports_the_word,
    an_mpmc_sender_reports_the_word,
    an_spsc_receiver_reports_the_word,
];

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
const PHASES: u64 = 5;

/// Returns words of a lap with an unknown phase, with any owner.
fn unknown(lap: u64) -> impl Iterator<Item = (u64, &'static str)> {
    let owners = [0, 1, 255];
    let low = (PHASES..8).flat_map(move |phase| owners.map(move |owner| owner << 3 | phase));
    low.map(move |low| (lap << 16 | low, UNKNOWN))
}

/// Returns words of a lap and a phase that has no owner and no delivery count, with one of them or
/// both.
fn more(lap: u64, phase: u64) -> impl Iterator<Item = (u64, &'static str)> {
    let more = [1 << 3, 0xff << 3, 1 << 11, 31 << 11];
    more.into_iter().map(move |more| (lap << 16 | more | phase, MORE))
}

/// Returns words of every phase, of laps that cannot occur any more.
fn impossible() -> impl Iterator<Item = (u64, &'static str)> {
    let laps = [LAP - 2, LAP.wrapping_sub(1 << 40)];
    let words = laps.into_iter().flat_map(|lap| (0..8).map(move |phase| lap << 16 | phase));
    words.map(|word| (word, IMPOSSIBLE))
}

/// Returns the word of the next slot.
fn word(memory: &Memory, stride: usize) -> &std::sync::atomic::AtomicU64 {
    // The slots end at the end of the segment.
    memory.u64(memory.len() - (CAPACITY - SLOT) * stride)
}

/// Makes both ends of a new channel whose ring has wrapped around more than once, and the word of
/// the next slot.
macro_rules! with_ends {
    ($module:ident, |$tx:ident, $rx:ident, $word:ident| $body:expr) => {{
        let key = Key::new();
        #[allow(unused_mut)]
        let mut $tx: $module::Sender<u64> = key.options().capacity(CAPACITY).create().expect("new");
        #[allow(unused_mut)]
        let mut $rx: $module::Receiver<u64> = key.options().attach().expect("its other side");
        for n in 0..BEFORE {
            $tx.try_send(&n).expect("there is a free slot");
            assert_eq!($rx.try_recv(), Ok(n));
        }
        let memory = Memory::of($tx.id().segment());
        let $word = word(&memory, $tx.stat().expect("stat").stride);
        $body
    }};
}

/// Makes each receiving call. All but the last return at once.
macro_rules! receive {
    ($rx:ident, $way:expr) => {
        match $way {
            0 => $rx.try_recv().map(drop),
            1 => $rx.try_recv_batch(&mut Vec::new(), 2).map(drop),
            2 => $rx.try_recv_ref().map(drop),
            _ => $rx.recv_timeout(SHORT).map(drop),
        }
    };
}

fn send(tx: &mpmc::Sender<u64>, way: u8) -> Result<(), SendError> {
    match way {
        0 => tx.try_send(&7),
        1 => tx.try_send_batch([&7, &7]).map(drop).map_err(|error| error.error),
        2 => tx.try_loan().map(drop),
        _ => tx.send_timeout(&7, SHORT),
    }
}

fn an_mpmc_receiver_reports_the_word() {
    let wrong = unknown(LAP).chain(more(LAP, FREE)).chain(more(LAP, FULL)).chain(impossible());
    for (wrong, what) in wrong {
        for way in 0..4 {
            with_ends!(mpmc, |tx, rx, word| {
                let free = word.swap(wrong, Relaxed);
                let fault = Err(RecvError::Fault(Fault::Corrupt { what }));
                assert_eq!(receive!(rx, way), fault, "{wrong:#x}, way {way}");
                word.store(free, Relaxed);
                // It does not accept a later message.
                tx.try_send(&7).expect("the word is correct again");
                assert_eq!(receive!(rx, way), fault, "{wrong:#x}, way {way}, and then");
            });
        }
    }
}

fn an_mpmc_sender_reports_the_word() {
    // The word may also be of the last lap: that message was taken, or the receiver would not be at
    // its position.
    let of_this = unknown(LAP).chain(more(LAP, FREE));
    let of_last = unknown(LAP - 1).chain(more(LAP - 1, FULL)).chain(more(LAP - 1, FREE).map(last));
    for (wrong, what) in of_this.chain(of_last).chain(impossible()) {
        for way in 0..4 {
            with_ends!(mpmc, |tx, rx, word| {
                let free = word.swap(wrong, Relaxed);
                let fault = Err(SendError::Fault(Fault::Corrupt { what }));
                assert_eq!(send(&tx, way), fault, "{wrong:#x}, way {way}");
                word.store(free, Relaxed);
                assert_eq!(send(&tx, way), fault, "{wrong:#x}, way {way}, and then");
                drop(rx);
            });
        }
    }
}

/// Expects a word to be impossible: a slot that is still free in the last lap was never written to,
/// whatever else its word contains.
fn last((word, _): (u64, &'static str)) -> (u64, &'static str) {
    (word, IMPOSSIBLE)
}

/// In an SPSC channel, a word of neither the last lap nor this one nor a fresh slot is impossible.
fn an_spsc_receiver_reports_the_word() {
    let words = unknown(LAP).chain(more(LAP, FULL)).chain(impossible());
    for (wrong, _) in words.filter(|(word, _)| *word != 0) {
        for way in 0..4 {
            with_ends!(spsc, |tx, rx, word| {
                let last = word.swap(wrong, Relaxed);
                let fault = Err(RecvError::Fault(Fault::Corrupt { what: IMPOSSIBLE }));
                assert_eq!(receive!(rx, way), fault, "{wrong:#x}, way {way}");
                word.store(last, Relaxed);
                tx.try_send(&7).expect("there is a free slot");
                assert_eq!(receive!(rx, way), fault, "{wrong:#x}, way {way}, and then");
            });
        }
    }
}

//! The removal of a channel: by `remove` at once, by `ipcrm` within a little more than a second.

use std::time::Duration;

use sysvring::{Fault, RecvError, SendError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

/// A second, and a slice.
const BY_HAND: Duration = Duration::from_millis(1_300);

/// Waits with both handles, which find nothing, and removes the channel meanwhile.
fn removed<F: AnyFlavor>(within: Duration, remove: impl Fn(&Name, i32, i32)) {
    for side in ["receiver", "sender"] {
        let name = Name::new();
        let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
        let stat = rx.stat().expect("stat");
        let (segment, semaphores) = (stat.segment.id, stat.set.expect("a set").id);
        let set = WaitSet::new().expect("a set");
        let token = match side {
            "sender" => set.add(&tx),
            _ => set.add(&rx),
        };
        let token = token.expect("added");
        match side {
            "sender" => while tx.try_send(&1).is_ok() {},
            _ => assert_eq!(rx.try_recv(), Err(RecvError::Empty)),
        }
        assert_eq!(tokens(&set, NOW), []);
        let (watch, since) = (Watch::start(&[]), now_ns());
        remove(&name, segment, semaphores);
        assert_eq!(tokens(&set, LONG), [token]);
        watch.must_be_within(within, since);
        match side {
            "sender" => assert!(matches!(tx.try_send(&2), Err(SendError::Fault(_)))),
            _ => assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::Removed))),
        }
        drop((tx, rx));
        assert_eq!(tokens(&set, NOW), []);
        // The other object, if it was left.
        let _ = (raw_ipc::remove_segment(segment), raw_ipc::remove_set(semaphores));
    }
}

#[test]
fn removing_makes_all_handles_ready<F: AnyFlavor>() {
    removed::<F>(PROMPT, |name, _, _| sysvring::remove(name.as_str()).expect("removed"));
}

#[test]
fn a_set_that_is_removed_by_hand_is_noticed<F: AnyFlavor>() {
    removed::<F>(BY_HAND, |_, _, set| raw_ipc::remove_set(set).expect("IPC_RMID"));
}

#[test]
fn a_segment_that_is_removed_by_hand_is_noticed<F: AnyFlavor>() {
    removed::<F>(BY_HAND, |_, segment, _| raw_ipc::remove_segment(segment).expect("IPC_RMID"));
}

/// The messages that were sent before are still received.
#[test]
fn messages_of_a_removed_channel_are_received<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    tx.try_send(&4).expect("room");
    sysvring::remove(name.as_str()).expect("removed");
    assert_eq!(wait(&set, LONG)[0].token(), token);
    assert_eq!(rx.try_recv(), Ok(4));
    assert_eq!(tokens(&set, NOW), [token]);
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::Removed)));
}

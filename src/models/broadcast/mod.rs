//! Models of broadcast channels: one sender, and receivers that get every message.
//!
//! | file | question |
//! |---|---|
//! | `joining` | does a receiver that joins get every message from its first one on, and does the sender write to no slot that one reads? |
//! | `waiting` | does every blocked waiter wake up, also where the sender promises fences? |
//! | `deaths` | the same if a member dies, at any step, or leaves |
//! | `doorbell` | the same for members that wait by their doorbells |

mod deaths;
mod doorbell;
mod joining;
mod waiting;

use std::sync::Arc;

use super::ends::{Receiver, Sender};
use super::harness::Fixture;
use super::sim_kernel::Fences;
use crate::ring::broadcast::Start;

/// Returns a sender that has sent `before` messages, and receivers that joined before that.
fn channel(
    fixture: &Arc<Fixture>,
    receivers: u8,
    before: u64,
) -> (Sender, impl Iterator<Item = Receiver> + use<>) {
    let mut tx = Sender::of_broadcast(fixture);
    let join = |seat| Receiver::join(fixture, seat, Start::Oldest);
    let receivers: Vec<_> = (1..=receivers).map(join).collect();
    (0..before).for_each(|_| tx.send());
    (tx, receivers.into_iter())
}

/// Returns the bound on preemptions in one execution: the work grows fast with the number of threads.
const fn bound(receivers: u8) -> usize {
    if receivers < 2 { 2 } else { 1 }
}

/// The ways in which the sender executes fences.
const WAYS: [Fences; 3] = [Fences::OnRequest, Fences::Asked, Fences::Refused];

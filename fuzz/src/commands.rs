//! Ops on a channel of this process, from bytes: the vocabulary and the oracle of the property tests.

use sysvring_support::commands::here::Here;
use sysvring_support::commands::{Flavor, Op, Rules, run};

use crate::input::Input;
use crate::sim_kernel::at_the_same_time;

/// More would only take longer.
const MOST: usize = 400;

/// Opens a channel as the first bytes say, and does what three bytes each say.
///
/// # Panics
/// When an answer cannot be.
pub fn commands(input: &[u8]) {
    let mut input = Input::new(input);
    let (kind, size, deliveries) = (input.byte(), input.byte(), input.byte());
    let flavor = if kind & 1 == 0 { Flavor::Spsc } else { Flavor::Mpmc };
    let rules = Rules {
        flavor,
        capacity: 1 << (size % 6),
        deliveries: deliveries % 32,
        seats: if flavor == Flavor::Spsc { 2 } else { 2 + usize::from(size / 64) },
        place: 0,
        kept: kind & 2 != 0,
        peers: true,
    };
    let mut ops = Vec::new();
    while !input.is_empty() && ops.len() < MOST {
        ops.push(Op::from([input.byte(), input.byte(), input.byte()]));
    }
    at_the_same_time(|| run(&mut Here::new(rules), rules, &ops));
}

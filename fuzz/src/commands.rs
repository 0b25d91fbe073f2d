//! Operations on a channel of this process, decoded from bytes, with the oracle of the property
//! tests.

use sysvring_support::commands::here::Here;
use sysvring_support::commands::{Flavor, Op, Rules, run};

use crate::input::Input;
use crate::sim_kernel::at_the_same_time;

/// The maximum number of operations. More would only take longer.
const MAX_OPS: usize = 400;

/// Opens a channel as the first bytes select, and executes one operation for every three bytes.
///
/// # Panics
/// If the oracle rejects an answer.
pub fn commands(input: &[u8]) {
    let mut input = Input::new(input);
    let (kind, size, deliveries) = (input.byte(), input.byte(), input.byte());
    let flavor = if kind & 1 == 0 { Flavor::Spsc } else { Flavor::Mpmc };
    let rules = Rules {
        flavor,
        capacity: 1 << (size % 6),
        deliveries: deliveries % 16,
        seats: if flavor == Flavor::Spsc { 2 } else { 2 + usize::from(size / 64) },
        place: 0,
        kept: kind & 2 != 0,
        peers: true,
    };
    let mut ops = Vec::new();
    while !input.is_empty() && ops.len() < MAX_OPS {
        ops.push(Op::from([input.byte(), input.byte(), input.byte()]));
    }
    at_the_same_time(|| run(&mut Here::new(rules), rules, &ops));
}

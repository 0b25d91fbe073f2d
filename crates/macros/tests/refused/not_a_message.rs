//@ derives
//! Fields whose types are no messages.

use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

struct Plain {
    value: u64,
}

#[sysvring::message]
struct Outer {
    id: u64,
    plain: Plain, //~ ERROR `Plain` is not a message
    array: [Plain; 2], //~ ERROR `Plain` is not a message
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
struct ByHand(u64);

#[sysvring::message]
struct Holder {
    by_hand: ByHand, //~ ERROR `ByHand` is not a message
}

fn main() {}

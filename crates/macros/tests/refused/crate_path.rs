//! A path at which there is no sysvring.

#[sysvring::message(crate = "elsewhere")] //~ ERROR cannot find
struct Elsewhere(u64); //~ ERROR cannot find

fn main() {}

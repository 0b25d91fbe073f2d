//! The bridge as its users run it: real processes, a real server, and machines that are IPC
//! namespaces of this one.
//!
//! *Harness.* `server` finds or installs `nats-server`, and starts, kills and fills it; `namespace`
//! makes the machines and the network that is cut; `members` has the programs that send and receive
//! numbered messages, whose account (`account`) tells lost, doubled and late messages apart; `rig`
//! puts these together with two bridges.
//!
//! Short runs, for every change, and a longer one of the random kills:
//!
//! ```text
//! cargo test -p sysvring-bridge
//! cargo test -p sysvring-bridge --test bridge -- --kills 1000 --messages 1000000 kills
//! ```
//!
//! Without a server, the tests print `NOT CHECKED` and check nothing.

mod account;
#[allow(dead_code, reason = "the benchmark uses more of it")]
mod admin;
mod back_pressure;
mod checks;
mod credentials;
mod duplicate_window;
mod ends;
mod foreign_messages;
mod foreign_publisher;
mod full_disk;
mod harness;
mod kills;
mod members;
#[allow(dead_code, reason = "the benchmark uses more of it")]
mod namespace;
mod network_cut;
mod order;
#[allow(dead_code, reason = "the benchmark uses more of it")]
mod process;
mod quiet_routes;
mod removals;
mod rig;
mod routes;
mod scale;
mod scratch;
mod server;
mod server_kills;
mod two_bridges;

use std::process::ExitCode;

use sysvring_support::suite;

fn main() -> ExitCode {
    suite::main_with(scale::set_up)
}

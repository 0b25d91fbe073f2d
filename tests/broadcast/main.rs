//! Broadcast channels: who gets what, and what the deaths of members change.

mod deaths;
mod late_joiners;
mod overwriting;
mod random_kills;
mod removal;
mod seats;
mod several_receivers;
mod waiting;

use sysvring::broadcast;
use sysvring_support::name::Name;

type Sender = broadcast::Sender<u64>;
type Receiver = broadcast::Receiver<u64>;

/// Opens a channel with this many receivers.
fn channel<const N: usize>(name: &Name, capacity: usize) -> (Sender, [Receiver; N]) {
    let tx = name.options().capacity(capacity).open().expect("a sender");
    (tx, std::array::from_fn(|_| name.options().attach().expect("a receiver")))
}

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}

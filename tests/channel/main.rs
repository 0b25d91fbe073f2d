//! Channels between real processes: this program runs itself again for each of them.

mod messages;

use std::process::ExitCode;

use sysvring_support::{suite, worker};

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        return worker::work(&[messages::workers()].concat(), orders);
    }
    suite::run([messages::tests()].concat())
}

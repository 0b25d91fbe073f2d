//! Channels between real processes: this program runs itself again for each of them.

mod messages;

use std::process::ExitCode;

use sysvring_support::{suite, worker};

fn main() -> ExitCode {
    if let Some(mut orders) = worker::orders() {
        let work: String = orders.next();
        match work.as_str() {
            "count-up" => messages::count_up(&mut orders),
            other => panic!("no such work: {other}"),
        }
        return ExitCode::SUCCESS;
    }
    suite::run([messages::tests()].concat())
}

//! What is printed when the time of `--timeout` is over.

use std::io::{self, Write};

/// Prints what did not happen, and where else it may have happened: another channel of the same name is
/// the most frequent reason.
pub fn report(what: &str) {
    let _ = writeln!(
        io::stderr(),
        "sysvring: timed out: {what}; `sysvring ls` shows whether another user has a channel of this \
         name, and `sysvring doctor --pid PID` what is in the IPC namespace of a process"
    );
}

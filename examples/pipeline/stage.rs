//! What all stages do with their supervisor: say lines, and end with it.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::process;
use std::thread;

use sysvring::ChannelId;

use crate::failure::{Failure, STOPPED, cannot};

/// Says something on the standard output, which the supervisor reads.
pub fn say(what: impl Display) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}")
        .and_then(|()| output.flush())
        .map_err(cannot("talk to the supervisor"))
}

/// Ends this process when the supervisor closes our standard input, which it does to stop us and
/// which the kernel does if it dies.
///
/// With the channels removed nothing can stay: the sets are gone, and the kernel takes a private
/// segment away when its last user ends, however it ends. So there is no need to reach the thread
/// that waits at a channel, or in a slow read.
pub fn end_with_supervisor(channels: &[ChannelId]) -> Result<(), Failure> {
    let channels = channels.to_vec();
    let watch = move || {
        // Nothing is ever written there.
        let _ = io::stdin().read(&mut [0]);
        for channel in channels {
            // Gone already is fine.
            let _ = sysvring::remove(channel);
        }
        process::exit(STOPPED.into());
    };
    thread::Builder::new().spawn(watch).map_err(cannot("start a thread"))?;
    Ok(())
}

//! Sends numbered timestamps; `consumer` prints them.
//!
//! ```text
//! cargo run --example producer [NAME [MILLISECONDS]]     one terminal
//! cargo run --example consumer [NAME]                    another one, before or after
//! ```
//!
//! Kill either and start it again: the stream continues. The last of the two to leave removes the
//! channel.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use sysvring::{Lifetime, Options, SendError, spsc};

/// A message: the same on both sides.
#[sysvring::message]
struct Tick {
    number: u64,
    /// Nanoseconds since 1970.
    sent: u64,
}

/// Between two looks at whether to stop.
const CALL_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("producer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or("ticks".into());
    let pace = Duration::from_millis(arguments.next().unwrap_or("500".into()).parse()?);
    // Ctrl-C ends the loop, so that we leave the channel before we go.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }

    let ticks = Options::named(name).lifetime(Lifetime::LastMember);
    let mut sender: spsc::Sender<Tick> = ticks.open()?;
    while !stop.load(Ordering::Relaxed) {
        // The position goes on where a producer before us stopped.
        let number = sender.position();
        let sent = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
        match sender.send_timeout(&Tick { number, sent }, CALL_TIMEOUT) {
            Ok(()) => {
                println!("sent {number}");
                thread::sleep(pace);
            }
            // The channel is full.
            Err(SendError::Timeout) => {}
            // The consumer is gone; what it did not receive waits for the next one, and so do we.
            Err(SendError::Disconnected) => match sender.wait_for_peer(CALL_TIMEOUT) {
                Ok(_) | Err(SendError::Timeout) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sender.close()?)
}

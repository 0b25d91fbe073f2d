//! Prints what `producer` sends; see there.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGINT, SIGTERM};
use sysvring::{Lifetime, Options, RecvError, spsc};

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
            eprintln!("consumer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let name = env::args().nth(1).unwrap_or("ticks".into());
    // Ctrl-C ends the loop, so that we leave the channel before we go.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }

    let ticks = Options::named(name).lifetime(Lifetime::LastMember);
    let mut receiver: spsc::Receiver<Tick> = ticks.open()?;
    let mut connected = true;
    while !stop.load(Ordering::Relaxed) {
        match receiver.recv_timeout(CALL_TIMEOUT) {
            Ok(tick) => {
                let now = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
                let age = Duration::from_nanos(now.saturating_sub(tick.sent));
                println!("{} after {age:?}", tick.number);
                connected = true;
            }
            // Nothing was sent meanwhile.
            Err(RecvError::Timeout) => {}
            // The producer is gone, and all that it sent was received.
            Err(RecvError::Disconnected) => {
                if std::mem::take(&mut connected) {
                    println!("the producer is gone; waiting for another");
                }
                match receiver.wait_for_peer(CALL_TIMEOUT) {
                    Ok(_) | Err(RecvError::Timeout) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(receiver.close()?)
}

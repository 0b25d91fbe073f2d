//! One sender and one receiver, in two processes.
//!
//! ```text
//! cargo run --release --example spsc
//! ```

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use sysvring::{ChannelId, Options, spsc};

const MESSAGES: u64 = 1_000_000;
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    // The child process runs this program again, with the channel's identifier as its argument.
    if let Some(id) = env::args().nth(1) {
        return receive(id.parse()?);
    }
    let mut sender: spsc::Sender<u64> = Options::private().create()?;
    let id = sender.id().to_string();
    let mut child = Command::new(env::current_exe()?).arg(id).spawn()?;
    sender.wait_for_peer(TIMEOUT)?;
    for number in 1..=MESSAGES {
        sender.send(&number)?;
    }
    // Returns when the receiver has acknowledged every message.
    sender.flush(TIMEOUT)?;
    sender.close()?;
    child.wait()?.success().then_some(()).ok_or("the receiver failed".into())
}

fn receive(id: ChannelId) -> Result<(), Box<dyn Error>> {
    let mut receiver: spsc::Receiver<u64> = Options::id(id).attach()?;
    let (mut count, mut sum) = (0, 0);
    // The iterator ends when the sender has left and every message was received.
    for number in &mut receiver {
        count += 1;
        sum += number?;
    }
    println!("received {count} messages; their sum is {sum}");
    Ok(())
}

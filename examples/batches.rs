//! Many small messages in batches: one announcement and one acknowledgement for each batch.
//!
//! ```text
//! cargo run --release --example batches
//! ```

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use sysvring::{ChannelId, Options, RecvError, spsc};

const BATCHES: u64 = 10_000;
const BATCH: u64 = 64;
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(id) = env::args().nth(1) {
        return receive(id.parse()?);
    }
    let mut sender: spsc::Sender<u64> = Options::private().create()?;
    let mut child = Command::new(env::current_exe()?).arg(sender.id().to_string()).spawn()?;
    sender.wait_for_peer(TIMEOUT)?;
    for batch in 0..BATCHES {
        let numbers: Vec<u64> = (batch * BATCH..(batch + 1) * BATCH).collect();
        // Blocks until all are in the ring. An error says how many of them were sent.
        sender.send_batch(&numbers)?;
    }
    sender.flush(TIMEOUT)?;
    sender.finish()?;
    child.wait()?.success().then_some(()).ok_or("the receiver failed".into())
}

fn receive(id: ChannelId) -> Result<(), Box<dyn Error>> {
    let mut receiver: spsc::Receiver<u64> = Options::id(id).attach()?;
    let (mut numbers, mut received) = (Vec::new(), 0);
    loop {
        // Blocks until at least one message is there, then takes all there are, 1,024 at most.
        match receiver.recv_batch(&mut numbers, 1024) {
            Ok(count) => received += count,
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
        numbers.clear();
    }
    println!("received {received} messages");
    Ok(())
}

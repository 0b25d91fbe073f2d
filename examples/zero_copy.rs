//! Frames of 1 MiB that are written and read in the shared memory itself: no copy.
//!
//! ```text
//! cargo run --release --example zero_copy
//! ```

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use sysvring::{ChannelId, Options, spsc};

const FRAMES: u64 = 100;
/// Pixels of a frame, 4 bytes each. Messages are slices, so that no frame is ever built on the stack.
const PIXELS: usize = 512 * 512;
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(id) = env::args().nth(1) {
        return receive(id.parse()?);
    }
    // Four slots of one frame each.
    let options = Options::private().capacity(4).slot_size(size_of::<[u32; PIXELS]>());
    let mut sender: spsc::Sender<[u32]> = options.create()?;
    let mut child = Command::new(env::current_exe()?).arg(sender.id().to_string()).spawn()?;
    sender.wait_for_peer(TIMEOUT)?;
    for number in 0..FRAMES {
        // A loan is the memory of a slot. Dropped without `commit`, it sends nothing.
        let mut frame = sender.loan_with(PIXELS)?;
        frame.fill(number as u32);
        frame.commit()?;
    }
    sender.flush(TIMEOUT)?;
    sender.close()?;
    child.wait()?.success().then_some(()).ok_or("the receiver failed".into())
}

fn receive(id: ChannelId) -> Result<(), Box<dyn Error>> {
    let mut receiver: spsc::Receiver<[u32]> = Options::id(id).attach()?;
    let mut bright = 0;
    for number in 0..FRAMES {
        // The guard lends the message. The sender may reuse the slot once it is acknowledged.
        let frame = receiver.recv_ref()?;
        assert!(frame.iter().all(|pixel| u64::from(*pixel) == number));
        bright += frame.iter().filter(|pixel| **pixel > 50).count();
        frame.ack()?;
    }
    println!("received {FRAMES} frames; {bright} pixels are brighter than 50");
    Ok(())
}

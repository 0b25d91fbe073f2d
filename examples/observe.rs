//! Looks at a channel from outside while two other processes use it: nothing is disturbed.
//!
//! ```text
//! cargo run --release --example observe
//! ```

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::Duration;

use sysvring::{ChannelId, Observer, Options, SendError, spsc};

const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(id) = env::args().nth(1) {
        return send(id.parse()?);
    }
    let mut receiver: spsc::Receiver<u64> = Options::private().label("adder").create()?;
    let id = receiver.id();
    let mut child = Command::new(env::current_exe()?).arg(id.to_string()).spawn()?;
    receiver.wait_for_peer(TIMEOUT)?;
    let adder = thread::spawn(move || (receiver.iter().take(1_000_000).count(), receiver));
    // An observer takes no seat. Between two looks it holds nothing.
    let observer = Observer::open(id)?;
    while !adder.is_finished() {
        let stat = observer.stat()?;
        println!("{} sent, {} not yet acknowledged", stat.tail, stat.depth);
        thread::sleep(Duration::from_millis(5));
    }
    let (received, receiver) = adder.join().expect("the thread does not panic");
    // Everything there is to know, as `ipcs` would show it if it knew about channels.
    print!("{}", observer.stat()?);
    println!("received {received} messages");
    receiver.close()?;
    child.wait()?.success().then_some(()).ok_or("the sender failed".into())
}

fn send(id: ChannelId) -> Result<(), Box<dyn Error>> {
    let mut sender: spsc::Sender<u64> = Options::id(id).label("counter").attach()?;
    for number in 0.. {
        match sender.send(&number) {
            Ok(()) => {}
            // The receiver has what it wanted, and left.
            Err(SendError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

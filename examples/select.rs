//! One thread waits for two channels, a pipe, a deadline and a notifier at the same time.
//!
//! ```text
//! cargo run --release --example select
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Read};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{ChannelId, Interest, Options, RecvError, WaitSet, mpmc, spsc};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    if let [_, ticks, orders] = &arguments[..] {
        return send(ticks.parse()?, orders.parse()?);
    }
    let ticks: mpmc::Receiver<u64> = Options::private().create()?;
    let mut orders: spsc::Receiver<str> = Options::private().create()?;
    let (mut output, child_output) = io::pipe()?;
    let ids = [ticks.id().to_string(), orders.id().to_string()];
    let mut child = Command::new(env::current_exe()?).args(ids).stdout(child_output).spawn()?;

    let set = WaitSet::new()?;
    let (tick, order) = (set.add(&ticks)?, set.add(&orders)?);
    let line = set.add_fd(&output, Interest::Readable)?;
    let deadline = set.add_deadline(Instant::now() + Duration::from_millis(100));
    let notifier = set.notifier();
    let notified = notifier.token();
    thread::spawn(move || notifier.notify());

    let mut open = 3;
    while open > 0 {
        for event in set.wait(None)? {
            match event.token() {
                // Ready until a call returns `Empty`; what is left is reported again.
                token if token == tick => match ticks.try_recv() {
                    Ok(number) => println!("tick {number}"),
                    Err(RecvError::Empty) => {}
                    Err(RecvError::Disconnected) => open -= i32::from(set.remove(tick)),
                    Err(error) => return Err(error.into()),
                },
                token if token == order => match orders.try_recv_ref() {
                    Ok(text) => text.read(|text| println!("order: {text}"))?,
                    Err(RecvError::Empty) => {}
                    Err(RecvError::Disconnected) => open -= i32::from(set.remove(order)),
                    Err(error) => return Err(error.into()),
                },
                token if token == line => {
                    let mut bytes = [0; 80];
                    match output.read(&mut bytes)? {
                        0 => open -= i32::from(set.remove(line)),
                        count => print!("pipe: {}", String::from_utf8_lossy(&bytes[..count])),
                    }
                }
                token if token == deadline => println!("100 ms are over"),
                token if token == notified => println!("another thread has notified us"),
                token => unreachable!("{token:?} was not added"),
            }
        }
    }
    child.wait()?.success().then_some(()).ok_or("the sender failed".into())
}

/// The child process: sends to both channels, and prints to the pipe, for some time.
fn send(ticks: ChannelId, orders: ChannelId) -> Result<(), Box<dyn Error>> {
    let ticks: mpmc::Sender<u64> = Options::id(ticks).attach()?;
    let mut orders: spsc::Sender<str> = Options::id(orders).attach()?;
    for number in 0..5 {
        ticks.send(&number)?;
        thread::sleep(Duration::from_millis(20));
        orders.send(&format!("{number} apples"))?;
        thread::sleep(Duration::from_millis(20));
        println!("{} messages sent", 2 * (number + 1));
    }
    Ok(())
}

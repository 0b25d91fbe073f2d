//! A server and a client in tasks of one tokio runtime; between processes it is the same:
//!
//! ```sh
//! cargo run --example async_tokio --features tokio
//! ```

use std::time::Duration;

use sysvring::{ChannelId, Options, RecvError, mpmc, spsc};
use tokio::time::{Instant, sleep_until, timeout};

/// Answers requests, each in a task of its own, until there are no more clients.
async fn serve(requests: mpmc::Receiver<u64>, replies: ChannelId) -> Result<(), sysvring::Error> {
    let replies: mpmc::Sender<[u64; 2]> = Options::id(replies).attach()?;
    loop {
        match requests.recv_async().await {
            Ok(n) => {
                let replies = replies.clone();
                tokio::spawn(async move { replies.send_async(&[n, n * n]).await });
            }
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let requests: mpmc::Sender<u64> = Options::private().create()?;
    let replies: mpmc::Receiver<[u64; 2]> = Options::private().create()?;
    let mut alarms: spsc::Sender<str> = Options::private().create()?;
    let mut alarm: spsc::Receiver<str> = Options::id(alarms.id()).attach()?;
    let server = tokio::spawn(serve(Options::id(requests.id()).attach()?, replies.id()));

    requests.send_batch_async(&[1, 2, 3]).await?;
    let end = Instant::now() + Duration::from_millis(200);
    loop {
        // A future that is dropped because another one was ready has taken nothing.
        tokio::select! {
            reply = replies.recv_async() => match reply? {
                [3, square] => alarms.send_async(&format!("the last square is {square}")).await?,
                [n, square] => println!("{n} * {n} = {square}"),
            },
            text = alarm.recv_boxed_async() => println!("alarm: {}", text?),
            () = sleep_until(end) => break,
        }
    }
    let nothing = timeout(Duration::from_millis(20), replies.recv_async()).await;
    println!("another reply: {}", if nothing.is_err() { "not in time" } else { "yes" });
    requests.finish()?;
    Ok(server.await??)
}

//! Values of serde types between two processes, in an MPMC channel.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysvring::{Lifetime, Options, Postcard, RecvError, mpmc};

#[derive(Debug, Serialize, Deserialize)]
enum Job {
    Compress { path: String, level: Option<u8> },
    Notify(Vec<String>),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The version of `Job` is given here; both sides compare it, and the names of the type.
    let options = Options::named("example-postcard").slot_size(512).schema(1);
    let jobs = options.lifetime(Lifetime::LastMember);
    if std::env::args().nth(1).as_deref() == Some("worker") {
        let rx: mpmc::Receiver<Postcard<Job>> = jobs.open()?;
        loop {
            match rx.recv_value() {
                Ok(job) => println!("received {job:?}"),
                Err(RecvError::NotDeserialized { position, cause }) => {
                    eprintln!("message {position} is no job: {cause}");
                }
                Err(RecvError::Disconnected) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
    let tx: mpmc::Sender<Postcard<Job>> = jobs.open()?;
    let mut worker = std::process::Command::new(std::env::current_exe()?).arg("worker").spawn()?;
    tx.send_value(&Job::Compress { path: "a.txt".into(), level: Some(9) })?;
    tx.send_value(&Job::Notify(vec!["Ada".into(), "Grace".into()]))?;
    tx.flush(Duration::from_secs(10))?; // the worker has joined, and received them
    tx.finish()?;
    worker.wait()?;
    Ok(())
}

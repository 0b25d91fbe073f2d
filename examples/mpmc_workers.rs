//! A pool of worker processes. One of them is killed at work; no job is lost.
//!
//! ```text
//! cargo run --release --example mpmc_workers
//! ```

use std::env;
use std::error::Error;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use sysvring::{ChannelId, Options, RecvError, mpmc};

const JOBS: u64 = 200;
const WORKERS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    if let [_, jobs, results] = &arguments[..] {
        return work(jobs.parse()?, results.parse()?);
    }
    let jobs: mpmc::Sender<u64> = Options::private().create()?;
    let results: mpmc::Receiver<[u64; 2]> = Options::private().create()?;
    let ids = [jobs.id().to_string(), results.id().to_string()];
    let start = || Command::new(env::current_exe()?).args(&ids).spawn();
    let mut workers = (0..WORKERS).map(|_| start()).collect::<Result<Vec<Child>, _>>()?;
    for job in 0..JOBS {
        jobs.send(&job)?;
    }
    let mut squares = vec![None; JOBS as usize];
    for received in 0.. {
        if received == 20 {
            workers[0].kill()?;
        }
        // A result may come twice: its worker may be killed between sending and acknowledging.
        let [job, square] = results.recv()?;
        squares[job as usize] = Some(square);
        if squares.iter().all(Option::is_some) {
            break;
        }
    }
    // The end of the jobs' stream: workers get `Disconnected`, and end, even one that starts now.
    jobs.finish()?;
    for worker in &mut workers {
        worker.wait()?;
    }
    let sum: u64 = squares.into_iter().flatten().sum();
    println!("the sum of {JOBS} squares is {sum}");
    Ok(())
}

fn work(jobs: ChannelId, results: ChannelId) -> Result<(), Box<dyn Error>> {
    let jobs: mpmc::Receiver<u64> = Options::id(jobs).attach()?;
    let results: mpmc::Sender<[u64; 2]> = Options::id(results).attach()?;
    loop {
        // Acknowledged last: if this process is killed before, another worker gets the job.
        let job = match jobs.recv_ref() {
            Ok(job) => job,
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        thread::sleep(Duration::from_millis(1));
        results.send(&[*job, *job * *job])?;
        job.ack()?;
    }
}

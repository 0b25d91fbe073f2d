//! The worker processes: started, killed on purpose, and started again.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::channel::Channels;
use crate::socket::Sockets;
use crate::waiting::lock;

/// Between a worker that ended by itself and its successor: a worker that cannot start must not
/// occupy the machine.
const PAUSE: Duration = Duration::from_millis(100);

/// How a worker reaches the front.
#[derive(Clone)]
pub enum Link {
    Channels(Arc<Channels>),
    Sockets(Arc<Sockets>),
}

/// The workers of a pool.
pub struct Workers {
    places: Vec<Place>,
    deaths: AtomicU64,
    has_ended: watch::Sender<bool>,
}

/// The place of one worker after the other.
#[derive(Default)]
struct Place {
    pid: Mutex<Option<u32>>,
    kill: Notify,
}

impl Workers {
    /// Makes places for this number of workers.
    pub fn new(count: usize) -> Workers {
        let places = std::iter::repeat_with(Place::default).take(count).collect();
        Workers { places, deaths: AtomicU64::new(0), has_ended: watch::Sender::new(false) }
    }

    /// Keeps a worker running in each place until [`stop`](Workers::stop).
    pub async fn run(self: Arc<Self>, link: Link) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        for number in 0..self.places.len() {
            tasks.spawn(supervise(Arc::clone(&self), number, link.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }

    /// Kills a random worker each time that this time has passed, for ever.
    pub async fn kill_every(self: Arc<Self>, pause: Duration) {
        let random = RandomState::new();
        for n in 0_u64.. {
            tokio::time::sleep(pause).await;
            let place = random.hash_one(n) as usize % self.places.len();
            self.places[place].kill.notify_one();
        }
    }

    /// Kills all workers, so that [`run`](Workers::run) ends.
    pub fn stop(&self) {
        self.has_ended.send_replace(true);
    }

    pub fn pids(&self) -> Vec<u32> {
        self.places.iter().filter_map(|place| *lock(&place.pid)).collect()
    }

    /// Returns how many workers were killed.
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Relaxed)
    }
}

/// Keeps a worker running in a place.
async fn supervise(workers: Arc<Workers>, number: usize, link: Link) -> io::Result<()> {
    {
        let mut has_ended = workers.has_ended.subscribe();
        let place = &workers.places[number];
        loop {
            let mut worker = start(&link)?;
            *lock(&place.pid) = worker.id();
            tokio::select! {
                end = worker.wait() => {
                    eprintln!("a worker ended: {}", end?);
                    tokio::time::sleep(PAUSE).await;
                }
                () = place.kill.notified() => {
                    worker.kill().await?;
                    workers.deaths.fetch_add(1, Relaxed);
                }
                () = ended(&mut has_ended) => {
                    *lock(&place.pid) = None;
                    return worker.kill().await;
                }
            }
        }
    }
}

/// Waits until the pool ends.
async fn ended(has_ended: &mut watch::Receiver<bool>) {
    // The sender lives as long as the workers.
    let _ = has_ended.wait_for(|ended| *ended).await;
}

/// Starts this program again as a worker.
fn start(link: &Link) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("work").kill_on_drop(true);
    match link {
        Link::Channels(channels) => command.args(channels.ids().map(|id| id.to_string())),
        Link::Sockets(sockets) => command.stdin(Stdio::from(OwnedFd::from(sockets.connect()?))),
    };
    command.spawn()
}

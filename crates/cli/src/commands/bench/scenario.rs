//! The scenarios: streams of messages, and round trips.

use std::time::{Duration, Instant};

use sysvring::{ChannelId, Options, RecvError, broadcast, mpmc, spsc};

use super::Peer;
use crate::failure::Failure;

/// The time for the other process to start.
const START: Duration = Duration::from_secs(10);
/// Messages between two looks at the clock.
const CHUNK: u64 = 256;

/// Something to measure.
pub struct Scenario {
    pub name: &'static str,
    /// Bytes of a message.
    pub size: usize,
    pub measure: fn(&Scenario, Duration) -> Result<Measured, Failure>,
    /// The other process, which gets the identifiers of two channels.
    pub peer: fn(&[ChannelId]) -> Result<(), Failure>,
}

const fn scenario(
    name: &'static str,
    size: usize,
    measure: fn(&Scenario, Duration) -> Result<Measured, Failure>,
    peer: fn(&[ChannelId]) -> Result<(), Failure>,
) -> Scenario {
    Scenario { name, size, measure, peer }
}

pub const SCENARIOS: &[Scenario] = &[
    scenario("spsc-8", 8, spsc_stream::<8>, spsc_drain::<8>),
    scenario("spsc-64", 64, spsc_stream::<64>, spsc_drain::<64>),
    scenario("spsc-1024", 1024, spsc_stream::<1024>, spsc_drain::<1024>),
    scenario("mpmc-8", 8, mpmc_stream::<8>, mpmc_drain::<8>),
    scenario("mpmc-1024", 1024, mpmc_stream::<1024>, mpmc_drain::<1024>),
    scenario("broadcast-8", 8, broadcast_stream::<8>, broadcast_drain::<8>),
    scenario("broadcast-1024", 1024, broadcast_stream::<1024>, broadcast_drain::<1024>),
    scenario("round-trip-64", 64, round_trips, echo),
];

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    pub messages: u64,
    pub time: Duration,
    /// The round trips in ns, sorted.
    round_trips: Vec<u64>,
}

impl Measured {
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let last = self.round_trips.len().checked_sub(1)?;
        self.round_trips.get((last as f64 * share) as usize).copied()
    }
}

fn spsc_stream<const N: usize>(scenario: &Scenario, time: Duration) -> Result<Measured, Failure> {
    let mut tx: spsc::Sender<[u8; N]> = Options::private().create()?;
    let peer = Peer::start(scenario, [tx.id(); 2])?;
    tx.wait_for_peer(START)?;
    let (start, mut messages) = (Instant::now(), 0);
    while start.elapsed() < time {
        for _ in 0..CHUNK {
            tx.send(&[7; N])?;
        }
        messages += CHUNK;
    }
    tx.flush(START)?;
    let time = start.elapsed();
    tx.finish()?;
    peer.end()?;
    Ok(Measured { messages, time, round_trips: Vec::new() })
}

fn spsc_drain<const N: usize>(ids: &[ChannelId]) -> Result<(), Failure> {
    let mut rx: spsc::Receiver<[u8; N]> = Options::id(ids[0]).attach()?;
    let mut message = [0; N];
    loop {
        match rx.recv_into(&mut message) {
            Ok(()) => {}
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn mpmc_stream<const N: usize>(scenario: &Scenario, time: Duration) -> Result<Measured, Failure> {
    let tx: mpmc::Sender<[u8; N]> = Options::private().create()?;
    let peer = Peer::start(scenario, [tx.id(); 2])?;
    tx.wait_for_peer(START)?;
    let (start, mut messages) = (Instant::now(), 0);
    while start.elapsed() < time {
        for _ in 0..CHUNK {
            tx.send(&[7; N])?;
        }
        messages += CHUNK;
    }
    tx.flush(START)?;
    let time = start.elapsed();
    tx.finish()?;
    peer.end()?;
    Ok(Measured { messages, time, round_trips: Vec::new() })
}

fn mpmc_drain<const N: usize>(ids: &[ChannelId]) -> Result<(), Failure> {
    let rx: mpmc::Receiver<[u8; N]> = Options::id(ids[0]).attach()?;
    let mut message = [0; N];
    loop {
        match rx.recv_into(&mut message) {
            Ok(()) => {}
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One sender, and two receivers that get every message.
fn broadcast_stream<const N: usize>(
    scenario: &Scenario,
    time: Duration,
) -> Result<Measured, Failure> {
    let mut tx: broadcast::Sender<[u8; N]> = Options::private().create()?;
    let peers = [Peer::start(scenario, [tx.id(); 2])?, Peer::start(scenario, [tx.id(); 2])?];
    tx.wait_for_receivers(peers.len(), START)?;
    let (start, mut messages) = (Instant::now(), 0);
    while start.elapsed() < time {
        for _ in 0..CHUNK {
            tx.send(&[7; N])?;
        }
        messages += CHUNK;
    }
    tx.flush(START)?;
    let time = start.elapsed();
    tx.finish()?;
    for peer in peers {
        peer.end()?;
    }
    Ok(Measured { messages, time, round_trips: Vec::new() })
}

fn broadcast_drain<const N: usize>(ids: &[ChannelId]) -> Result<(), Failure> {
    let mut rx: broadcast::Receiver<[u8; N]> = Options::id(ids[0]).attach()?;
    let mut message = [0; N];
    loop {
        match rx.recv_into(&mut message) {
            Ok(()) => {}
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn round_trips(scenario: &Scenario, time: Duration) -> Result<Measured, Failure> {
    let mut there: spsc::Sender<[u8; 64]> = Options::private().create()?;
    let mut back: spsc::Receiver<[u8; 64]> = Options::private().create()?;
    let peer = Peer::start(scenario, [there.id(), back.id()])?;
    there.wait_for_peer(START)?;
    back.wait_for_peer(START)?;
    let (start, mut round_trips) = (Instant::now(), Vec::new());
    loop {
        let begin = Instant::now();
        if begin - start >= time {
            break;
        }
        there.send(&[7; 64])?;
        back.recv()?;
        round_trips.push(begin.elapsed().as_nanos() as u64);
    }
    let time = start.elapsed();
    there.finish()?;
    peer.end()?;
    round_trips.sort_unstable();
    Ok(Measured { messages: 2 * round_trips.len() as u64, time, round_trips })
}

fn echo(ids: &[ChannelId]) -> Result<(), Failure> {
    let mut rx: spsc::Receiver<[u8; 64]> = Options::id(ids[0]).attach()?;
    let mut tx: spsc::Sender<[u8; 64]> = Options::id(ids[1]).attach()?;
    loop {
        match rx.recv() {
            Ok(message) => tx.send(&message)?,
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

//! The bridge between a channel and the server.

use std::time::{Duration, Instant};

use sysvring::Options;
use sysvring::spsc::{Receiver, Sender};
use sysvring_support::name::Name;

use crate::namespace::Machine;
use crate::process::Process;
use crate::report::median;
use crate::routes::{self, Bridge};
use crate::scratch::Scratch;
use crate::{Turn, WARM_UP, bare};

/// The time after which a message does not come any more.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of slots of a channel.
const CAPACITY: usize = 4_096;

fn options(name: &Name, turn: &Turn) -> Options {
    name.options().capacity(CAPACITY).slot_size(turn.size)
}

fn start(turn: &Turn, folder: &Scratch, route: &str) -> Process {
    let machine = Machine::this();
    let text = routes::server(turn.url, "", folder) + route;
    Bridge::new(&machine, folder, "bridge", &text).start(&[])
}

fn outgoing(turn: &Turn, folder: &Scratch) -> (Name, Sender<[u8]>, Process) {
    let name = Name::new();
    let tx = options(&name, turn).create().expect("a sender");
    let bridge = start(turn, folder, &routes::out(name.as_str(), ""));
    (name, tx, bridge)
}

fn incoming(turn: &Turn, folder: &Scratch) -> (Name, Receiver<[u8]>, Process) {
    let name = Name::new();
    let rx = options(&name, turn).create().expect("a receiver");
    let bridge = start(turn, folder, &routes::to_channel(name.as_str(), ""));
    (name, rx, bridge)
}

/// Sends messages into the channel until all are acknowledged, and returns how many a second.
pub fn publish(turn: &Turn) -> (f64, u64) {
    let folder = Scratch::new();
    let (_name, mut tx, bridge) = outgoing(turn, &folder);
    let mut send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            tx.send_timeout(&turn.message(number as u64), TIMEOUT).expect("sent");
        }
        tx.flush(TIMEOUT).expect("stored");
    };
    send(0..WARM_UP);
    let start = Instant::now();
    send(WARM_UP..WARM_UP + turn.messages);
    let time = start.elapsed();
    turn.must_have(WARM_UP + turn.messages);
    (turn.rate(time), bridge.peak_memory())
}

/// Receives the messages of a full stream from the channel, and returns how many a second.
pub fn pull(turn: &Turn) -> (f64, u64) {
    bare::fill(turn);
    let folder = Scratch::new();
    let (_name, mut rx, bridge) = incoming(turn, &folder);
    let mut start = Instant::now();
    for number in 0..WARM_UP + turn.messages {
        if number == WARM_UP {
            start = Instant::now();
        }
        let message = rx.recv_ref_timeout(TIMEOUT).expect("a message");
        assert_eq!(message[..8], (number as u64).to_ne_bytes());
        message.ack().expect("acknowledged");
    }
    (turn.rate(start.elapsed()), bridge.peak_memory())
}

/// Returns the median time in microseconds until a message that is sent is stored.
pub fn latency_out(turn: &Turn) -> (f64, u64) {
    let folder = Scratch::new();
    let (_name, mut tx, bridge) = outgoing(turn, &folder);
    let mut times = Vec::new();
    for number in 0..=turn.messages as u64 {
        let message = turn.message(number);
        let start = Instant::now();
        tx.send_timeout(&message, TIMEOUT).expect("sent");
        tx.flush(TIMEOUT).expect("stored");
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    // The bridge joined during the first one.
    (median(&times[1..]), bridge.peak_memory())
}

/// Returns the median time in microseconds until a message that is published is in the channel.
pub fn latency_in(turn: &Turn) -> (f64, u64) {
    let folder = Scratch::new();
    let (_name, mut rx, bridge) = incoming(turn, &folder);
    let times = bare::publish_each(turn, turn.messages as u64 + 1, |number| {
        let message = rx.recv_ref_timeout(TIMEOUT).expect("a message");
        let arrived = Instant::now();
        assert_eq!(message[..8], number.to_ne_bytes(), "another message");
        message.ack().expect("acknowledged");
        arrived
    });
    (median(&times[1..]), bridge.peak_memory())
}

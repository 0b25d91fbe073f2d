//! Starting two processes, each pinned to a processor.

use std::io;

use sysvring_support::worker::Worker;

use crate::link::Way;

/// Starts this executable again, pinned to a processor, with arguments.
pub fn worker(core: usize, orders: &[&dyn ToString]) -> io::Result<Worker> {
    let mut all: Vec<&dyn ToString> = vec![&core];
    all.extend(orders);
    Worker::start(&all)
}

/// Starts the two ends of a link. The sender creates it and prints its address; the receiver
/// attaches to that address and reports that it is ready. Both receive the arguments `more`.
pub fn start(
    part: &str,
    way: Way,
    cores: (usize, usize),
    more: &[&dyn ToString],
) -> io::Result<(Worker, Worker)> {
    let mut orders: Vec<&dyn ToString> = vec![&part, &"send", &way];
    orders.extend(more);
    let mut sender = worker(cores.0, &orders)?;
    let address = sender.hear()?;
    let mut orders: Vec<&dyn ToString> = vec![&part, &"receive", &way];
    orders.extend(more);
    orders.push(&address);
    let mut receiver = worker(cores.1, &orders)?;
    receiver.hear()?;
    Ok((sender, receiver))
}

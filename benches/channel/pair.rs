//! Two processes, each bound to a processor.

use std::io;

use sysvring_support::worker::Worker;

use crate::link::Way;

/// Starts this executable again on a processor, with orders.
pub fn worker(core: usize, orders: &[&dyn ToString]) -> io::Result<Worker> {
    let mut all: Vec<&dyn ToString> = vec![&core];
    all.extend(orders);
    Worker::start(&all)
}

/// Starts the two ends of a link: the sender makes it and says its address, the receiver is given it
/// and says that it is there. `more` is ordered of both.
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

//! Starting two processes, each pinned to a processor.

use std::io;

use sysvring_support::worker::Worker;

use crate::link::Transport;

/// Starts this executable again, pinned to a processor, with arguments.
pub fn worker(core: usize, args: &[&dyn ToString]) -> io::Result<Worker> {
    let mut all: Vec<&dyn ToString> = vec![&core];
    all.extend(args);
    Worker::start(&all)
}

/// Starts the two ends of a link. The sender creates it and prints its address; the receiver
/// attaches to that address and reports that it is ready. Both receive the arguments `more`.
pub fn start(
    part: &str,
    transport: Transport,
    cores: (usize, usize),
    more: &[&dyn ToString],
) -> io::Result<(Worker, Worker)> {
    let mut args: Vec<&dyn ToString> = vec![&part, &"send", &transport];
    args.extend(more);
    let mut sender = worker(cores.0, &args)?;
    let address = sender.hear()?;
    let mut args: Vec<&dyn ToString> = vec![&part, &"receive", &transport];
    args.extend(more);
    args.push(&address);
    let mut receiver = worker(cores.1, &args)?;
    receiver.hear()?;
    Ok((sender, receiver))
}

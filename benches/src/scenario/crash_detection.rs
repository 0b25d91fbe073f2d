//! Time until a blocked receiver detects that its sender was killed.
//!
//! Measured from just before `kill(SIGKILL)` until the receiver returns `Disconnected`. The
//! reference is a pipe, whose reader gets end-of-file: the kernel's own mechanism.

use std::io::{self, Read};

use sysvring::RecvError;
use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::interleave::rotated;
use crate::link::{self, Transport};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Bound, Series, Table};
use crate::{Effort, clock};

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Balanced];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let kills: usize = effort.pick(3, 50, 200);
    let mut times = vec![Series::default(); TRANSPORTS.len()];
    for round in 0..kills {
        for i in rotated(TRANSPORTS.len(), round) {
            let (mut sender, mut receiver) = pair::start("death", TRANSPORTS[i], cores.apart, &[])?;
            receiver.wait_asleep()?;
            let before = clock::now();
            sender.kill()?;
            let [after] = receiver.figures()?;
            times[i].push((after - before as f64) / 1e6);
        }
    }
    let title = format!(
        "Crash detection: ms from the kill of the sender until the receiver returns; {kills} kills each"
    );
    let mut table =
        Table::new(title, &["", "p50", "p99", "min", "max", "p50 vs pipe", "target", ""]);
    for (i, &transport) in TRANSPORTS.iter().enumerate() {
        let time = &times[i];
        let figures = [time.median(), time.quantile(0.99), time.min(), time.max()];
        let mut cells = figures.map(|ms| format!("{ms:.3}")).to_vec();
        if transport != Transport::Pipe {
            cells.push(format!("{:.2}", time.over(&times[0]).median()));
            cells.extend(Bound::AtMost(0.2).cells(time.median()));
        }
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Orders) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    match role.as_str() {
        "send" => live(transport),
        "receive" => learn(transport, &args.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

/// Holds the sending end until killed.
fn live(transport: Transport) {
    if transport == Transport::Pipe {
        let (_tx, address) = link::pipe_sender();
        say(address);
        hear();
    } else {
        let tx: Sender<u64> = link::sender(transport);
        say(tx.id());
        hear();
    }
}

/// Blocks until the sender is dead, and reports when the call returned.
fn learn(transport: Transport, address: &str) {
    if transport == Transport::Pipe {
        let mut rx = link::pipe_receiver(address);
        say("ready");
        let end = rx.read(&mut [0; 8]);
        let time = clock::now();
        assert_eq!(end.expect("read"), 0);
        say(time);
    } else {
        let mut rx: Receiver<u64> = link::receiver(transport, address);
        say("ready");
        let end = rx.recv();
        let time = clock::now();
        assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
        say(time);
    }
}

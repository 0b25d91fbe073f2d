//! Time until a blocked receiver detects that its sender was killed.
//!
//! Measured from just before `kill(SIGKILL)` until the receiver returns `Disconnected`. The
//! reference is a pipe, whose reader gets end-of-file: the kernel's own mechanism.

use std::io::{self, Read};

use sysvring::RecvError;
use sysvring::spsc::{Receiver, Sender};
use sysvring_support::worker::{Orders, hear, say};

use crate::contest::rotated;
use crate::link::{self, Way};
use crate::machine::Cores;
use crate::pair;
use crate::table::{Goal, Series, Table};
use crate::{Extent, clock};

const WAYS: &[Way] = &[Way::Pipe, Way::Balanced];

pub fn run(cores: &Cores, extent: Extent) -> io::Result<()> {
    let kills: usize = extent.pick(3, 50, 200);
    let mut times = vec![Series::default(); WAYS.len()];
    for round in 0..kills {
        for i in rotated(WAYS.len(), round) {
            let (mut sender, mut receiver) = pair::start("death", WAYS[i], cores.apart, &[])?;
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
    for (i, &way) in WAYS.iter().enumerate() {
        let time = &times[i];
        let figures = [time.median(), time.quantile(0.99), time.least(), time.most()];
        let mut cells = figures.map(|ms| format!("{ms:.3}")).to_vec();
        if way != Way::Pipe {
            cells.push(format!("{:.2}", time.over(&times[0]).median()));
            cells.extend(Goal::AtMost(0.2).cells(time.median()));
        }
        table.row(way.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(orders: &mut Orders) {
    let (role, way): (String, Way) = (orders.next(), orders.next());
    match role.as_str() {
        "send" => live(way),
        "receive" => learn(way, &orders.next::<String>()),
        other => panic!("unknown role: {other}"),
    }
}

/// Holds the sending end until killed.
fn live(way: Way) {
    if way == Way::Pipe {
        let (_tx, address) = link::pipe_sender();
        say(address);
        hear();
    } else {
        let tx: Sender<u64> = link::sender(way);
        say(tx.id());
        hear();
    }
}

/// Blocks until the sender is dead, and reports when the call returned.
fn learn(way: Way, address: &str) {
    if way == Way::Pipe {
        let mut rx = link::pipe_receiver(address);
        say("ready");
        let end = rx.read(&mut [0; 8]);
        let time = clock::now();
        assert_eq!(end.expect("read"), 0);
        say(time);
    } else {
        let mut rx: Receiver<u64> = link::receiver(way, address);
        say("ready");
        let end = rx.recv();
        let time = clock::now();
        assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
        say(time);
    }
}

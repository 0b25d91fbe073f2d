//! Time until a blocked receiver detects that its sender was killed.
//!
//! Measured from just before `kill(SIGKILL)` until the receiver returns `Disconnected`. The
//! reference is a pipe, whose reader gets end-of-file: the kernel's own mechanism.

use std::io::{self, Read};

use sysvring::{Options, RecvError, spsc};
use sysvring_support::worker::{Args, print_line, read_line};

use crate::clock;
use crate::effort::Effort;
use crate::interleave::rotated;
use crate::machine::Cores;
use crate::report::table::{Bound, Series, Table};
use crate::transport::pipes_and_sockets::Pipe;
use crate::transport::traits::IpcTransport;
use crate::transport::{Transport, ends, sysvring::Sysvring};

const TRANSPORTS: &[Transport] = &[Transport::Pipe, Transport::Sysvring];

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let kills: usize = effort.pick(3, 50, 200);
    let mut times = vec![Series::default(); TRANSPORTS.len()];
    for round in 0..kills {
        for i in rotated(TRANSPORTS.len(), round) {
            let (mut sender, mut receiver) =
                ends::start("crash-detection", TRANSPORTS[i], cores.apart, &[])?;
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

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    match (role.as_str(), transport) {
        ("send", Transport::Pipe) => hold::<Pipe>(),
        ("send", _) => hold::<Sysvring>(),
        ("receive", _) => detect(transport, &args.next::<String>()),
        other => panic!("unknown role: {other:?}"),
    }
}

/// Holds the sending end until killed.
fn hold<T: IpcTransport<1>>() {
    let (_accept, address) = T::offer(ends::CAPACITY);
    print_line(address);
    read_line();
}

/// Blocks until the sender is dead, and reports when the call returned.
fn detect(transport: Transport, address: &str) {
    let time = if transport == Transport::Pipe {
        let mut rx = <Pipe as IpcTransport<1>>::attach(address, 0).0;
        print_line("ready");
        let end = rx.read(&mut [0; 8]);
        let time = clock::now();
        assert_eq!(end.expect("read"), 0);
        time
    } else {
        let id = address.parse().expect("an id");
        let mut rx: spsc::Receiver<[u64; 1]> = Options::id(id).attach().expect("the channel");
        print_line("ready");
        let end = rx.recv();
        let time = clock::now();
        assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
        time
    };
    print_line(time);
}

//! Processes that end without dropping their handles, as by `exit` with a handle in a static: to the
//! others they died, and a channel of `Lifetime::LastMember` goes all the same.

use std::sync::OnceLock;
use std::time::Duration;

use sysvring::{Error, Lifetime, Options, Peer, RecvError, spsc};
use sysvring_support::name::{Name, is_gone};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);

fn options(name: &str) -> Options {
    Options::named(name).lifetime(Lifetime::LastMember)
}

/// Ends with a message in the channel and a handle in a static, which is never dropped.
#[work]
fn exit_with_a_static(args: &mut Args) {
    static SENDER: OnceLock<std::sync::Mutex<spsc::Sender<u64>>> = OnceLock::new();
    let mut tx: spsc::Sender<u64> = options(&args.next::<String>()).open().expect("open");
    tx.send(&7).expect("room");
    SENDER.set(tx.into()).expect("once");
    print_line("sent");
    read_line();
    std::process::exit(0);
}

fn start(name: &Name) -> Worker {
    let mut worker =
        Worker::start(&[&"ends_without_drop::exit_with_a_static", name]).expect("start");
    worker.expect("sent");
    worker
}

fn end(mut worker: Worker) -> u32 {
    let pid = worker.pid() as u32;
    worker.write_line("exit").expect("tell");
    worker.finish();
    pid
}

#[test]
fn the_last_peer_removes_the_channel() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = options(name.as_str()).open().expect("open");
    let pid = end(start(&name));
    assert_eq!(rx.peer(), Ok(Peer::Died { pid }));
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    drop(rx);
    assert!(is_gone(name.as_str()));
}

#[test]
fn the_next_member_takes_the_channel_over() {
    let name = Name::new();
    end(start(&name));
    let stat = sysvring::stat(name.as_str()).expect("it stays");
    assert_eq!((stat.depth, stat.lifetime), (1, Lifetime::LastMember));
    let mut rx: spsc::Receiver<u64> = options(name.as_str()).open().expect("open");
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    drop(rx);
    assert!(is_gone(name.as_str()));
}

#[test(quiet)]
fn reap_removes_the_channel() {
    let name = Name::new();
    end(start(&name));
    let reaped = sysvring::reap().expect("reap");
    assert!(reaped.iter().any(|reaped| reaped.name == name.as_str()), "{reaped:?}");
    assert!(is_gone(name.as_str()));
    let gone = name.options().attach::<spsc::Receiver<u64>>();
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

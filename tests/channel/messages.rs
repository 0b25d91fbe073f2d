//! Messages from process to process.

use sysvring::{RecvError, spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Orders, Worker};
use sysvring_support::{tests, workers};

tests![a_stream_arrives_in_order];
workers![count_up];

/// Sends 0 to `count` to a channel.
fn count_up(orders: &mut Orders) {
    let (name, count): (String, u64) = (orders.next(), orders.next());
    let mut tx: spsc::Sender<u64> = sysvring::Options::named(name).open().expect("open");
    for n in 0..count {
        tx.send(&n).expect("send");
    }
}

fn a_stream_arrives_in_order() {
    let name = Name::new();
    let sender = Worker::start(&[&"messages::count_up", &name, &100_000]).expect("start");
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    for n in 0..100_000 {
        assert_eq!(rx.recv(), Ok(n));
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    sender.finish();
}

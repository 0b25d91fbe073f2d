//! Batches in place: what they hold, what acknowledges it, and what returns it.

use std::time::Duration;

use sysvring::{Fault, Flavor, Options, RecvError, Redelivery, untyped};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

fn pair<F: AnyFlavor>(options: impl Fn() -> Options) -> (F::Sender<u64>, untyped::Receiver) {
    let tx = options().capacity(8).open().expect("open");
    (tx, options().attach().expect("attach"))
}

fn numbers(batch: &untyped::Batch) -> Vec<u64> {
    batch.iter().map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))).collect()
}

/// Batches of every size, at every place of the ring.
#[test]
fn a_batch_has_what_is_there_up_to_its_size<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F>(|| name.options());
    let mut next = 0;
    for sent in 1..=8u64 {
        for max in 0..=9 {
            (next..next + sent).for_each(|n| tx.try_send(&n).expect("room"));
            let mut left = sent;
            while left > 0 {
                let batch = rx.try_recv_batch_ref(max).expect("messages");
                let expected = left.min(max.max(1) as u64);
                assert_eq!(numbers(&batch), (next..next + expected).collect::<Vec<_>>());
                assert_eq!(batch.len() as u64, expected);
                assert_eq!(batch.iter().len() as u64, expected);
                batch.ack().expect("acknowledged");
                (left, next) = (left - expected, next + expected);
                assert_eq!(tx.len() as u64, left);
            }
            assert_eq!(rx.try_recv_batch_ref(max).err(), Some(RecvError::Empty));
        }
    }
    let stat = rx.stat().expect("stat");
    let receiver = stat.members.iter().find(|member| member.messages > 0 && member.seat == 1);
    assert_eq!(receiver.map(|receiver| receiver.messages), Some(next));
}

/// The slots of a batch stay occupied until it is acknowledged, and a dropped one comes again.
#[test]
fn a_dropped_batch_comes_again<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F>(|| name.options());
    (0..8).for_each(|n| tx.try_send(&n).expect("room"));
    for _ in 0..3 {
        let batch = rx.try_recv_batch_ref(5).expect("messages");
        assert_eq!(numbers(&batch), [0, 1, 2, 3, 4]);
        assert!(tx.try_send(&8).is_err());
        assert_eq!(tx.len(), 8);
        drop(batch);
    }
    let batch = rx.recv_batch_ref(8).expect("messages");
    assert!(format!("{batch:?}").starts_with("[[0, 0, 0, 0, 0, 0, 0, 0], [1,"));
    assert_eq!(numbers(&batch), [0, 1, 2, 3, 4, 5, 6, 7]);
    batch.ack().expect("acknowledged");
    assert_eq!(tx.len(), 0);
    tx.try_send(&8).expect("room");
}

#[test]
fn a_batch_waits_for_its_first_message<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F>(|| name.options());
    let soon = Duration::from_millis(5);
    assert_eq!(rx.recv_batch_ref_timeout(4, soon).err(), Some(RecvError::Timeout));
    tx.try_send(&7).expect("room");
    let batch = rx.recv_batch_ref_timeout(4, soon).expect("a message");
    assert_eq!(numbers(&batch), [7]);
    batch.ack().expect("acknowledged");
    drop(tx);
    assert_eq!(rx.recv_batch_ref(4).err(), Some(RecvError::Disconnected));
}

/// Each delivery counts towards a limit, also of messages that were taken together.
#[test]
fn deliveries_in_batches_are_limited<F: TakingFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) =
        pair::<F>(|| name.options().redelivery(Redelivery::Discard { after: 2 }));
    (0..3).for_each(|n| tx.try_send(&n).expect("room"));
    // SPSC: one at a time.
    let together = if F::FLAVOR == Flavor::Spsc { 1 } else { 3 };
    for _ in 0..2 {
        let batch = rx.try_recv_batch_ref(3).expect("messages");
        assert_eq!(batch.len(), together);
        drop(batch);
    }
    let left = rx.try_recv_batch_ref(3);
    match F::FLAVOR {
        Flavor::Spsc => left.expect("the next one").ack().expect("acknowledged"),
        _ => assert_eq!(left.err(), Some(RecvError::Empty)),
    }
    assert_eq!(rx.stat().expect("stat").poisoned, together as u64);
}

/// Messages of any length, at the end of which one lies that no sender could have sent.
#[test]
fn lengths_are_those_of_the_messages<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<[u8]> = name.options().slot_size(64).create().expect("create");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let texts = [&b"one"[..], b"", b"three and more", &[7; 64]];
    texts.iter().for_each(|text| tx.try_send(text).expect("room"));
    let batch = rx.recv_batch_ref(16).expect("messages");
    assert!(batch.iter().eq(texts));
    batch.ack().expect("acknowledged");
    let bytes: u64 = texts.iter().map(|text| text.len() as u64).sum();
    let stat = rx.stat().expect("stat");
    assert!(stat.members.iter().all(|member| member.bytes == bytes), "{stat}");
}

/// Holds a batch when the process is forked: the child can neither acknowledge nor return it.
#[work]
fn fork(args: &mut Args) {
    let name: String = args.next();
    let mut rx: untyped::Receiver = Options::named(&name).attach().expect("attach");
    let batch = rx.recv_batch_ref(3).expect("messages");
    Fork::start(|| assert_eq!(batch.ack(), Err(RecvError::Fault(Fault::Forked)))).finish();
    let batch = rx.recv_batch_ref(3).expect("the messages again");
    assert_eq!(batch.len(), 3);
    batch.ack().expect("acknowledged");
}

#[test]
fn a_forked_child_changes_nothing<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(8).open().expect("open");
    (0..3).for_each(|n| tx.try_send(&n).expect("room"));
    Worker::run(&[&"untyped::batches::fork", &name]);
    assert_eq!(tx.len(), 0);
}

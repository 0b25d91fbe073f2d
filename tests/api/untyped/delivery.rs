//! Guards, redelivery, dead letters, the end of the stream, interrupts and forked children.

use std::thread;
use std::time::Duration;

use sysvring::zerocopy::IntoBytes;
use sysvring::{
    DeadLetter, DeadLetterFailure, Fault, Flavor, Options, RecvError, Redelivery, SendError, mpmc,
    untyped,
};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use super::kinds::{LONG, flavor_of};

const SOON: Duration = Duration::from_millis(5);

/// Returns a typed sender and an untyped receiver of its channel.
fn pair<F: AnyFlavor>(options: impl Fn() -> Options) -> (F::Sender<u64>, untyped::Receiver) {
    let tx = options().capacity(4).open().expect("open");
    (tx, options().attach().expect("attach"))
}

#[track_caller]
fn number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))
}

/// However a guard ends without `ack`, its message is delivered again, before the others.
#[test]
fn messages_that_are_not_acknowledged_come_again<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F>(|| name.options());
    tx.try_send_batch(&[&1, &2]).expect("room");
    for n in 1..=3 {
        let guard = rx.try_recv_ref().expect("the message again");
        assert_eq!((number(&guard), guard.position(), guard.delivery_count()), (1, 0, n));
        assert_eq!(format!("{guard:?}"), format!("Guard({:?})", 1u64.as_bytes()));
        match n {
            1 => drop(guard),
            _ => guard.release().expect("returned"),
        }
        assert_eq!(tx.len(), 2);
    }
    let guard = rx.try_recv_ref().expect("the message again");
    assert_eq!(guard.delivery_count(), 4);
    guard.ack().expect("acknowledged");
    assert_eq!(tx.len(), 1);
    let guard = rx.recv_ref().expect("the next message");
    assert_eq!((number(&guard), guard.position(), guard.delivery_count()), (2, 1, 1));
    guard.reject().expect("rejected");
    assert_eq!(rx.try_recv_ref().err(), Some(RecvError::Empty));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.redelivered, stat.rejected, stat.depth), (3, 1, 0));
}

/// A limit of deliveries holds for untyped receivers, too.
#[test]
fn deliveries_are_limited<F: TakingFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) =
        pair::<F>(|| name.options().redelivery(Redelivery::Discard { after: 2 }));
    tx.try_send_batch(&[&1, &2]).expect("room");
    drop(rx.recv_ref().expect("first"));
    drop(rx.recv_ref().expect("second"));
    assert_eq!(number(&rx.recv_boxed().expect("the next one")), 2);
    assert_eq!(rx.stat().expect("stat").poisoned, 1);
}

/// Rejected messages, and those at their limit, are moved to the dead-letter channel, which an
/// untyped receiver can read.
#[test]
fn dead_letters_are_moved_and_read<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let one: mpmc::Receiver<DeadLetter> =
        letters.options().capacity(2).slot_size(64).create().expect("create");
    let (mut tx, mut rx) = pair::<F>(|| name.options().dead_letters(letters.as_str(), 2));
    tx.try_send_batch(&[&1, &2, &3]).expect("room");
    rx.recv_ref().expect("a message").reject().expect("moved");
    drop(rx.recv_ref().expect("first"));
    drop(rx.recv_ref().expect("second"));
    let guard = rx.recv_ref().expect("the next one");
    assert_eq!(number(&guard), 3);
    let reason = DeadLetterFailure::Full;
    assert_eq!(guard.reject(), Err(RecvError::NotMoved { reason }));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.dead_letters, stat.rejected, stat.dead_letter_failures), (2, 1, 1));
    drop(one);
    let mut letters: untyped::Receiver = letters.options().attach().expect("attach");
    assert_eq!((letters.flavor(), letters.shape().size), (Flavor::Mpmc, 16));
    for (position, message) in [(0, 1u64), (1, 2)] {
        let letter = letters.try_recv_boxed().expect("a letter");
        assert_eq!(number(&letter[..8]), position);
        assert_eq!(number(&letter[16..]), message);
    }
    assert_eq!(number(&rx.recv_boxed().expect("it was returned")), 3);
}

/// The end of a stream that was finished reaches receivers that join later, whichever side is
/// untyped.
#[test]
fn a_stream_ends<F: TakingFlavor>() {
    let name = Name::new();
    let tx: F::Sender<u64> = name.options().create().expect("create");
    tx.finish().expect("finished");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    assert_eq!(rx.recv_boxed_timeout(LONG), Err(RecvError::Disconnected));
    rx.close().expect("a member");
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(&7u64.to_ne_bytes()).expect("room");
    tx.finish().expect("finished");
    let mut rx: F::Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    drop(rx);
    // Without `finish`, the stream goes on.
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    tx.send(&8u64.to_ne_bytes()).expect("room");
    tx.close().expect("a member");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    assert_eq!(number(&rx.recv_boxed().expect("a message")), 8);
    assert_eq!(rx.recv_boxed_timeout(SOON), Err(RecvError::Timeout));
}

#[test]
fn flush_and_peers<F: TakingFlavor>() {
    let name = Name::new();
    drop(name.options().capacity(2).create::<F::Sender<u64>>().expect("create"));
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    assert_eq!(tx.wait_for_peer(SOON), Err(SendError::Timeout));
    tx.send(&1u64.to_ne_bytes()).expect("room");
    assert_eq!(tx.flush(SOON), Err(SendError::Timeout));
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    assert_eq!((tx.wait_for_peer(LONG), rx.wait_for_peer(LONG)), (Ok(()), Ok(())));
    rx.recv_boxed().expect("a message");
    assert_eq!(tx.flush(LONG), Ok(()));
    for n in 0..2u64 {
        tx.try_send(&n.to_ne_bytes()).expect("room");
    }
    assert_eq!(tx.try_send(&2u64.to_ne_bytes()), Err(SendError::Full));
    assert_eq!(tx.send_timeout(&2u64.to_ne_bytes(), SOON), Err(SendError::Timeout));
    assert_eq!(tx.loan_timeout(8, SOON).err(), Some(SendError::Timeout));
    drop(rx);
    let last = tx.send_timeout(&2u64.to_ne_bytes(), LONG);
    assert_eq!(last, Err(SendError::Disconnected));
}

#[test]
fn blocked_calls_are_interrupted<F: AnyFlavor>() {
    let name = Name::new();
    drop(name.options().capacity(1).create::<F::Sender<u64>>().expect("create"));
    let mut tx: untyped::Sender = name.options().attach().expect("attach");
    let mut rx: untyped::Receiver = name.options().attach().expect("attach");
    let (of_tx, of_rx) = (tx.interrupter(), rx.interrupter());
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SOON);
            of_rx.interrupt();
        });
        assert_eq!(rx.recv_into(&mut Vec::new()), Err(RecvError::Interrupted));
    });
    tx.send(&7u64.to_ne_bytes()).expect("room");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SOON);
            of_tx.interrupt();
        });
        assert_eq!(tx.send(&8u64.to_ne_bytes()), Err(SendError::Interrupted));
    });
    assert_eq!(number(&rx.recv_boxed().expect("a message")), 7);
}

/// Uses inherited handles in a forked child, where they change nothing.
#[work]
fn fork(args: &mut Args) {
    let (name, flavor): (String, String) = (args.next(), args.next());
    let mut tx: untyped::Sender = Options::named(&name).attach().expect("attach");
    let mut rx: untyped::Receiver = Options::named(&name).attach().expect("attach");
    let message = 7u64.to_ne_bytes();
    (0..2).for_each(|_| tx.send(&message).expect("room"));
    let (loan, guard) = (tx.loan(8).expect("room"), rx.recv_ref().expect("a message"));
    let forked = Fault::Forked;
    let holding = Fork::start(|| {
        assert_eq!(loan.commit(), Err(SendError::Fault(forked)));
        assert_eq!(guard.ack(), Err(RecvError::Fault(forked)));
    });
    holding.finish();
    assert_eq!(rx.len(), 2, "{:?}", flavor_of(&flavor));
    let using = Fork::start(|| {
        assert_eq!(tx.try_send(&message), Err(SendError::Fault(forked)));
        assert_eq!(rx.try_recv_boxed(), Err(RecvError::Fault(forked)));
        assert_eq!(tx.finish().map_err(|error| error.to_string()), Err(forked.to_string()));
        assert_eq!(rx.close().map_err(|error| error.to_string()), Err(forked.to_string()));
    });
    using.finish();
}

#[test]
fn forked_children_change_nothing<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().capacity(4).create().expect("create");
    assert_eq!(rx.len(), 0);
    drop(rx);
    Worker::run(&[&"untyped::delivery::fork", &name, &format!("{:?}", F::FLAVOR)]);
    rx = name.options().attach().expect("attach");
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(7), Ok(7)));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
}

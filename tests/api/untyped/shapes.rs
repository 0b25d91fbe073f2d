//! Every kind of message between processes, in both directions.

use sysvring::{Flavor, Options, RecvError, untyped};
use sysvring_support::handle::{AnyFlavor, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use super::kinds::{COUNT, Kind, LONG, flavor_of, kind_of, kinds};

/// Sends all values of a kind by typed calls.
#[work]
fn typed_sends(args: &mut Args) {
    let (name, flavor, word): (String, String, String) = (args.next(), args.next(), args.next());
    kind_of(&word).send(flavor_of(&flavor), &name);
}

/// Receives all values of a kind by typed calls.
#[work]
fn typed_receives(args: &mut Args) {
    let (name, flavor, word): (String, String, String) = (args.next(), args.next(), args.next());
    kind_of(&word).receive(flavor_of(&flavor), &name);
}

/// Sends all values of a kind as bytes.
#[work]
fn untyped_sends(args: &mut Args) {
    let (name, flavor, word): (String, String, String) = (args.next(), args.next(), args.next());
    let tx = Options::named(name).attach().expect("attach");
    print_line("open");
    send(tx, flavor_of(&flavor), &kind_of(&word));
}

fn send(mut tx: untyped::Sender, flavor: Flavor, kind: &Kind) {
    assert_eq!((tx.flavor(), tx.shape(), tx.schema()), (flavor, kind.shape, 0), "{}", kind.word);
    for n in 0..COUNT {
        let bytes = (kind.bytes)(n);
        match n % 2 {
            0 => tx.send_timeout(&bytes, LONG).expect("a receiver"),
            _ => {
                let mut loan = tx.loan_timeout(bytes.len(), LONG).expect("a receiver");
                assert!(loan.as_ptr().addr().is_multiple_of(kind.shape.align.max(8)));
                loan.copy_from_slice(&bytes);
                loan.commit().expect("a receiver");
            }
        }
    }
}

fn receive(mut rx: untyped::Receiver, flavor: Flavor, kind: &Kind) {
    assert_eq!((rx.flavor(), rx.shape(), rx.schema()), (flavor, kind.shape, 0), "{}", kind.word);
    let mut reused = b"an old message".to_vec();
    for n in 0..COUNT {
        let expected = (kind.bytes)(n);
        match n % 3 {
            0 => {
                rx.recv_into_timeout(&mut reused, LONG).expect("a message");
                assert_eq!(reused, expected, "{}", kind.word);
            }
            1 => assert_eq!(*rx.recv_boxed_timeout(LONG).expect("a message"), *expected),
            _ => {
                let guard = rx.recv_ref_timeout(LONG).expect("a message");
                assert!(guard.as_ptr().addr().is_multiple_of(kind.shape.align.max(8)));
                assert_eq!((&*guard, guard.position()), (&*expected, n), "{}", kind.word);
                guard.ack().expect("acknowledged");
            }
        }
    }
    assert_eq!(rx.recv_into_timeout(&mut reused, LONG), Err(RecvError::Disconnected));
    assert_eq!(rx.len(), 0);
}

fn start(work: &str, name: &Name, flavor: Flavor, kind: &Kind) -> Worker {
    let work = format!("untyped::shapes::{work}");
    let mut worker =
        Worker::start(&[&work, name, &format!("{flavor:?}"), &kind.word]).expect("start");
    worker.expect("open");
    worker
}

#[test]
fn typed_senders_are_received_from<F: TakingFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        let worker = start("typed_sends", &name, F::FLAVOR, &kind);
        receive(name.options().attach().expect("attach"), F::FLAVOR, &kind);
        worker.finish();
    }
}

#[test]
fn typed_receivers_are_sent_to<F: AnyFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        let worker = start("typed_receives", &name, F::FLAVOR, &kind);
        send(name.options().attach().expect("attach"), F::FLAVOR, &kind);
        worker.finish();
    }
}

#[test]
fn both_sides_may_be_untyped<F: TakingFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        kind.make(F::FLAVOR, &name);
        let rx = name.options().attach().expect("attach");
        let worker = start("untyped_sends", &name, F::FLAVOR, &kind);
        receive(rx, F::FLAVOR, &kind);
        worker.finish();
    }
}

/// The statistics are those of typed handles.
#[test]
fn messages_and_bytes_are_counted<F: AnyFlavor>() {
    for kind in kinds() {
        let name = Name::new();
        kind.make(F::FLAVOR, &name);
        let mut tx: untyped::Sender = name.options().attach().expect("attach");
        let mut rx: untyped::Receiver = name.options().attach().expect("attach");
        let mut bytes = 0;
        for n in 0..4 {
            let message = (kind.bytes)(n);
            bytes += message.len() as u64;
            tx.send(&message).expect("room");
        }
        assert_eq!((tx.len(), tx.is_full(), rx.is_full(), rx.is_empty()), (4, true, true, false));
        assert_eq!((tx.capacity(), rx.capacity()), (4, 4));
        rx.recv_ref().expect("a message").ack().expect("acknowledged");
        for _ in 1..4 {
            rx.recv_boxed().expect("a message");
        }
        assert_eq!((rx.len(), tx.is_empty(), tx.is_full(), rx.is_empty()), (0, true, false, true));
        let stat = rx.stat().expect("stat");
        let layout = (stat.variable, stat.message_size, stat.message_element, stat.message_align);
        let shape = kind.shape;
        assert_eq!(layout, (shape.variable, shape.size, shape.element, shape.align));
        let alive: Vec<_> = stat.members.iter().filter(|member| member.alive).collect();
        assert_eq!(alive.len(), 2);
        for member in alive {
            assert_eq!((member.messages, member.bytes), (4, bytes), "{}: {stat}", kind.word);
        }
        assert_eq!((tx.id(), tx.slot_size()), (rx.id(), rx.slot_size()));
    }
}

//! Opening channels of any kind: what is made, what is compared, and channels that change meanwhile.

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::{
    Error, Flavor, Handle, Lifetime, MessageLayout, Options, RecvError, Redelivery, mpmc, spsc,
    untyped,
};
use sysvring_support::error_text::refusal;
use sysvring_support::handle::{AnyFlavor, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker, read_line};
use sysvring_support::{test, work};

/// `open` and `create` make MPMC channels of bytes, which typed handles open, too.
#[test]
fn new_channels_are_of_bytes() {
    for call in [Options::open, Options::create] {
        let name = Name::new();
        let options = name.options().capacity(8).slot_size(100).schema(5);
        let mut tx: untyped::Sender = call(options).expect("a new channel");
        assert_eq!((tx.flavor(), tx.shape()), (Flavor::Mpmc, MessageLayout::of::<[u8]>()));
        assert_eq!((tx.capacity(), tx.slot_size(), tx.schema()), (8, 100, 5));
        let rx: mpmc::Receiver<[u8]> = name.options().schema(5).attach().expect("attach");
        tx.send(b"hello").expect("room");
        assert_eq!(*rx.recv_boxed().expect("a message"), *b"hello");
        // The next one takes what there is.
        let rx: untyped::Receiver = name.options().open().expect("it exists");
        assert_eq!(rx.id(), tx.id());
        let exists = refusal(name.options().create::<untyped::Sender>());
        assert!(matches!(exists, Error::AlreadyExists { .. }), "{exists}");
    }
    let missing = refusal(Name::new().options().attach::<untyped::Sender>());
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
}

#[test]
fn channels_of_each_address_are_opened<F: TakingFlavor>() {
    let tx: F::Sender<u32> = Options::private().create().expect("create");
    let id = sysvring_support::handle::AnyHandle::id(&tx);
    let rx: untyped::Receiver = Options::id(id).attach().expect("attach");
    assert_eq!((rx.id(), rx.flavor(), rx.shape().size), (id, F::FLAVOR, 4));
    let again = Options::id(id).open::<untyped::Receiver>();
    match F::FLAVOR {
        Flavor::Mpmc => drop(again.expect("another seat")),
        _ => {
            assert!(matches!(refusal(again), Error::SeatTaken { pid, .. } if pid == process::id()))
        }
    }
    drop((tx, rx));
    let gone = refusal(Options::id(id).open::<untyped::Receiver>());
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
}

/// Options that are set are compared with the channel, whatever it is.
#[test]
fn options_are_compared<F: AnyFlavor>() {
    let name = Name::new();
    let options = || name.options().capacity(8).schema(5).lifetime(Lifetime::Kept);
    drop(options().create::<F::Sender<u64>>().expect("create"));
    let open = |options: Options| options.open::<untyped::Receiver>();
    drop(open(options().slot_size(8).redelivery(Redelivery::Unlimited)).expect("the same"));
    let refused = |options: Options, option: &str| {
        let attached = refusal(options.clone().attach::<untyped::Sender>());
        assert_eq!(attached.to_string(), refusal(open(options)).to_string());
        match attached {
            Error::OptionMismatch { option: found, .. } => assert_eq!(found, option),
            other => panic!("{option}: {other}"),
        }
    };
    refused(options().capacity(16), "capacity");
    refused(options().slot_size(9), "slot_size");
    refused(options().max_members(9), "max_members");
    refused(options().lifetime(Lifetime::LastMember), "lifetime");
    refused(options().redelivery(Redelivery::Never), "redelivery");
    refused(options().dead_letters("letters", 3), "redelivery");
    match refusal(open(options().schema(6))) {
        Error::TypeMismatch { expected, found, .. } => {
            assert_eq!(expected, "schema 0x6");
            assert_eq!(found, "schema 0x5");
        }
        other => panic!("{other}"),
    }
    let impossible = refusal(open(options().capacity(0)));
    assert!(matches!(impossible, Error::InvalidOption { option: "capacity", .. }), "{impossible}");
}

/// Only a broadcast channel is overwriting, and so is a new one that is to be.
#[test]
fn the_overwriting_option_is_compared() {
    let name = Name::new();
    let options = |yes| name.options().overwriting(yes);
    let made: untyped::Sender = options(true).open().expect("a new one");
    assert_eq!(made.stat().expect("its facts").flavor, Flavor::Broadcast);
    drop(options(true).attach::<untyped::Receiver>().expect("the same"));
    let error = refusal(options(false).attach::<untyped::Receiver>());
    assert!(matches!(error, Error::OptionMismatch { option: "overwriting", .. }), "{error}");
}

/// The kinds of channels that follow each other under one name.
const KINDS: usize = 3;
/// How long they do at least, and how many of each kind are to be met.
const TIME: Duration = Duration::from_secs(1);
const ENOUGH: u64 = 5;

/// Makes channel after channel under a name, each of another kind and with one message, until it is
/// told to stop.
#[work]
fn remake(args: &mut Args) {
    fn make<H: Handle>(name: &str, send: impl FnOnce(&mut H)) {
        let mut tx: H = Options::named(name).capacity(2).create().expect("create");
        send(&mut tx);
        drop(tx);
        sysvring::remove(name).expect("remove");
    }
    let name: String = args.next();
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        read_line();
        told.store(true, Relaxed);
    });
    while !over.load(Relaxed) {
        make(&name, |tx: &mut spsc::Sender<u64>| tx.send(&7).expect("room"));
        make(&name, |tx: &mut mpmc::Sender<[u8]>| tx.send(b"hello").expect("room"));
        make(&name, |tx: &mut spsc::Sender<[[u8; 3]]>| tx.send(&[[9; 3]; 2]).expect("room"));
    }
}

/// A channel that is removed and made anew with other messages, while handles attach to it, is never
/// taken for what it was before.
#[test]
fn a_channel_that_changes_is_opened_as_it_is() {
    let name = Name::new();
    let mut worker = Worker::start(&[&"untyped::opening::remake", &name]).expect("start");
    let (mut seen, mut received) = ([0; KINDS], [0; KINDS]);
    let start = Instant::now();
    let enough =
        |seen: &[u64], received: &[u64]| seen.iter().chain(received).all(|times| *times >= ENOUGH);
    while goes_on(start, TIME, enough(&seen, &received)) {
        assert!(!worker.has_line(), "it ended by itself");
        let mut rx: untyped::Receiver = match name.options().attach() {
            Ok(rx) => rx,
            Err(Error::NotFound { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let shape = rx.shape();
        let kind = match (rx.flavor(), shape.variable, shape.size, shape.element) {
            (Flavor::Spsc, false, 8, 0) => 0,
            (Flavor::Mpmc, true, 0, 1) => 1,
            (Flavor::Spsc, true, 0, 3) => 2,
            other => panic!("no such kind: {other:?}"),
        };
        seen[kind] += 1;
        match rx.try_recv_boxed() {
            Ok(message) => {
                let expected = [7u64.to_ne_bytes().to_vec(), b"hello".to_vec(), vec![9; 6]];
                assert_eq!(*message, *expected[kind]);
                received[kind] += 1;
            }
            // The message comes later, or the channel was removed before it came.
            Err(RecvError::Empty | RecvError::Disconnected | RecvError::Fault(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    worker.write_line("stop").expect("tell");
    worker.finish();
    println!("attached {seen:?} times, and received {received:?} messages");
    assert!(enough(&seen, &received), "{seen:?}, {received:?}");
}

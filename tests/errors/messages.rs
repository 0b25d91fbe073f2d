//! Messages that are too long, messages that are not a value of their type, and corrupted slots.

use std::fmt::Debug;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::channel;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::zerocopy::TryFromBytes;
use sysvring::{BatchError, Fault, RecvError, SendError, broadcast, spsc};

use sysvring_support::error_text::advises;
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::test;

/// Returns the state of a slot that holds the message of this lap.
fn full(lap: u64) -> u64 {
    lap << 16 | 2
}

#[sysvring::message]
#[derive(Debug, PartialEq, Clone, Copy)]
enum Colour {
    _Red = 1,
    _Green = 2,
}

#[sysvring::message]
#[derive(Debug, PartialEq)]
struct Light {
    on: bool,
    colour: Colour,
    level: u16,
}

#[sysvring::message]
#[derive(Debug)]
struct Letter {
    to: [u8; 4],
    urgent: bool,
    text: [u8],
}

#[test]
fn messages_that_are_too_long() {
    let key = Key::new();
    let mut tx: Sender<[u8]> = key.options().capacity(4).slot_size(10).open().expect("open");
    let mut rx: Receiver<[u8]> = key.options().open().expect("open");
    let long = [7; 11];
    let refused = SendError::TooLong { len: 11, max: 10 };
    assert_eq!(tx.send(&long), Err(refused));
    assert_eq!(tx.try_send(&long), Err(refused));
    assert_eq!(tx.send_timeout(&long, MOMENT), Err(refused));
    let huge = vec![0; 1 << 20];
    assert_eq!(tx.send(&huge), Err(SendError::TooLong { len: 1 << 20, max: 10 }));
    assert_eq!(tx.loan_with(11).map(drop), Err(refused));
    assert_eq!(tx.try_loan_with(11).map(drop), Err(refused));
    assert_eq!(tx.loan_with_timeout(11, MOMENT).map(drop), Err(refused));
    assert!(matches!(tx.loan_with(usize::MAX).map(drop), Err(SendError::TooLong { max: 10, .. })));
    let text = advises(&refused);
    assert!(text.contains("11 bytes") && text.contains("of 10") && text.contains("slot_size"));
    // Nothing was sent, and the handle still works.
    assert_eq!((tx.len(), tx.position()), (0, 0));
    let batch: [&[u8]; 4] = [b"one", b"two", &long, b"three"];
    let ended = BatchError { sent: 2, error: refused };
    assert_eq!(tx.send_batch(batch), Err(ended));
    assert!(advises(&ended).contains("stopped after 2 messages"));
    assert_eq!(tx.send(&long[..10]), Ok(()));
    for sent in [&b"one"[..], b"two", &long[..10]] {
        assert_eq!(&*rx.recv_boxed().expect("recv"), sent);
    }
    assert_eq!(rx.try_recv_boxed(), Err(RecvError::Empty));
}

/// A sender that hides its type, and means another one of the same layout.
fn liars<S, R>() -> (Sender<S>, Receiver<R>, Key)
where
    S: sysvring::Message + ?Sized,
    R: sysvring::Message + ?Sized,
{
    let key = Key::new();
    let tx: Sender<S> = key.options().capacity(8).open().expect("open");
    Segment::of(tx.id().segment()).hide_structure();
    let rx = key.options().open().expect("of the same layout");
    (tx, rx, key)
}

/// Sends `good`, `bad`, `good`; a receiver gets the first, the error of the second, and the last.
fn lies<S, R>(good: S, bad: S)
where
    S: sysvring::Message + Copy,
    R: sysvring::Message + Debug,
{
    let (mut tx, mut rx, _key) = liars::<S, R>();
    for round in 0..5 {
        for message in [good, bad, good] {
            tx.send(&message).expect("send");
        }
        let position = round * 3 + 1;
        assert!(rx.recv().is_ok());
        let told = rx.recv().expect_err("no value of its type");
        assert_eq!(told, RecvError::Invalid { position });
        assert!(advises(&told).contains(&format!("message {position} ")));
        assert!(rx.recv().is_ok());
        // It was acknowledged.
        assert_eq!(tx.flush(Duration::ZERO), Ok(()));
    }
}

#[test]
fn invalid_messages_are_discarded() {
    lies::<u8, bool>(1, 7);
    lies::<u8, bool>(0, 255);
    lies::<u8, Colour>(2, 0);
    lies::<u8, Colour>(1, 3);
    lies::<u32, char>(0x61, 0xd800);
    lies::<u32, char>(0x10_ffff, 0x11_0000);
    lies::<[u16; 2], Light>([0x0201, 0], [0x0202, 0]);
    lies::<[u16; 2], Light>([0x0100, 9], [0x0000, 9]);
    // Types of which any bytes are a value accept it.
    let (mut tx, mut rx, _key) = liars::<i64, f64>();
    tx.send(&-1).expect("send");
    assert!(rx.recv().is_ok_and(f64::is_nan));
}

#[test]
fn every_call_reports_invalid_messages() {
    let (mut tx, mut rx, _key) = liars::<u8, bool>();
    let mut position = 0;
    let mut batch = Vec::new();
    for call in 0..9 {
        tx.send_batch(&[9, 1]).expect("send");
        let told = match call {
            0 => rx.recv().map(drop),
            1 => rx.try_recv().map(drop),
            2 => rx.recv_timeout(MOMENT).map(drop),
            3 => rx.recv_boxed().map(drop),
            4 => rx.try_recv_boxed().map(drop),
            5 => rx.recv_ref().and_then(|message| message.ack()),
            6 => rx.recv_ref_timeout(MOMENT).and_then(|message| message.ack()),
            7 => rx.recv_batch(&mut batch, 8).map(drop),
            _ => rx.iter().next().expect("not the end").map(drop),
        };
        assert_eq!(told, Err(RecvError::Invalid { position }), "call {call}");
        assert_eq!(rx.recv(), Ok(true), "call {call}");
        position += 2;
    }
    // A batch ends before it, and the next one begins with it.
    tx.send_batch(&[1, 0, 2, 1, 1]).expect("send");
    assert_eq!(rx.recv_batch(&mut batch, 8), Ok(2));
    assert_eq!(rx.recv_batch(&mut batch, 8), Err(RecvError::Invalid { position: position + 2 }));
    assert_eq!(rx.try_recv_batch(&mut batch, 8), Ok(2));
    assert_eq!(batch, [true, false, true, true]);
    // An iterator continues after it.
    tx.send_batch(&[1, 2, 1]).expect("send");
    drop(tx);
    let all: Vec<_> = rx.iter().collect();
    assert_eq!(all, [Ok(true), Err(RecvError::Invalid { position: position + 6 }), Ok(true)]);
}

#[test]
fn invalid_text_and_lengths() {
    let (mut tx, mut rx, _key) = liars::<[u8], str>();
    for bad in [&b"\xff"[..], b"caf\xc3", b"\xed\xa0\x80"] {
        let position = tx.position();
        tx.send(bad).expect("send");
        tx.send("café".as_bytes()).expect("send");
        assert_eq!(rx.recv_boxed(), Err(RecvError::Invalid { position }));
        let received = rx.recv_ref().expect("recv");
        assert_eq!(&*received, "café");
        received.ack().expect("acknowledged");
        tx.send(bad).expect("send");
        assert!(matches!(rx.recv_ref().map(drop), Err(RecvError::Invalid { .. })));
    }
    // Shorter than what precedes the slice, or not a whole number of elements.
    let key = Key::new();
    let mut tx: Sender<Letter> = key.options().slot_size(16).open().expect("open");
    let mut rx: Receiver<Letter> = key.options().open().expect("open");
    let memory = Segment::of(tx.id().segment());
    let letter = Letter::try_ref_from_bytes(b"you!\x01hello").expect("a letter");
    for (slot, len) in [0, 1, 4].into_iter().enumerate() {
        tx.send(letter).expect("send");
        memory.u64(at::SLOTS + slot * 32 + 8).store(len, Relaxed);
        let told = rx.recv_boxed().map(drop);
        assert_eq!(told, Err(RecvError::Invalid { position: slot as u64 }), "length {len}");
    }
    tx.send(letter).expect("send");
    assert_eq!(rx.recv_boxed().expect("recv").text, *b"hello");

    let key = Key::new();
    let mut tx: Sender<[u32]> = key.options().slot_size(16).open().expect("open");
    let mut rx: Receiver<[u32]> = key.options().open().expect("open");
    let memory = Segment::of(tx.id().segment());
    for slot in 0..3 {
        tx.send(&[1, 2]).expect("send");
        memory.u64(at::SLOTS + slot * 32 + 8).store(5 + slot as u64, Relaxed);
        let told = rx.recv_ref().map(drop);
        assert_eq!(told, Err(RecvError::Invalid { position: slot as u64 }));
    }
}

/// A broadcast sender names the process for which it waits, and a receiver that came too late the number of
/// messages that it missed.
#[test]
fn a_broadcast_channel_whose_receivers_are_late() {
    let key = Key::new();
    let mut tx: broadcast::Sender<u8> = key.options().capacity(4).create().expect("create");
    let rx: broadcast::Receiver<u8> = key.options().attach().expect("attach");
    for n in 0..4 {
        tx.send(&n).expect("room");
    }
    assert_eq!(
        advises(&tx.try_send(&4).expect_err("no room")),
        "the channel is full; try again when a receiver has made room, and start one if there is none"
    );
    let pid = std::process::id();
    let blocked = tx.send_timeout(&4, Duration::from_millis(1)).expect_err("no room");
    assert_eq!(blocked, SendError::Blocked { pid });
    assert!(advises(&blocked).contains(&format!("process {pid} ")));
    drop(rx);
    for n in 0..8 {
        tx.send(&n).expect("nobody is waited for");
    }
    let late = key.options().start(broadcast::Start::Position(1));
    let mut late: broadcast::Receiver<u8> = late.attach().expect("attach");
    let missed = late.position() - 1;
    let error = late.recv().expect_err("overwritten");
    assert_eq!(error, RecvError::Lagged { messages: missed });
    assert!(advises(&error).contains(&missed.to_string()));
    assert_eq!(late.recv().map(u64::from), Ok(late.position() - 1 - 4));
    // Each way to open a second sender, and to ask for what a broadcast channel does not have.
    let taken = key.options().attach::<broadcast::Sender<u8>>().expect_err("one sender");
    assert!(advises(&taken).contains("process"));
    let kind = key.options().attach::<spsc::Receiver<u8>>().expect_err("another kind");
    assert!(advises(&kind).contains("a broadcast channel"), "{kind}");
}

/// A receiver that found corruption reports it for ever, in every call.
fn stays_corrupt(rx: &mut Receiver<[u8]>, what: &str) {
    let watch = Stopwatch::start();
    let corrupt = |fault: Fault| match fault {
        Fault::Corrupt { what: found } => assert!(found.contains(what), "{found}"),
        other => panic!("not Corrupt but {other:?}"),
    };
    let told = |error: RecvError| match error {
        RecvError::Fault(fault) => {
            advises(&fault);
            corrupt(fault);
        }
        other => panic!("not a fault but {other:?}"),
    };
    for _ in 0..2 {
        told(rx.recv_boxed().expect_err("corrupt"));
        told(rx.try_recv_boxed().expect_err("corrupt"));
        told(rx.recv_boxed_timeout(Duration::MAX).expect_err("corrupt"));
        told(rx.recv_ref().map(drop).expect_err("corrupt"));
        told(rx.try_recv_ref().map(drop).expect_err("corrupt"));
        told(rx.wait_for_peer(Duration::MAX).expect_err("corrupt"));
        corrupt(rx.peer().expect_err("corrupt"));
    }
    assert!(watch.took() < MOMENT, "it took {:?}", watch.took());
}

#[test]
fn a_length_longer_than_the_slot() {
    for len in [11, 16, 1 << 32, u64::MAX / 2, u64::MAX - 7, u64::MAX] {
        for by_reference in [false, true] {
            let key = Key::new();
            let options = || key.options().slot_size(10);
            let mut tx: Sender<[u8]> = options().open().expect("open");
            let mut rx: Receiver<[u8]> = options().open().expect("open");
            let memory = Segment::of(tx.id().segment());
            tx.send(b"good").expect("send");
            tx.send(b"bad").expect("send");
            tx.send(b"good").expect("send");
            memory.u64(at::SLOTS + 32 + 8).store(len, Relaxed);
            assert_eq!(&*rx.recv_boxed().expect("recv"), b"good");
            let first = match by_reference {
                false => rx.recv_boxed().map(drop),
                true => rx.recv_ref().map(drop),
            };
            assert!(matches!(first, Err(RecvError::Fault(Fault::Corrupt { .. }))), "{first:?}");
            stays_corrupt(&mut rx, "longer than its slot");
            // Nothing was acknowledged, and the rest of the handle works.
            assert_eq!((rx.len(), rx.position(), tx.len()), (2, 1, 2));
            rx.close().expect("close");
            // The advice can be followed.
            sysvring::remove(key.address()).expect("remove");
        }
    }
}

#[test]
fn a_corrupt_slot_state() {
    // Of a future lap, with phases and owners that SPSC channels do not have, and random bits.
    for word in [1, 3, full(1), full(1) | 8, 2 | 1 << 11, 1 << 16, full(1 << 40), u64::MAX] {
        let key = Key::new();
        let mut tx: Sender<[u8]> = key.options().capacity(4).open().expect("open");
        let mut rx: Receiver<[u8]> = key.options().open().expect("open");
        let memory = Segment::of(tx.id().segment());
        tx.send(b"good").expect("send");
        memory.u64(at::SLOTS + (16 + 1024)).store(word, Relaxed);
        assert_eq!(&*rx.recv_boxed().expect("recv"), b"good");
        stays_corrupt(&mut rx, "slot state");
    }
}

#[test]
fn a_corrupt_slot_state_wakes_blocked_waiters() {
    for wait in [sysvring::Wait::Spin, sysvring::Wait::Balanced, sysvring::Wait::Park] {
        let key = Key::new();
        let _tx: Sender<u64> = key.options().capacity(4).open().expect("open");
        let mut rx: Receiver<u64> = key.options().wait(wait).open().expect("open");
        let memory = Segment::of(rx.id().segment());
        let ((say, hear), (tell, told)) = (channel(), channel());
        let (release, released) = channel::<()>();
        let waiter = std::thread::spawn(move || {
            // SAFETY: takes nothing and cannot fail.
            say.send(unsafe { libc::gettid() }).expect("it is heard");
            tell.send(rx.recv()).expect("it is heard");
            // How long it waited for a processor is known only while it lives.
            let _ = released.recv();
        });
        let thread = hear.recv().expect("it says its number");
        std::thread::sleep(Duration::from_millis(20));
        let watch = Stopwatch::with(thread);
        memory.u64(at::SLOTS).store(u64::MAX, Relaxed);
        let told = told.recv().expect("no panic");
        let took = watch.took();
        drop(release);
        waiter.join().expect("no panic");
        assert!(matches!(told, Err(RecvError::Fault(Fault::Corrupt { .. }))), "{told:?}");
        assert!(took < Duration::from_millis(500), "{wait:?} {took:?}");
    }
}

/// Corrupt head, credit and tail while both sides are there.
#[test]
fn corrupt_head_credit_and_tail() {
    for garbage in [5, 1000, 1 << 40, 1 << 63, u64::MAX - 4, u64::MAX] {
        for wait in [false, true] {
            let key = Key::new();
            let mut tx: Sender<u64> = key.options().capacity(4).open().expect("open");
            let mut rx: Receiver<u64> = key.options().open().expect("open");
            let memory = Segment::of(tx.id().segment());
            tx.send_batch(&[0, 1, 2, 3]).expect("send");
            memory.u64(at::HEAD).store(garbage, Relaxed);
            assert!(tx.len() <= 4 && rx.len() <= 4);
            let told = if wait { tx.send_timeout(&4, MOMENT) } else { tx.try_send(&4) };
            let Err(SendError::Fault(fault @ Fault::Corrupt { .. })) = told else {
                panic!("{garbage:#x}, wait {wait}: {told:?}")
            };
            advises(&fault);
            for _ in 0..2 {
                assert_eq!(tx.send(&4), Err(SendError::Fault(fault)));
                assert_eq!(tx.try_loan().map(drop), Err(SendError::Fault(fault)));
                assert_eq!(tx.flush(Duration::MAX), Err(SendError::Fault(fault)));
                let ended = BatchError { sent: 0, error: SendError::Fault(fault) };
                assert_eq!(tx.send_batch(&[4]), Err(ended));
            }
            tx.close().expect("close");
            // A receiver keeps its position itself.
            assert_eq!(rx.recv(), Ok(0));
            assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Ok(3)));
            assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        }
        // Credit may be arbitrarily stale. The head is exact.
        let key = Key::new();
        let mut tx: Sender<u64> = key.options().capacity(4).open().expect("open");
        let mut rx: Receiver<u64> = key.options().open().expect("open");
        let memory = Segment::of(tx.id().segment());
        tx.send_batch(&[0, 1, 2, 3]).expect("send");
        memory.u64(at::CREDIT).store(garbage, Relaxed);
        assert_eq!(tx.try_send(&4), Err(SendError::Full), "credit {garbage:#x}");
        assert_eq!(tx.send_timeout(&4, MOMENT), Err(SendError::Timeout), "credit {garbage:#x}");
        for n in 0..9 {
            assert_eq!((rx.recv(), tx.send(&(n + 4))), (Ok(n), Ok(())), "credit {garbage:#x}");
        }
        // The tail is for members that join later, and only they report it.
        let key = Key::new();
        let mut tx: Sender<u64> = key.options().capacity(4).open().expect("open");
        let mut rx: Receiver<u64> = key.options().open().expect("open");
        let memory = Segment::of(tx.id().segment());
        tx.send(&0).expect("send");
        memory.u64(at::TAIL).store(garbage, Relaxed);
        assert_eq!(rx.recv(), Ok(0));
        assert!(tx.len() <= 4 && rx.len() <= 4 && tx.stat().expect("stat").depth <= 4);
        // A sender that leaves corrects it; this one cannot.
        drop(tx);
        memory.u64(at::TAIL).store(garbage, Relaxed);
        if garbage == u64::MAX {
            // Close to the head, it is corrected.
            let mut tx: Sender<u64> = key.options().attach().expect("attach");
            assert_eq!((tx.send(&1), rx.recv()), (Ok(()), Ok(1)));
            continue;
        }
        let told = key.options().attach::<Sender<u64>>().expect_err("corrupt");
        assert!(matches!(told, sysvring::Error::Corrupt { .. }), "{told:?}");
        advises(&told);
    }
}

/// Corrupt words of parked waiters: nothing is lost but time.
#[test]
fn corrupt_flags_of_parked_waiters() {
    let key = Key::new();
    for field in [at::RECEIVERS, at::SENDERS] {
        for bit in 0..32 {
            let mut tx: Sender<u64> = key.options().capacity(2).open().expect("open");
            let mut rx: Receiver<u64> = key.options().open().expect("open");
            let memory = Segment::of(tx.id().segment());
            for n in 0..8 {
                memory.u32(field).fetch_xor(1 << bit, Relaxed);
                // How often that side was joined, and when it was woken.
                memory.u32(field + 4).store(n as u32 * 77, Relaxed);
                memory.u64(field + 8).store(u64::MAX - n, Relaxed);
                match tx.send_timeout(&n, MOMENT) {
                    Ok(()) => assert_eq!(rx.recv_timeout(MOMENT), Ok(n), "bit {bit} at {field}"),
                    Err(SendError::Fault(Fault::Removed)) if bit == 30 => break,
                    Err(error) => panic!("bit {bit} at {field}: {error:?}"),
                }
            }
            drop((tx, rx));
            // The next members are not affected.
            let mut rx: Receiver<u64> = key.options().open().expect("open");
            let mut tx: Sender<u64> = key.options().open().expect("open");
            assert_eq!((tx.send(&9), rx.recv()), (Ok(()), Ok(9)), "bit {bit} at {field}");
        }
    }
}

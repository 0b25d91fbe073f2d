//! The operations on messages that are counted. Each runs in a separate child, between two marks.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sysvring::{ChannelId, Message, Options, RecvError, SendError, Wait, broadcast, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::single_step::mark;

/// The number of messages between the marks, less than a lap.
pub const COUNT: usize = 64;
const BATCH: usize = 16;

type Small = u64;
type Middle = [u64; 8];
type Large = [u64; 128];

/// What a child does.
pub type Body = fn();

/// All of them, by name.
pub const ALL: &[(&str, Body)] = &[
    ("spsc send 8 B", || spsc_send::<Small>(7, |tx, m| tx.send(m).expect("a free slot"), |_| {})),
    ("spsc recv 8 B", || spsc_receive::<Small>(7, |rx| rx.recv().map(drop).expect("a message"))),
    ("spsc send 64 B", || {
        spsc_send::<Middle>([7; 8], |tx, m| tx.send(m).expect("a free slot"), |_| {})
    }),
    ("spsc recv 64 B", || {
        spsc_receive::<Middle>([7; 8], |rx| rx.recv().map(drop).expect("a message"));
    }),
    ("spsc loan 64 B", || {
        let write = |tx: &mut spsc::Sender<Middle>, m: &Middle| {
            let mut loan = tx.loan().expect("a free slot");
            *loan = *m;
            loan.commit().expect("sent");
        };
        spsc_send([7; 8], write, |_| {});
    }),
    ("spsc recv_ref 64 B", || {
        let read = |rx: &mut spsc::Receiver<Middle>| {
            let message = rx.recv_ref().expect("a message");
            std::hint::black_box(&*message);
            message.ack().expect("acknowledged");
        };
        spsc_receive([7; 8], read);
    }),
    ("spsc recv_into 1 KiB", || {
        let mut place = Box::new([0; 128]);
        spsc_receive::<Large>([7; 128], move |rx| rx.recv_into(&mut place).expect("a message"));
    }),
    ("spsc send_batch 8 B", || {
        let send = |tx: &mut spsc::Sender<Small>| {
            for _ in 0..COUNT / BATCH {
                tx.send_batch(&[7; BATCH]).expect("a free slot");
            }
        };
        spsc_send(7, |_, _| {}, send);
    }),
    ("spsc recv_batch 8 B", || {
        let mut batch = Vec::with_capacity(COUNT);
        spsc_receive::<Small>(7, move |rx| {
            while batch.len() < COUNT {
                rx.recv_batch(&mut batch, BATCH).expect("messages");
            }
        });
    }),
    ("mpmc send 8 B", || mpmc_send::<Small>(7, |tx, m| tx.send(m).expect("a free slot"))),
    ("mpmc recv 8 B", || mpmc_receive::<Small>(7, |rx| rx.recv().map(drop).expect("a message"))),
    ("mpmc send 64 B", || mpmc_send::<Middle>([7; 8], |tx, m| tx.send(m).expect("a free slot"))),
    ("mpmc recv 64 B", || {
        mpmc_receive::<Middle>([7; 8], |rx| rx.recv().map(drop).expect("a message"));
    }),
    ("mpmc loan 64 B", || {
        let write = |tx: &mpmc::Sender<Middle>, m: &Middle| {
            let mut loan = tx.loan().expect("a free slot");
            *loan = *m;
            loan.commit().expect("it is ours");
        };
        mpmc_send([7; 8], write);
    }),
    ("mpmc recv_ref 64 B", || {
        let read = |rx: &mpmc::Receiver<Middle>| {
            let message = rx.recv_ref().expect("a message");
            std::hint::black_box(&*message);
            message.ack().expect("acknowledged");
        };
        mpmc_receive([7; 8], read);
    }),
    ("mpmc send_batch 8 B", || {
        let left = Cell::new(COUNT);
        mpmc_send::<Small>(7, move |tx, m| {
            while left.get() != 0 {
                tx.send_batch(&[*m; BATCH]).expect("a free slot");
                left.set(left.get() - BATCH);
            }
        });
    }),
    ("mpmc recv_batch 8 B", || {
        let batch = RefCell::new(Vec::with_capacity(COUNT));
        mpmc_receive::<Small>(7, move |rx| {
            let mut batch = batch.borrow_mut();
            while batch.len() < COUNT {
                rx.recv_batch(&mut batch, BATCH).expect("messages");
            }
        });
    }),
    ("broadcast send 8 B", || broadcast_send::<Small, 1>(7, COUNT)),
    ("broadcast recv 8 B", || {
        broadcast_receive::<Small>(7, |rx| rx.recv().map(drop).expect("a message"));
    }),
    ("broadcast send 64 B", || broadcast_send::<Middle, 1>([7; 8], COUNT)),
    ("broadcast recv 64 B", || {
        broadcast_receive::<Middle>([7; 8], |rx| rx.recv().map(drop).expect("a message"));
    }),
];

/// The number of messages of a whole lap, in which a sender looks at all receivers several times.
pub const LAP: usize = 1024;

/// Sends a lap: an SPSC sender, and broadcast senders with these numbers of receivers.
pub const LAPS: &[(&str, Body)] = &[
    ("spsc", || {
        let (mut tx, _rx) = spsc_pair::<Small>(7);
        assert_eq!(tx.capacity(), LAP);
        mark();
        (0..LAP).for_each(|_| tx.send(&7).expect("a free slot"));
        mark();
    }),
    ("1 receiver", || broadcast_send::<Small, 1>(7, LAP)),
    ("8 receivers", || broadcast_send::<Small, 8>(7, LAP)),
    ("32 receivers", || broadcast_send::<Small, 32>(7, LAP)),
];

/// Waits without parking for a message or a free slot that never becomes available, until the
/// timeout, [`COUNT`] times.
pub const WAITS: &[(&str, Body)] = &[
    ("spsc receiver", || {
        let (_tx, mut rx) = spsc_pair::<Small>(7);
        waits(|time| rx.recv_timeout(time).err() == Some(RecvError::Timeout));
    }),
    ("mpmc receiver", || {
        let (_tx, rx) = mpmc_pair::<Small>(7);
        waits(|time| rx.recv_timeout(time).err() == Some(RecvError::Timeout));
    }),
    ("spsc sender", || {
        let (mut tx, _rx) = spsc_pair::<Small>(7);
        (0..tx.capacity()).for_each(|_| tx.send(&7).expect("a free slot"));
        waits(|time| tx.send_timeout(&7, time) == Err(SendError::Timeout));
    }),
    ("mpmc sender", || {
        let (tx, _rx) = mpmc_pair::<Small>(7);
        (0..tx.capacity()).for_each(|_| tx.send(&7).expect("a free slot"));
        waits(|time| tx.send_timeout(&7, time) == Err(SendError::Timeout));
    }),
];

/// Sends [`COUNT`] messages to another process and receives its answers; both park before each
/// message. With the number of system calls that this takes for each: a post, and the wait; an MPMC
/// receiver also asks who is alive before it waits.
pub const PARKED: &[(&str, f64, Body)] = &[
    ("spsc", 2.0, || {
        let mut tx: spsc::Sender<Small> = Options::private().create().expect("a channel");
        let mut rx: spsc::Receiver<Small> = parks(Options::private()).create().expect("a channel");
        let ids = (tx.id(), rx.id());
        exchange(
            ids,
            |n| tx.send(&n),
            || rx.recv(),
            |from, to| {
                let mut rx: spsc::Receiver<Small> = from.attach().expect("the requests");
                let mut tx: spsc::Sender<Small> = to.attach().expect("the answers");
                rx.iter().for_each(|n| tx.send(&n.expect("a request")).expect("an answer"));
            },
        );
    }),
    ("mpmc", 3.0, || {
        let tx: mpmc::Sender<Small> = Options::private().create().expect("a channel");
        let rx: mpmc::Receiver<Small> = parks(Options::private()).create().expect("a channel");
        let ids = (tx.id(), rx.id());
        exchange(
            ids,
            |n| tx.send(&n),
            || rx.recv(),
            |from, to| {
                let rx: mpmc::Receiver<Small> = from.attach().expect("the requests");
                let tx: mpmc::Sender<Small> = to.attach().expect("the answers");
                rx.iter().for_each(|n| tx.send(&n.expect("a request")).expect("an answer"));
            },
        );
    }),
];

fn parks(options: Options) -> Options {
    options.wait(Wait::Park)
}

fn exchange(
    (requests, answers): (ChannelId, ChannelId),
    mut send: impl FnMut(Small) -> Result<(), SendError>,
    mut receive: impl FnMut() -> Result<Small, RecvError>,
    answer: fn(Options, Options),
) {
    let _server = Fork::start(|| answer(parks(Options::id(requests)), Options::id(answers)));
    let mut all = || {
        for n in 0..COUNT as Small {
            send(n).expect("a free slot");
            assert_eq!(receive(), Ok(n));
        }
    };
    all();
    mark();
    all();
    mark();
}

/// The timeout is shorter than any handle spins before it yields and parks.
fn waits(mut wait: impl FnMut(Duration) -> bool) {
    mark();
    (0..COUNT).for_each(|_| assert!(wait(Duration::from_nanos(500))));
    mark();
}

/// Does nothing between the marks.
pub fn nothing() {
    mark();
    mark();
}

/// Makes both ends of a channel whose ring has wrapped around twice, and which know their peer.
fn spsc_pair<M: Message + Copy>(message: M) -> (spsc::Sender<M>, spsc::Receiver<M>) {
    let mut tx: spsc::Sender<M> = Options::private().create().expect("a channel");
    let mut rx: spsc::Receiver<M> = Options::id(tx.id()).attach().expect("its other side");
    for _ in 0..2 * tx.capacity() {
        tx.send(&message).expect("a free slot");
        rx.recv().map(drop).expect("a message");
    }
    (tx, rx)
}

fn spsc_send<M: Message + Copy>(
    message: M,
    send: impl Fn(&mut spsc::Sender<M>, &M),
    send_all: impl Fn(&mut spsc::Sender<M>),
) {
    let (mut tx, _rx) = spsc_pair(message);
    mark();
    (0..COUNT).for_each(|_| send(&mut tx, &message));
    send_all(&mut tx);
    mark();
}

fn spsc_receive<M: Message + Copy>(message: M, mut receive: impl FnMut(&mut spsc::Receiver<M>)) {
    let (mut tx, mut rx) = spsc_pair(message);
    (0..COUNT).for_each(|_| tx.send(&message).expect("a free slot"));
    mark();
    (0..COUNT).for_each(|_| receive(&mut rx));
    mark();
}

/// Does the same as [`spsc_pair`] for MPMC.
fn mpmc_pair<M: Message + Copy>(message: M) -> (mpmc::Sender<M>, mpmc::Receiver<M>) {
    let tx: mpmc::Sender<M> = Options::private().create().expect("a channel");
    let rx: mpmc::Receiver<M> = Options::id(tx.id()).attach().expect("another member");
    for _ in 0..2 * tx.capacity() {
        tx.send(&message).expect("a free slot");
        rx.recv().map(drop).expect("a message");
    }
    (tx, rx)
}

fn mpmc_send<M: Message + Copy>(message: M, send: impl Fn(&mpmc::Sender<M>, &M)) {
    let (tx, _rx) = mpmc_pair(message);
    mark();
    (0..COUNT).for_each(|_| send(&tx, &message));
    mark();
}

fn mpmc_receive<M: Message + Copy>(message: M, receive: impl Fn(&mpmc::Receiver<M>)) {
    let (tx, rx) = mpmc_pair(message);
    (0..COUNT).for_each(|_| tx.send(&message).expect("a free slot"));
    mark();
    (0..COUNT).for_each(|_| receive(&rx));
    mark();
}

/// Makes the ends of a broadcast channel whose ring has wrapped around twice, with all receivers at its
/// end.
fn broadcast_ends<M: Message + Copy>(
    message: M,
    receivers: usize,
) -> (broadcast::Sender<M>, Vec<broadcast::Receiver<M>>) {
    let mut tx: broadcast::Sender<M> = Options::private().create().expect("a channel");
    let attach = |_| Options::id(tx.id()).attach().expect("another receiver");
    let mut all: Vec<broadcast::Receiver<M>> = (0..receivers).map(attach).collect();
    for _ in 0..2 * tx.capacity() {
        tx.send(&message).expect("a free slot");
        for rx in &mut all {
            rx.recv().expect("a message");
        }
    }
    // A call that finds nothing shows the sender what was acknowledged.
    all.iter_mut().for_each(|rx| assert_eq!(rx.try_recv().err(), Some(RecvError::Empty)));
    (tx, all)
}

fn broadcast_send<M: Message + Copy, const RECEIVERS: usize>(message: M, count: usize) {
    let (mut tx, _all) = broadcast_ends(message, RECEIVERS);
    mark();
    (0..count).for_each(|_| tx.send(&message).expect("a free slot"));
    mark();
}

fn broadcast_receive<M: Message + Copy>(
    message: M,
    mut receive: impl FnMut(&mut broadcast::Receiver<M>),
) {
    let (mut tx, mut all) = broadcast_ends(message, 2);
    (0..COUNT).for_each(|_| tx.send(&message).expect("a free slot"));
    mark();
    (0..COUNT).for_each(|_| receive(&mut all[0]));
    mark();
}

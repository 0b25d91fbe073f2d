//! Tasks that send to and receive from broadcast channels: the calls, futures that are dropped at any
//! poll, and processes that are killed while their tasks wait.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, join, stream};
use sysvring::broadcast::{Receiver, Sender};
use sysvring::{Options, RecvError};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::shared_counters;
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::executor::{Abandon, PLACES, Place, run};

#[test]
fn every_call_is_a_future() {
    for &place in PLACES {
        let name = Name::new();
        let mut tx: Sender<u64> = name.options().capacity(4).open().expect("open");
        let [mut one, mut two] =
            [(); 2].map(|()| name.options().attach::<Receiver<u64>>().expect("attach"));
        run(place, async {
            tx.wait_for_receivers_async(2).await.expect("they are there");
            let mut numbers = stream::iter(0..20).map(Ok);
            let sending = async {
                tx.sink().send_all(&mut numbers).await.expect("sent");
                tx.send_batch_async(&[20, 21, 22]).await.expect("sent");
                let mut loan = tx.loan_async().await.expect("a slot");
                *loan = 23;
                loan.commit().expect("sent");
                tx.flush_async().await.expect("acknowledged");
            };
            let by_value = async {
                for n in 0..24 {
                    assert_eq!(one.recv_async().await, Ok(n));
                }
            };
            let in_place = async {
                for n in 0..20 {
                    let guard = two.recv_ref_async().await.expect("a message");
                    assert_eq!(*guard, n);
                    guard.ack().expect("acknowledged");
                }
                let rest: Vec<_> = two.stream().take(4).collect().await;
                assert_eq!(rest, [Ok(20), Ok(21), Ok(22), Ok(23)]);
            };
            join!(sending, by_value, in_place);
            join!(async { tx.send_async(&24).await.expect("sent") }, async {
                assert_eq!(one.latest_async().await, Ok(24));
                assert_eq!(two.latest_async().await, Ok(24));
            });
            tx.finish().expect("finished");
            assert_eq!(one.recv_async().await, Err(RecvError::Disconnected));
            assert_eq!(two.latest_async().await, Err(RecvError::Disconnected));
        });
    }
}

#[test]
fn a_task_is_told_what_it_missed() {
    for &place in PLACES {
        let name = Name::new();
        let options = name.options().capacity(4).overwriting(true);
        let mut tx: Sender<u64> = options.open().expect("open");
        let mut rx: Receiver<u64> = name.options().attach().expect("attach");
        run(place, async {
            for n in 0..50 {
                tx.send_async(&n).await.expect("it waits for nobody");
            }
            let Err(RecvError::Lagged { messages }) = rx.recv_async().await else {
                panic!("it missed some");
            };
            assert_eq!(rx.recv_async().await, Ok(messages));
            assert_eq!(rx.latest_async().await, Ok(49));
        });
    }
}

const RECEIVERS: usize = 3;
/// How long a load lasts, and the minimum number of messages.
const TIME: Duration = Duration::from_millis(1_500);
const ENOUGH: u64 = 500;

async fn send(tx: &mut Sender<u64>, sent: &AtomicU64, is_over: impl Fn() -> bool) {
    let mut rng = Rng::new();
    while !is_over() {
        for _ in 0..rng.below(20) {
            let n = tx.position();
            // One that is given up has sent nothing.
            while Abandon::after(rng.below(3), tx.send_async(&n)).await.is_none() {}
            sent.fetch_add(1, Relaxed);
        }
        std::thread::sleep(Duration::from_micros(rng.below(200)));
    }
}

/// Receives until the end; every message has the number of its position.
async fn receive(rx: &mut Receiver<u64>, is_over: impl Fn() -> bool) {
    let mut rng = Rng::new();
    loop {
        let position = rx.position();
        let received = match Abandon::after(rng.below(4), rx.recv_async()).await {
            Some(received) => received,
            None => {
                assert_eq!(rx.position(), position, "a future that was dropped took a message");
                continue;
            }
        };
        match received {
            Ok(n) => assert_eq!(n, position),
            Err(RecvError::Disconnected) if is_over() => return,
            Err(RecvError::Disconnected) => std::thread::sleep(Duration::from_micros(50)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Members whose futures are dropped at random polls; they are killed at random times if `kills`.
#[work]
fn load(args: &mut Args) {
    let (name, place, kills): (String, usize, bool) = (args.next(), args.next(), args.next());
    let place: Place = PLACES[place];
    let [over, sent] = shared_counters::<2>();
    let is_over = || over.load(Acquire) != 0;
    let start = |n: usize| {
        Fork::start(|| {
            let options = Options::named(&*name).capacity(4);
            match n {
                0 => {
                    let mut tx = options.open().expect("a sender");
                    run(place, send(&mut tx, sent, is_over));
                    tx.finish().expect("finished");
                }
                _ => {
                    let mut rx = options.open().expect("a receiver");
                    run(place, receive(&mut rx, is_over));
                }
            }
        })
    };
    let mut members: Vec<Fork> = (0..=RECEIVERS).map(start).collect();
    let (begun, mut rng) = (Instant::now(), Rng::new());
    // On a busy host, members are killed before they have done much.
    while goes_on(begun, TIME, sent.load(Relaxed) > ENOUGH) {
        std::thread::sleep(Duration::from_micros(rng.below(4_000)));
        if kills {
            let n = rng.below(members.len() as u64) as usize;
            assert!(members[n].kill_and_wait(), "it ended by itself");
            members[n] = start(n);
        }
    }
    over.store(1, Release);
    members.into_iter().for_each(Fork::finish);
    let stat = sysvring::stat(&*name).expect("stat");
    sysvring::remove(&*name).expect("removed");
    let sent = sent.load(Relaxed);
    assert!(sent > ENOUGH && stat.tail >= sent, "{sent} messages, {} positions", stat.tail);
    assert_eq!(stat.overslept, 0);
}

fn in_each_place(kills: bool) {
    for place in 0..PLACES.len() {
        Worker::run(&[&"broadcast::load", &Name::new(), &place, &kills]);
    }
}

#[test(quiet)]
fn futures_are_dropped_at_any_poll() {
    in_each_place(false);
}

#[test(quiet)]
fn processes_with_pending_futures_are_killed() {
    in_each_place(true);
}

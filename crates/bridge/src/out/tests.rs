use sysvring::Flavor;

use super::*;
use crate::memory::{MemoryOutlet, Stream};
use crate::stop::{self, Stopper};
use crate::supervise::supervise;
use crate::testing::{Place as Channel, block_on};

fn route(channel: &Channel, order: Order, in_flight: usize) -> OutRoute {
    OutRoute {
        name: "r".into(),
        channel: channel.channel(),
        subject: "s".into(),
        stream: None,
        in_flight,
        order,
        label: "bridge r".into(),
    }
}

/// Runs a route until the stream of its channel has ended.
fn run_to_end(channel: &Channel, route: &OutRoute, stream: &Stream) -> RouteCounts {
    let counts = RouteCounts::default();
    let (_stopper, stop) = stop::channel();
    let once = || {
        let mut route = one(channel, route, stream, &counts, &stop, true);
        async move { route.run().await }
    };
    block_on(supervise(once, &counts, stop.clone())).unwrap();
    counts
}

fn one<'a>(
    channel: &'a Channel,
    route: &'a OutRoute,
    stream: &Stream,
    counts: &'a RouteCounts,
    stop: &Stop,
    until_end: bool,
) -> OutLoop<'a, MemoryOutlet> {
    let outlet = MemoryOutlet { stream: stream.clone(), is_strict: route.order == Order::Strict };
    OutLoop { route, outlet, counts, stop: stop.clone(), until_end, state: channel.state() }
}

fn send(channel: &Channel, numbers: std::ops::Range<u64>) {
    let mut sender = channel.sender();
    numbers.for_each(|number| sender.send(&number.to_ne_bytes()).unwrap());
    sender.finish().unwrap();
}

/// Whatever fails, every message is stored once, and in order where that is asked for, although the engine
/// recognises the ids of four messages only.
#[test]
fn failures_neither_lose_nor_double_nor_reorder() {
    for seed in 0..20 {
        for (flavor, order) in [
            (Flavor::Spsc, Order::Strict),
            (Flavor::Mpmc, Order::Strict),
            (Flavor::Broadcast, Order::Strict),
            (Flavor::Spsc, Order::Relaxed),
        ] {
            let (channel, stream) = (Channel::new(flavor), Stream::new(Some(seed)));
            let route = route(&channel, order, 32);
            send(&channel, 0..200);
            let counts = run_to_end(&channel, &route, &stream);
            let mut numbers = stream.numbers();
            if order == Order::Relaxed {
                numbers.sort_unstable();
            }
            assert!(numbers.iter().copied().eq(0..200), "{flavor} {order:?} {seed}: {numbers:?}");
            assert!(counts.failures.get() > 0);
            assert_eq!(counts.messages.get(), 200);
            assert!(stream.contents().messages.iter().all(|message| message.schema == 7));
        }
    }
}

/// A bridge that was killed after messages were stored, and before they were acknowledged in the channel,
/// leaves them to its successor.
#[test]
fn what_is_stored_is_not_published_again() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    let nonce = message_id::nonce(channel.receiver().id());
    for position in 0..10u64 {
        stream.contents().add(Some(MessageId { nonce, position }), 7, &position.to_ne_bytes());
    }
    send(&channel, 0..20);
    let counts = run_to_end(&channel, &route(&channel, Order::Strict, 32), &stream);
    assert!(stream.numbers().into_iter().eq(0..20));
    assert_eq!(counts.duplicates.get(), 10);
}

/// The last id of a strict route is enough: those before it are consumed, or in a broadcast channel far back.
#[test]
fn the_last_stored_message_is_enough_where_order_is_strict() {
    let (channel, stream) = (Channel::new(Flavor::Broadcast), Stream::new(None));
    let nonce = message_id::nonce(channel.receiver().id());
    stream.contents().add(Some(MessageId { nonce, position: 9 }), 7, &9u64.to_ne_bytes());
    send(&channel, 0..20);
    run_to_end(&channel, &route(&channel, Order::Strict, 32), &stream);
    assert!(stream.numbers().into_iter().eq(9..20));
}

#[test]
fn a_foreign_message_does_not_hold_up_a_strict_route() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    let route = route(&channel, Order::Strict, 4);
    let counts = RouteCounts::default();
    let (stopper, stop) = stop::channel();
    let mut sender = channel.sender();
    block_on(async {
        let mut run = one(&channel, &route, &stream, &counts, &stop, false);
        let feed = async {
            for number in 0..40u64 {
                sender.send_async(&number.to_ne_bytes()).await.unwrap();
                if number % 10 == 9 {
                    sender.flush_async().await.unwrap();
                    stream.contents().add(None, 0, &1000u64.to_ne_bytes());
                }
            }
            sender.flush_async().await.unwrap();
            stopper.stop();
        };
        let (result, ()) = tokio::join!(run.run(), feed);
        result.unwrap();
    });
    let ours = stream.numbers().into_iter().filter(|&number| number < 1000);
    assert!(ours.eq(0..40));
    assert!(counts.failures.get() >= 3);
}

/// In an MPMC channel, what a dead bridge held comes before what it had not received, but for the message by
/// which the route begins its search, wherever in the ring it is, and whether or not there is more.
#[test]
fn what_a_dead_bridge_held_comes_first() {
    let more = [50u64, 1, 0];
    for (before, more) in (190..256).flat_map(|before| more.map(|more| (before, more))) {
        let (channel, stream) = (Channel::new(Flavor::Mpmc), Stream::new(None));
        let (mut dead, mut sender) = (channel.receiver(), channel.sender());
        for number in 0..before {
            sender.send(&u64::to_ne_bytes(number)).unwrap();
            dead.recv_boxed().unwrap();
        }
        for number in 0..50 + more {
            sender.send(&number.to_ne_bytes()).unwrap();
        }
        // As a kill does, this leaves the messages to a receiver that looks for them.
        std::mem::forget(dead.recv_batch_ref(50).unwrap());
        drop(dead);
        sender.finish().unwrap();
        run_to_end(&channel, &route(&channel, Order::Strict, 32), &stream);
        let mut numbers = stream.numbers();
        let first = numbers.len().min(51);
        numbers[..first].sort_unstable();
        assert!(numbers.iter().copied().eq(0..50 + more), "{before} {more}: {numbers:?}");
    }
}

/// Ends a route of a broadcast channel and starts it again: the second one goes on behind the first.
#[test]
fn a_route_that_left_a_broadcast_channel_goes_on_there() {
    let (channel, stream) = (Channel::new(Flavor::Broadcast), Stream::new(None));
    let route = route(&channel, Order::Relaxed, 32);
    let mut sender = channel.sender();
    for round in 0..3u64 {
        let counts = RouteCounts::default();
        let (stopper, stop) = stop::channel();
        for number in 0..20 {
            sender.send(&(20 * round + number).to_ne_bytes()).unwrap();
        }
        let mut run = one(&channel, &route, &stream, &counts, &stop, false);
        let wait = stop_after(&counts, 20, &stopper);
        block_on(async { tokio::join!(run.run(), wait).0 }).unwrap();
        assert_eq!((counts.messages.get(), counts.duplicates.get()), (20, 0));
        // What is known of the messages is not what keeps them from being stored again.
        stream.contents().messages.iter_mut().for_each(|message| message.id = None);
    }
    assert!(stream.numbers().into_iter().eq(0..60));
}

async fn stop_after(counts: &RouteCounts, messages: u64, stopper: &Stopper) {
    while counts.messages.get() < messages {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    stopper.stop();
}

/// The order to end does not wait forever for a server that stores nothing; the messages stay in the channel.
#[test]
fn the_end_does_not_wait_forever_for_acknowledgements() {
    let channel = Channel::new(Flavor::Spsc);
    send(&channel, 0..5);
    let route = route(&channel, Order::Strict, 32);
    let (counts, (stopper, stop)) = (RouteCounts::default(), stop::channel());
    let stream = Stream::new(None);
    stream.contents().is_full = true;
    let mut run = one(&channel, &route, &stream, &counts, &stop, false);
    let wait = async {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        stopper.stop();
    };
    let result = block_on(async { tokio::join!(run.run(), wait).0 });
    assert!(matches!(result, Err(RouteError::Unacknowledged { messages: 5 })), "{result:?}");
    assert!(counts.failures.get() > 5);
    assert!(channel.take().into_iter().eq(0..5));
}

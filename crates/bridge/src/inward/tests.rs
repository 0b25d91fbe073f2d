use sysvring::Flavor;

use super::*;
use crate::memory::{MemoryInlet, Stream};
use crate::stop;
use crate::supervise::supervise;
use crate::testing::{Place as Channel, block_on};

fn route(channel: &Channel) -> InRoute {
    InRoute {
        name: "r".into(),
        stream: "S".into(),
        subject: None,
        consumer: "c".into(),
        channel: channel.channel(),
        in_flight: 16,
        reject_to: None,
        label: "bridge r".into(),
    }
}

fn one<'a>(
    channel: &'a Channel,
    route: &'a InRoute,
    stream: &Stream,
    counts: &'a RouteCounts,
    stop: &Stop,
) -> InLoop<'a, MemoryInlet> {
    let (inlet, stop, state) = (MemoryInlet::new(stream), stop.clone(), channel.state());
    InLoop { route, inlet, counts, stop, until_end: true, state }
}

/// Runs a route until the stream has no more messages.
fn run_to_end(channel: &Channel, route: &InRoute, stream: &Stream) -> RouteCounts {
    let counts = RouteCounts::default();
    let (_stopper, stop) = stop::channel();
    let once = || {
        let mut route = one(channel, route, stream, &counts, &stop);
        async move { route.run().await }
    };
    block_on(supervise(once, &counts, stop.clone())).unwrap();
    counts
}

fn add(stream: &Stream, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| stream.contents().add(None, 0, &number.to_ne_bytes()));
}

/// Whatever fails, every message is sent once and in order.
#[test]
fn failures_neither_lose_nor_double_nor_reorder() {
    for seed in 0..20 {
        for flavor in [Flavor::Spsc, Flavor::Mpmc, Flavor::Broadcast] {
            let (channel, stream) = (Channel::new(flavor), Stream::new(Some(seed)));
            add(&stream, 0..200);
            let counts = run_to_end(&channel, &route(&channel), &stream);
            let numbers = channel.take();
            assert!(numbers.iter().copied().eq(0..200), "{flavor} {seed}: {numbers:?}");
            assert_eq!(counts.messages.get(), 200);
            assert!(counts.failures.get() > 0);
        }
    }
}

/// The record tells where a bridge goes on that was killed, whatever the server knows. What was written
/// down and not sent is sent, and what was sent before the record was complete is not sent again.
#[test]
fn a_successor_goes_on_behind_the_last_message_that_was_sent() {
    for flavor in [Flavor::Spsc, Flavor::Mpmc, Flavor::Broadcast] {
        for (was_sent, is_torn) in [(true, false), (false, false), (false, true)] {
            let (channel, stream) = (Channel::new(flavor), Stream::new(None));
            let route = route(&channel);
            add(&stream, 0..10);
            run_to_end(&channel, &route, &stream);
            add(&stream, 10..20);

            let mut sender = channel.sender();
            let mut record = Record::open(channel.state(), &route.name).unwrap();
            resume(&mut record, &sender, Source { identity: 1, floor: None, end: 20 }).unwrap();
            let (id, mut loan) = (sender.id(), sender.loan(8).unwrap());
            loan.copy_from_slice(&10u64.to_ne_bytes());
            let entry = Entry::new(id, Some(loan.position()), 11, 1);
            record.intend(entry.with_sum_of(&10u64.to_ne_bytes()));
            match was_sent {
                true => loan.commit().unwrap(),
                false => drop(loan),
            }
            if is_torn {
                record.tear();
            }
            drop((record, sender));

            stream.contents().floor = None;
            run_to_end(&channel, &route, &stream);
            let numbers = channel.take();
            assert!(
                numbers.iter().copied().eq(0..20),
                "{flavor} {was_sent} {is_torn}: {numbers:?}"
            );
        }
    }
}

/// A server that lost the newest messages of a stream numbers others like them.
#[test]
fn a_stream_that_lost_messages_goes_on_behind_its_last_one() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    add(&stream, 0..10);
    run_to_end(&channel, &route(&channel), &stream);
    stream.contents().messages.truncate(6);
    run_to_end(&channel, &route(&channel), &stream);
    add(&stream, 10..15);
    run_to_end(&channel, &route(&channel), &stream);
    let numbers = channel.take();
    assert!(numbers.iter().copied().eq(0..15), "{numbers:?}");
}

/// Another stream of the same name starts with its first message.
#[test]
fn a_stream_that_was_made_anew_is_read_from_its_beginning() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    add(&stream, 0..10);
    run_to_end(&channel, &route(&channel), &stream);
    let stream = Stream::new(None);
    stream.contents().identity = 2;
    add(&stream, 10..15);
    run_to_end(&channel, &route(&channel), &stream);
    assert!(channel.take().into_iter().eq(0..15));
}

/// A channel that was made anew gets what the server does not know to be delivered.
#[test]
fn a_channel_that_was_made_anew_gets_what_is_not_acknowledged() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    add(&stream, 0..10);
    run_to_end(&channel, &route(&channel), &stream);
    channel.remove();
    channel.create(Flavor::Mpmc);
    add(&stream, 10..15);
    run_to_end(&channel, &route(&channel), &stream);
    assert!(channel.take().into_iter().eq(10..15));
}

#[test]
fn a_message_that_does_not_fit_is_rejected_once_or_stops_the_route() {
    for (schema, len, expected) in [(8, 8, "its schema is 8"), (7, 3, "3 bytes are no message")] {
        let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(Some(3)));
        let mut route = route(&channel);
        add(&stream, 0..5);
        stream.contents().add(None, schema, &vec![1; len]);
        add(&stream, 5..10);

        let (counts, (_stopper, stop)) = (RouteCounts::default(), stop::channel());
        let rejected = block_on(async {
            loop {
                match one(&channel, &route, &stream, &counts, &stop).run().await {
                    Err(RouteError::Rejected { sequence, reason, .. }) => break (sequence, reason),
                    Err(RouteError::Engine(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(rejected.0 == 6 && rejected.1.contains(expected), "{rejected:?}");

        route.reject_to = Some("rejected".into());
        let counts = run_to_end(&channel, &route, &stream);
        assert!(channel.take().into_iter().eq(0..10));
        assert_eq!(counts.rejected.get(), 1);
        assert_eq!(stream.contents().rejected, [vec![1; len]]);
    }
}

/// A full channel holds the route up, and the order to end is followed there.
#[test]
fn a_full_channel_holds_the_route_up() {
    let (channel, stream) = (Channel::new(Flavor::Spsc), Stream::new(None));
    add(&stream, 0..1000);
    let route = route(&channel);
    let (counts, (stopper, stop)) = (RouteCounts::default(), stop::channel());
    let mut run = one(&channel, &route, &stream, &counts, &stop);
    let wait = async {
        while counts.messages.get() < 256 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        stopper.stop();
    };
    block_on(async { tokio::join!(run.run(), wait).0 }).unwrap();
    assert_eq!(counts.messages.get(), 256);
    let mut numbers = channel.take();
    // The message that it held is not lost.
    stream.contents().messages.truncate(400);
    run_to_end(&channel, &route, &stream);
    numbers.extend(channel.take());
    assert!(numbers.into_iter().eq(0..400));
}

/// The place of a message that a killed bridge had not sent yet may have that of another sender by now.
#[test]
fn a_message_whose_place_another_sender_took_is_sent() {
    let (channel, stream) = (Channel::new(Flavor::Mpmc), Stream::new(None));
    let route = route(&channel);
    add(&stream, 0..10);
    run_to_end(&channel, &route, &stream);
    add(&stream, 10..20);

    let mut sender = channel.sender();
    let mut other = channel.sender();
    let mut record = Record::open(channel.state(), &route.name).unwrap();
    resume(&mut record, &sender, Source { identity: 1, floor: None, end: 20 }).unwrap();
    let (id, mut loan) = (sender.id(), sender.loan(8).unwrap());
    loan.copy_from_slice(&10u64.to_ne_bytes());
    let entry = Entry::new(id, Some(loan.position()), 11, 1);
    record.intend(entry.with_sum_of(&10u64.to_ne_bytes()));
    // What receivers do with the claim of a dead sender.
    drop(loan);
    other.send(&99u64.to_ne_bytes()).unwrap();
    drop((record, sender));

    stream.contents().floor = None;
    run_to_end(&channel, &route, &stream);
    let numbers = channel.take();
    let expected = (0..10).chain([99]).chain(10..20);
    assert!(numbers.iter().copied().eq(expected), "{numbers:?}");
}

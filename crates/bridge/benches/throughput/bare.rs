//! A client of the server, without channels.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, consumer};
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt;

use crate::report::median;
use crate::routes::{STREAM, SUBJECT};
use crate::{Turn, WARM_UP, WINDOW};

/// The time after which an acknowledgement does not come any more. On a busy host, some take seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a client in a runtime like the bridge's.
fn run<R>(url: &str, body: impl AsyncFnOnce(Client, jetstream::Context) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = async_nats::connect(url).await.expect("connected");
        let builder = jetstream::context::ContextBuilder::new();
        let builder = builder.max_ack_inflight(WINDOW + 1).ack_timeout(TIMEOUT);
        let context = builder.build(client.clone());
        body(client, context).await
    })
}

fn publish_message(turn: &Turn, number: u64, with_ids: bool) -> PublishMessage {
    let message = PublishMessage::build().payload(turn.message(number).into());
    if !with_ids {
        return message;
    }
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, format!("0badcafe:{number}"));
    message.headers(headers)
}

/// Publishes messages, each acknowledged, and returns how many a second.
pub fn publish(turn: &Turn, with_ids: bool) -> f64 {
    let time = run(turn.url, async |_, context| {
        let send = async |numbers: std::ops::Range<usize>| {
            let mut window = VecDeque::new();
            for number in numbers {
                if window.len() == WINDOW {
                    let ack: jetstream::context::PublishAckFuture =
                        window.pop_front().expect("one");
                    ack.await.expect("stored");
                }
                let message = publish_message(turn, number as u64, with_ids);
                window.push_back(context.send_publish(SUBJECT, message).await.expect("sent"));
            }
            for ack in window {
                ack.await.expect("stored");
            }
        };
        send(0..WARM_UP).await;
        let start = Instant::now();
        send(WARM_UP..WARM_UP + turn.messages).await;
        start.elapsed()
    });
    turn.must_have(WARM_UP + turn.messages);
    turn.rate(time)
}

/// Fills the stream with messages that are numbered from 0.
pub fn fill(turn: &Turn) {
    publish(turn, false);
}

async fn consumer(context: &jetstream::Context) -> consumer::PullConsumer {
    let stream = context.get_stream(STREAM).await.expect("a stream");
    let settings = consumer::pull::Config {
        durable_name: Some("client".into()),
        max_ack_pending: WINDOW as i64,
        ..Default::default()
    };
    stream.create_consumer(settings).await.expect("a consumer")
}

/// Pulls and acknowledges the messages of a full stream, and returns how many a second.
pub fn pull(turn: &Turn) -> f64 {
    fill(turn);
    let time = run(turn.url, async |client, context| {
        let consumer = consumer(&context).await;
        let pulled = consumer.stream().max_messages_per_batch(WINDOW).messages().await;
        let mut pulled = pulled.expect("messages");
        let mut start = Instant::now();
        for number in 0..WARM_UP + turn.messages {
            if number == WARM_UP {
                start = Instant::now();
            }
            let message = pulled.next().await.expect("another").expect("a message");
            assert_eq!(message.payload[..8], (number as u64).to_ne_bytes());
            message.ack().await.expect("acknowledged");
        }
        client.flush().await.expect("all is sent");
        start.elapsed()
    });
    turn.rate(time)
}

/// Returns the median time in microseconds until a message is stored.
pub fn latency_out(turn: &Turn) -> f64 {
    let times = run(turn.url, async |_, context| {
        let mut times = Vec::new();
        for number in 0..turn.messages as u64 {
            let message = publish_message(turn, number, true);
            let start = Instant::now();
            context.send_publish(SUBJECT, message).await.expect("sent").await.expect("stored");
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        times
    });
    median(&times)
}

/// Returns the median time in microseconds until a client gets a message that another one publishes.
pub fn latency_in(turn: &Turn) -> f64 {
    let times = run(turn.url, async |_, context| {
        let consumer = consumer(&context).await;
        let mut pulled =
            consumer.stream().max_messages_per_batch(WINDOW).messages().await.expect("messages");
        let mut times = Vec::new();
        for number in 0..turn.messages as u64 {
            let message = publish_message(turn, number, false);
            let start = Instant::now();
            let stored = context.send_publish(SUBJECT, message).await.expect("sent");
            let message = pulled.next().await.expect("another").expect("a message");
            times.push(start.elapsed().as_secs_f64() * 1e6);
            assert_eq!(message.payload[..8], number.to_ne_bytes(), "another message");
            message.ack().await.expect("acknowledged");
            stored.await.expect("stored");
        }
        times
    });
    median(&times)
}

/// Publishes messages, each after `receive` has returned when the one before arrived. Returns the times
/// in microseconds until then.
pub fn publish_each(
    turn: &Turn,
    messages: u64,
    mut receive: impl FnMut(u64) -> Instant,
) -> Vec<f64> {
    run(turn.url, async |_, context| {
        let mut times = Vec::new();
        for number in 0..messages {
            let message = publish_message(turn, number, false);
            let start = Instant::now();
            let stored = context.send_publish(SUBJECT, message).await.expect("sent");
            let arrived = tokio::task::block_in_place(|| receive(number));
            times.push((arrived - start).as_secs_f64() * 1e6);
            stored.await.expect("stored");
        }
        times
    })
}

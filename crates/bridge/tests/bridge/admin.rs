//! The hand of an administrator: streams, consumers and messages of the server.

use std::array;
use std::future::Future;
use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt;
use tokio::runtime::Runtime;

use crate::account::{Account, Figures, Message};
use crate::process::until;
use crate::routes::{CONSUMER, STREAM, SUBJECT};

/// A connection to the server.
pub struct Admin {
    runtime: Runtime,
    context: jetstream::Context,
}

impl Admin {
    /// Connects, as soon as the server answers.
    pub fn connect(url: &str) -> Admin {
        Admin::connect_with(url, async_nats::ConnectOptions::new)
    }

    /// Does the same with credentials.
    pub fn connect_with(url: &str, options: impl Fn() -> async_nats::ConnectOptions) -> Admin {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let connect = async || {
            let mut context = jetstream::new(options().connect(url).await.ok()?);
            context.set_timeout(Duration::from_secs(20));
            context.query_account().await.ok()?;
            Some(context)
        };
        let mut connected = None;
        until("the server does not answer", || {
            connected = runtime.block_on(connect());
            connected.is_some()
        });
        let context = connected.expect("connected");
        Admin { runtime, context }
    }

    fn wait<T, E: std::fmt::Debug>(&self, call: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(call).expect("the server does that")
    }

    /// Returns the settings of the tests' stream.
    pub fn settings() -> stream::Config {
        stream::Config { name: STREAM.into(), subjects: vec![SUBJECT.into()], ..Default::default() }
    }

    pub fn make_stream(&self, settings: stream::Config) {
        self.wait(self.context.create_stream(settings));
    }

    pub fn change_stream(&self, settings: stream::Config) {
        self.wait(self.context.update_stream(settings));
    }

    pub fn delete_stream(&self) {
        self.wait(self.context.delete_stream(STREAM));
    }

    /// Deletes the stream, if there is one.
    pub fn try_delete_stream(&self) {
        let _ = self.runtime.block_on(self.context.delete_stream(STREAM));
    }

    /// Deletes the consumer, as soon as there is one.
    pub fn delete_consumer(&self) {
        until("there is no consumer", || {
            self.runtime.block_on(async {
                let stream = self.context.get_stream(STREAM).await.expect("a stream");
                stream.delete_consumer(CONSUMER).await.is_ok()
            })
        });
    }

    /// Returns the number of messages in a stream.
    pub fn messages(&self, stream: &str) -> u64 {
        self.wait(self.context.get_stream(stream)).cached_info().state.messages
    }

    /// Returns the number of messages that a stream has ever stored.
    pub fn stored(&self, stream: &str) -> u64 {
        self.wait(self.context.get_stream(stream)).cached_info().state.last_sequence
    }

    /// Returns what the server tells of the consumer, if there is one.
    pub fn consumer(&self) -> Option<consumer::Info> {
        self.runtime.block_on(async {
            let stream = self.context.get_stream(STREAM).await.ok()?;
            stream.consumer_info(CONSUMER).await.ok()
        })
    }

    pub fn delete_message(&self, sequence: u64) {
        self.wait(async {
            let stream = self.context.get_stream(STREAM).await.expect("a stream");
            stream.delete_message(sequence).await
        });
    }

    /// Returns message `sequence` of a stream.
    pub fn message(&self, stream: &str, sequence: u64) -> jetstream::message::StreamMessage {
        self.wait(async {
            let stream = self.context.get_stream(stream).await.expect("a stream");
            stream.get_raw_message(sequence).await
        })
    }

    /// Returns the account of the messages of one sender in a stream.
    pub fn account(&self, stream: &str) -> Figures {
        let messages = self.messages(stream);
        let mut account = Account::new(1, 0);
        self.runtime.block_on(async {
            let stream = self.context.get_stream(stream).await.expect("a stream");
            let ordered = consumer::pull::OrderedConfig::default();
            let consumer = stream.create_consumer(ordered).await.expect("a consumer");
            let mut received = consumer.messages().await.expect("messages");
            for _ in 0..messages {
                let message = received.next().await.expect("another").expect("a message");
                account.enter(parse(&message.payload));
            }
        });
        account.figures()
    }

    /// Publishes a message, and returns its sequence.
    pub fn publish(&self, subject: &str, headers: HeaderMap, payload: &[u8]) -> u64 {
        self.wait(async {
            let payload = payload.to_vec().into();
            let ack = self.context.publish_with_headers(subject.to_owned(), headers, payload).await;
            ack.expect("published").await
        })
        .sequence
    }
}

/// Returns the message of these bytes. If their number is wrong, it contradicts itself.
fn parse(bytes: &[u8]) -> Message {
    let (words, rest) = bytes.as_chunks::<8>();
    match words.len() == size_of::<Message>() / 8 && rest.is_empty() {
        true => array::from_fn(|n| u64::from_ne_bytes(words[n])),
        false => [0; 4],
    }
}

//! What the bridge costs, beside a client of the server that does the same without channels.
//!
//! ```text
//! cargo bench -p sysvring-bridge
//! cargo bench -p sysvring-bridge -- --rounds 3 --messages 20000
//! ```
//!
//! *Out*: messages are sent into a channel, and the turn ends when all of them are acknowledged there,
//! which the bridge does when the server has stored them. Beside it, a client publishes the same
//! messages with the same number of them in flight, with ids, as the bridge does, and without.
//! *In*: the stream has all messages, and the turn lasts from the first to the last one that arrives in
//! the channel, or at a client that pulls and acknowledges each. *Latency*: one message after the
//! other, from its publication or sending until it is stored or has arrived.
//!
//! The ways take turns within each round. Figures are medians of rounds, with minimum and maximum.

mod bare;
mod bridged;
mod report;

#[path = "../../tests/bridge/account.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod account;
#[path = "../../tests/bridge/admin.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod admin;
#[path = "../../tests/bridge/namespace.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod namespace;
#[path = "../../tests/bridge/process.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod process;
#[path = "../../tests/bridge/routes.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod routes;
#[path = "../../tests/bridge/scratch.rs"]
mod scratch;
#[path = "../../tests/bridge/server/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod server;

use std::time::Duration;

use admin::Admin;
use async_nats::jetstream::stream;
use report::{Column, print};
use routes::STREAM;
use server::Server;
use sysvring_support::scale::take;

/// The number of messages in flight, which is the bridge's default.
const WINDOW: usize = 1_024;
/// The number of messages before the time of a turn begins.
const WARM_UP: usize = 1_000;

/// What a turn needs.
struct Turn<'a> {
    url: &'a str,
    admin: &'a Admin,
    /// The length of a message in bytes.
    size: usize,
    messages: usize,
}

impl Turn<'_> {
    /// Makes the stream anew, empty.
    fn empty_stream(&self) {
        self.admin.try_delete_stream();
        self.admin.make_stream(stream::Config { max_bytes: 1 << 31, ..Admin::settings() });
    }

    /// Returns a message that begins with a number.
    fn message(&self, number: u64) -> Vec<u8> {
        let mut message = vec![0x5a; self.size];
        message[..8].copy_from_slice(&number.to_ne_bytes());
        message
    }

    /// Checks that the stream has this many messages.
    fn must_have(&self, messages: usize) {
        assert_eq!(self.admin.messages(STREAM), messages as u64, "messages in the stream");
    }

    fn rate(&self, time: Duration) -> f64 {
        self.messages as f64 / time.as_secs_f64()
    }
}

/// A way to carry messages. It returns a figure, and that of a bridge its memory in bytes.
type Way = (&'static str, fn(&Turn) -> (f64, u64));

const OUT: [Way; 3] = [
    ("client, without ids", |turn| (bare::publish(turn, false), 0)),
    ("client, with ids", |turn| (bare::publish(turn, true), 0)),
    ("bridge", bridged::publish),
];
const IN: [Way; 2] = [("client", |turn| (bare::pull(turn), 0)), ("bridge", bridged::pull)];
const STORED: [Way; 2] =
    [("client", |turn| (bare::latency_out(turn), 0)), ("bridge", bridged::latency_out)];
const ARRIVED: [Way; 2] =
    [("client", |turn| (bare::latency_in(turn), 0)), ("bridge", bridged::latency_in)];

/// Lets the ways take turns, and returns the figures of each.
fn measure(ways: &[Way], rounds: u64, turn: &Turn) -> Vec<Column> {
    let mut columns: Vec<_> = ways.iter().map(|(name, _)| Column::new(name)).collect();
    for round in 0..rounds as usize {
        for n in 0..ways.len() {
            let n = (n + round) % ways.len();
            turn.empty_stream();
            let (figure, memory) = ways[n].1(turn);
            columns[n].add(figure, memory);
        }
    }
    columns
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let numbers = take(&mut arguments, ["--rounds", "--messages"]);
    let [rounds, messages] = numbers.unwrap_or_else(|error| panic!("{error}"));
    let (rounds, messages) = (rounds.unwrap_or(9), messages.unwrap_or(100_000) as usize);
    let Some(server) = Server::start() else { return };
    let url = server.url();
    let admin = Admin::connect(&url);
    println!("{rounds} rounds of {messages} messages, {WINDOW} in flight");
    for size in [16, 64, 1_024] {
        let turn = Turn { url: &url, admin: &admin, size, messages };
        print(&format!("Out, {size} B: messages/s"), &measure(&OUT, rounds, &turn));
        print(&format!("In, {size} B: messages/s"), &measure(&IN, rounds, &turn));
    }
    let turn = Turn { url: &url, admin: &admin, size: 64, messages: (messages / 100).max(1) };
    print("Out, 64 B: us until it is stored", &measure(&STORED, rounds, &turn));
    print("In, 64 B: us until it has arrived", &measure(&ARRIVED, rounds, &turn));
}

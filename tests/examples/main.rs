//! The examples as users run them: real processes, real signals, and nothing is left.

mod camera;
mod cleanup;
mod ipc_fixture;
mod letter;
mod pipeline;
mod producer_consumer;
mod program;
mod short_examples;
mod worker_crashes;

/// A part of the example, for a worker of this test.
#[path = "../../examples/pipeline/messages.rs"]
#[expect(dead_code, reason = "the reader's and the collector's part")]
mod messages;
#[path = "../../examples/pipeline/words.rs"]
#[expect(dead_code, reason = "the reader's part")]
mod words;

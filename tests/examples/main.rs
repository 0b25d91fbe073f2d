//! The examples as users run them: real processes, real signals, and nothing is left.

mod ends;
mod ground;
mod kills;
mod letter;
/// A part of the example, for a worker of this test.
#[path = "../../examples/pipeline/messages.rs"]
#[expect(dead_code, reason = "the reader's and the collector's part")]
mod messages;
mod pipeline;
mod program;
mod short;
mod ticks;
#[path = "../../examples/pipeline/words.rs"]
#[expect(dead_code, reason = "the reader's part")]
mod words;

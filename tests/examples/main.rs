//! The examples as users run them: real processes, real signals, and nothing left behind.

mod ends;
mod ground;
mod kills;
mod letter;
/// The example's own: for a worker that is ours.
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

//! The examples as users run them: real processes, real signals, and nothing left behind.

mod ends;
mod ground;
mod letter;
mod pipeline;
mod program;
mod ticks;

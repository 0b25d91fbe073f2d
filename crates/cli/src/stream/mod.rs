//! Messages as streams of bytes: how they are cut from standard input, and put on standard output.

pub mod field;
pub mod framing;
pub mod input;
pub mod join;
pub mod layout;
pub mod output;
pub mod progress;
pub mod render;
pub mod structured;
pub mod wait;

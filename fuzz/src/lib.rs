//! What the fuzz targets do, as ordinary functions of a byte string. libFuzzer calls them on
//! nightly; `tests/replay.rs` calls them on stable with the seeds and with random input.

mod attach;
mod input;
mod raw;
mod uses;

pub use attach::attach;

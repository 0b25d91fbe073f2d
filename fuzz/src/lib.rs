//! The bodies of the fuzz targets, as ordinary functions of a byte string. libFuzzer calls them on
//! nightly Rust; `tests/replay.rs` calls them on stable Rust with the seeds and with random input.
//!
//! A new target needs a line here, one in `tests/replay.rs`, a program of two lines in
//! `fuzz_targets` with its entry in `Cargo.toml`, and seeds: a folder and a `.hex` file.

mod attach;
mod commands;
mod exercise;
mod input;
mod live;
mod messages;
mod ops;
pub mod sim_kernel;
mod time;

pub use attach::{attach, joins};
pub use commands::commands;
pub use live::live;
pub use messages::messages;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// Defines the program of a target: a fuzzer, or without libFuzzer a replay of the files that it is
/// given.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::sim_kernel::from_environment(),
            |data: &[u8]| $crate::$target(data)
        );

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($crate::$target)
        }
    };
}

/// Runs a target with each file of the command line.
///
/// # Errors
/// If a file cannot be read.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    sim_kernel::from_environment();
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(&file)?);
        println!("{}: passed", file.display());
    }
    Ok(())
}

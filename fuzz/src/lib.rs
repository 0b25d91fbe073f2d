//! What the fuzz targets do, as ordinary functions of a byte string. libFuzzer calls them on
//! nightly; `tests/replay.rs` calls them on stable with the seeds and with random input.
//!
//! One more target is a line here, one in `tests/replay.rs`, a program of two lines in `fuzz_targets`
//! with its entry in `Cargo.toml`, and a folder of seeds.

mod attach;
mod commands;
mod exercise;
mod input;
mod live;
mod messages;
mod ops;
mod raw;
pub mod sim_kernel;
mod time;

pub use attach::{attach, joins};
pub use commands::commands;
pub use live::live;
pub use messages::messages;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// The program of a target: a fuzzer, or without one a replay of the files it is given.
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

/// Runs a target over the files of the command line.
///
/// # Errors
/// A file that cannot be read.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    sim_kernel::from_environment();
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(&file)?);
        println!("{}: no complaint", file.display());
    }
    Ok(())
}

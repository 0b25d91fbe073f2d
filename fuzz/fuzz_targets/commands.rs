//! `cargo +nightly fuzz run commands fuzz/corpus/commands fuzz/seeds/commands`, and without a fuzzer
//! `cargo run --bin commands -- FILE...`, which replays inputs.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sysvring_fuzz::commands(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        sysvring_fuzz::commands(&std::fs::read(&file)?);
        println!("{}: no complaint", file.display());
    }
    Ok(())
}

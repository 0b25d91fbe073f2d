//! `cargo +nightly fuzz run attach fuzz/corpus/attach fuzz/seeds/attach`, and without a fuzzer
//! `cargo run --bin attach -- FILE...`, which replays inputs.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sysvring_fuzz::attach(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        sysvring_fuzz::attach(&std::fs::read(&file)?);
        println!("{}: no complaint", file.display());
    }
    Ok(())
}

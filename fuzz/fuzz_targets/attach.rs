//! Run by `cargo +nightly fuzz run attach fuzz/corpus/attach fuzz/seeds/attach`.
//! Without libFuzzer, the program replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(attach);

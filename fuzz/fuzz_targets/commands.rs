//! Run by `cargo +nightly fuzz run commands fuzz/corpus/commands fuzz/seeds/commands`.
//! Without libFuzzer, the program replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(commands);

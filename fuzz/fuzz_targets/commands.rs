//! `cargo +nightly fuzz run commands fuzz/corpus/commands fuzz/seeds/commands`; without a fuzzer it replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(commands);

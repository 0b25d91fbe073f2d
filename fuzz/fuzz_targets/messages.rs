//! Run by `cargo +nightly fuzz run messages fuzz/corpus/messages fuzz/seeds/messages`.
//! Without libFuzzer, the program replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(messages);

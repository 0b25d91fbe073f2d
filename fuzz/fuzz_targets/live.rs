//! Run by `cargo +nightly fuzz run live fuzz/corpus/live fuzz/seeds/live`.
//! Without libFuzzer, the program replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(live);

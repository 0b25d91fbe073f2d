//! `cargo +nightly fuzz run live fuzz/corpus/live fuzz/seeds/live`; without a fuzzer it replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(live);

//! `cargo +nightly fuzz run attach fuzz/corpus/attach fuzz/seeds/attach`; without a fuzzer it replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(attach);

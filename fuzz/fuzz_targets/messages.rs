//! `cargo +nightly fuzz run messages fuzz/corpus/messages fuzz/seeds/messages`; without a fuzzer it replays files.
#![cfg_attr(fuzzing, no_main)]

sysvring_fuzz::program!(messages);

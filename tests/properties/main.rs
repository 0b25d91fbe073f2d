//! Properties that hold for any sequence of operations, tested with random input over System V IPC.
//! `PROPTEST_CASES` sets the number of cases.

mod commands;
mod options;

use std::fmt::Debug;
use std::process::ExitCode;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use sysvring_support::suite;

/// Tests `holds` with this number of inputs, unless `PROPTEST_CASES` is set. A failing input is
/// minimised, printed, and stored in `proptest-regressions`, so that later runs try it first.
fn for_all<S: Strategy<Value: Debug>>(
    cases: u32,
    file: &'static str,
    input: S,
    holds: impl Fn(S::Value),
) {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if set { Config::default().cases } else { cases };
    let config = Config { cases, source_file: Some(file), ..Config::default() };
    let tried = TestRunner::new(config).run(&input, |value| {
        holds(value);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

fn main() -> ExitCode {
    suite::main()
}

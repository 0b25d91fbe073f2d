//! The command `sysvring-bridge`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use sysvring_bridge::arguments::Arguments;
use sysvring_bridge::bridge::{self, Failure};
use sysvring_bridge::config::Config;
use sysvring_bridge::log;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "sysvring-bridge: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::start(arguments.log.as_deref(), arguments.log_format).map_err(Failure::Log)?;
    let config = Config::read(&arguments.routes)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Runtime)?;
    let result = runtime.block_on(bridge::run(config, arguments));
    // What still runs waits for a server that does not answer.
    runtime.shutdown_background();
    result
}

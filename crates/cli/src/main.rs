//! `sysvring`: see, touch and repair the channels of a machine.

mod arguments;
mod channel;
mod columns;
mod commands;
mod escape;
mod failure;
mod members;
mod output;
mod refused;
mod remedy;
mod signals;
mod standard;
mod stream;
mod timeout;
mod units;
mod users;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::Arguments;
use crate::failure::{Failure, USAGE};
use crate::output::style;

fn main() -> ExitCode {
    signals::end_on_broken_pipe();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = commands::run(arguments.command);
    if let Err(failure) = &result {
        report(failure);
    }
    signals::end_if_received();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ExitCode::from(failure.code),
    }
}

/// Prints help where it was asked for, and a wrong command line as every other error.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = match style::has_colour() {
                true => text.ansi().to_string(),
                false => text.to_string(),
            };
            match output::print(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    report(&failure);
                    ExitCode::from(failure.code)
                }
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            // It quotes the arguments, which may be names that other users chose.
            let lines: Vec<String> = text.lines().map(escape::visible).collect();
            let _ = writeln!(std::io::stderr(), "sysvring: {}", lines.join("\n"));
            ExitCode::from(USAGE)
        }
    }
}

/// Prints a failure. Its text may quote names and labels that other users chose.
fn report(failure: &Failure) {
    let _ = writeln!(std::io::stderr(), "sysvring: {}", escape::visible(&failure.text));
}

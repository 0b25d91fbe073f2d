//! `sysvring completions`: a script for the shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{DONE, Failure};
use crate::output;

/// Print the script that completes commands and options in a shell
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  sysvring completions bash > ~/.local/share/bash-completion/completions/sysvring"
)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "sysvring", &mut script);
        output::print(&script)?;
        Ok(DONE)
    }
}

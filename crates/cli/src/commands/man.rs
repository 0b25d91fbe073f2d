//! `sysvring man`: the manual, as man(1) reads it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use crate::arguments::Arguments;
use crate::failure::{DONE, Failure};
use crate::output;

/// Print a page of the manual: `sysvring man | man -l -`
#[derive(Args, Debug)]
pub struct Man {
    /// The command; without one, the page of sysvring itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write all pages to files of this folder instead, such as ~/.local/share/man/man1
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    folder: Option<PathBuf>,
}

impl Man {
    pub fn run(self) -> Result<u8, Failure> {
        let root = Arguments::command();
        if let Some(folder) = &self.folder {
            write(folder, &root, "sysvring")?;
            for command in root.get_subcommands() {
                write(folder, command, &format!("sysvring-{}", command.get_name()))?;
            }
            return Ok(DONE);
        }
        let page = match &self.command {
            None => page(&root, "sysvring"),
            Some(name) => {
                let command = root.find_subcommand(name).ok_or_else(|| {
                    Failure::usage(format!(
                        "there is no command {name:?}; `sysvring --help` shows them"
                    ))
                })?;
                page(command, &format!("sysvring-{}", command.get_name()))
            }
        };
        output::print(&page?)?;
        Ok(DONE)
    }
}

fn write(folder: &Path, command: &Command, name: &str) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page(command, name)?).map_err(|error| {
        Failure::because(&format!("the page {} cannot be written", path.display()), &error)
    })
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let command = command.clone().name(name.to_owned()).bin_name(name.replacen('-', " ", 1));
    Page::new(command)
        .render(&mut page)
        .map_err(|error| Failure::because("the page cannot be rendered", &error))?;
    Ok(page)
}

//! `sysvring reap`: removes what dead processes left.

use clap::Args;
use sysvring::Reaped;

use crate::failure::{DONE, Failure};
use crate::output::cell::Cell;
use crate::output::{self, Column, Format};

/// The columns of what was removed.
const REAPED: &[Column<Reaped>] = &[
    Column {
        name: "NAME",
        about: "name of the channel, or of a message queue; empty if it has none or was never finished",
        shown: true,
        cell: |r| if r.name.is_empty() { Cell::None } else { Cell::Text(r.name.clone()) },
    },
    Column {
        name: "KEY",
        about: "System V key",
        shown: true,
        cell: |r| if r.key == 0 { Cell::None } else { Cell::Safe(format!("{:#010x}", r.key)) },
    },
    Column {
        name: "SHMID",
        about: "identifier of the segment",
        shown: true,
        cell: |r| r.segment.map_or(Cell::None, |id| Cell::Id(id as u64)),
    },
    Column {
        name: "SEMID",
        about: "identifier of the semaphore set",
        shown: true,
        cell: |r| r.set.map_or(Cell::None, |id| Cell::Id(id as u64)),
    },
];

/// Remove what dead processes left; -n only shows it
///
/// Removes channels that were never finished, channels that end with their last member and lost it to
/// a kill, and what is left of private channels. Prints what was removed. Kept channels stay: rm
/// removes those.
#[derive(Args, Debug)]
#[command(after_long_help = output::help("Columns", REAPED))]
pub struct Reap {
    /// Only print what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

impl Reap {
    pub fn run(self) -> Result<u8, Failure> {
        // Before anything is removed.
        self.format.choose(REAPED)?;
        let reaped = if self.dry_run { sysvring::reapable()? } else { sysvring::reap()? };
        if !reaped.is_empty() || self.format.json {
            self.format.print("reaped", REAPED, &reaped)?;
        }
        Ok(DONE)
    }
}

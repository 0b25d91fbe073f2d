//! `sysvring stat`: everything about one channel.

use std::io::Write;

use clap::Args;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::channel::Channel;
use crate::columns::CHANNEL;
use crate::failure::{DONE, Failure};
use crate::members::MEMBER;
use crate::output::cell::Cell;
use crate::output::style::{Tone, has_colour, paint};
use crate::output::{self, Format, json};

/// Show everything about one channel, without joining it: its state and its members
#[derive(Args, Debug)]
#[command(after_long_help = output::help("Columns of members, for -o", MEMBER))]
pub struct Stat {
    #[command(flatten)]
    channel: Channel,
    /// Print the members only, as a table
    #[arg(short, long)]
    members: bool,
    #[command(flatten)]
    format: Format,
}

impl Stat {
    pub fn run(self) -> Result<u8, Failure> {
        let stat = sysvring::stat(self.channel.address()?)?;
        let members = self.format.choose(MEMBER)?;
        let mut text = Vec::new();
        if self.format.json && self.members {
            let rows = json::Rows { columns: members, rows: &stat.members };
            json::write(&mut text, &json::Document { key: "members", value: rows })?;
        } else if self.format.json {
            let channel = Whole { stat: &stat, members };
            json::write(&mut text, &json::Document { key: "channel", value: channel })?;
        } else {
            if !self.members {
                self.describe(&stat, &mut text);
            }
            if !self.members && !stat.members.is_empty() {
                text.push(b'\n');
            }
            self.format.write(&mut text, &members, &stat.members);
        }
        output::print(&text)?;
        Ok(DONE)
    }

    /// Writes a line for each column of the channel. What is empty is left out.
    fn describe(&self, stat: &sysvring::Stat, text: &mut Vec<u8>) {
        let colour = has_colour();
        let width = CHANNEL.iter().map(|column| column.name.len()).max().unwrap_or(0);
        for column in CHANNEL {
            let cell = (column.cell)(stat);
            let shown = match &cell {
                Cell::Since(_) if !self.format.bytes => {
                    format!("{} ({} ago)", cell.exact(), cell.short())
                }
                cell => output::shown(cell, &self.format, colour),
            };
            if !shown.is_empty() {
                let name = format!("{:<width$}", column.name.to_lowercase());
                let _ = writeln!(text, "{}  {shown}", paint(&name, Tone::Heading, colour));
            }
        }
    }
}

/// A channel with its members, as one JSON object.
struct Whole<'a> {
    stat: &'a sysvring::Stat,
    members: Vec<&'a output::Column<sysvring::Member>>,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for column in CHANNEL {
            map.serialize_entry(&json::key(column.name), &(column.cell)(self.stat))?;
        }
        let members = json::Rows { columns: self.members.clone(), rows: &self.stat.members };
        map.serialize_entry("members", &members)?;
        map.end()
    }
}

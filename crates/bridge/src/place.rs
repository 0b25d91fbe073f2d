//! Where an outgoing route goes on in a broadcast channel.
//!
//! The channel keeps the place of a receiver that died for the next one of its label, but not of one that
//! left. So a bridge that leaves writes its place down; in other channels every message has one receiver,
//! and the place is that of the channel.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sysvring::broadcast::Start;
use sysvring::untyped::Receiver;
use sysvring::{Address, ChannelId, Error, Flavor, Options, Role, Stat};

use crate::state_file::{StateError, StateFile};

/// The place of one route, locked.
#[derive(Debug)]
pub struct Place {
    file: StateFile,
    left: Option<(ChannelId, u64)>,
}

impl Place {
    /// Opens the place of a route in a folder.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(directory: &Path, route: &str) -> Result<Place, StateError> {
        let file = StateFile::open(directory, &format!("out-{route}.place"))?;
        let mut text = String::new();
        (&*file.file).read_to_string(&mut text).map_err(|error| file.failed(error))?;
        let left = match text.trim() {
            "" => None,
            text => Some(parse(text).ok_or_else(|| file.foreign())?),
        };
        Ok(Place { file, left })
    }

    /// Returns the options of a receiver that goes on where the one before it left.
    ///
    /// # Errors
    /// Those of a look at the channel.
    pub fn options(
        &self,
        options: Options,
        channel: &Address,
        label: &str,
    ) -> Result<Options, Error> {
        let stat = sysvring::stat(channel.clone())?;
        let start = self.left.filter(|(id, _)| stat.id == *id && stat.flavor == Flavor::Broadcast);
        Ok(match start {
            Some((_, position)) if !has_died(&stat, label) => {
                options.start(Start::Position(position))
            }
            _ => options,
        })
    }

    /// Writes down where a receiver is that is to leave.
    ///
    /// # Errors
    /// [`StateError::Io`]; the next receiver starts further back then, and finds what is stored.
    pub fn keep(&mut self, receiver: &Receiver, label: &str) -> Result<(), StateError> {
        if receiver.flavor() != Flavor::Broadcast {
            return Ok(());
        }
        let Some(position) = receiver.stat().ok().and_then(|stat| position(&stat, label)) else {
            return Ok(());
        };
        // The new text covers an older one: a position only grows in one channel.
        let text = format!("{:<80}\n", format!("{} {position}", receiver.id()));
        self.left = Some((receiver.id(), position));
        self.file.file.write_all_at(text.as_bytes(), 0).map_err(|error| self.file.failed(error))
    }
}

fn parse(text: &str) -> Option<(ChannelId, u64)> {
    let (id, position) = text.split_once(' ')?;
    Some((id.parse().ok()?, position.parse().ok()?))
}

/// Returns whether the channel keeps the place of a receiver of this label.
fn has_died(stat: &Stat, label: &str) -> bool {
    let is_it = |member: &sysvring::Member| {
        member.role == Role::Receiver && !member.alive && !member.left && member.label == label
    };
    stat.members.iter().any(is_it)
}

/// Returns the position of the receiver of this process with that label, which is one.
fn position(stat: &Stat, label: &str) -> Option<u64> {
    let pid = std::process::id();
    let is_it = |member: &&sysvring::Member| {
        member.role == Role::Receiver && member.alive && member.pid == pid && member.label == label
    };
    stat.members.iter().find(is_it).map(|member| member.position)
}

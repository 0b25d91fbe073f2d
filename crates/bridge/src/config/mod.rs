//! The routes file: what is carried where.

mod address;
mod error;
mod file;
mod server;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sysvring::Address;

pub use self::error::ConfigError;
pub use self::server::{Login, Secret, Server, Tls};

/// A routes file that was read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server, and how to log in there.
    pub server: Server,
    /// The routes from channels to subjects.
    pub outs: Vec<OutRoute>,
    /// The routes from subjects to channels.
    pub ins: Vec<InRoute>,
    /// The folder in which the bridge keeps its records.
    pub state: PathBuf,
}

/// A route from a channel to a subject.
#[derive(Clone, Debug)]
pub struct OutRoute {
    /// The name of the route.
    pub name: String,
    /// The channel.
    pub channel: Address,
    /// The subject to which its messages are published.
    pub subject: String,
    /// The stream that stores them; `None` for whichever takes the subject.
    pub stream: Option<String>,
    /// Messages that may be published and not acknowledged.
    pub in_flight: usize,
    /// What holds for the order of messages after a publish that failed.
    pub order: Order,
    /// The label of the bridge in the channel.
    pub label: String,
}

/// A route from a subject to a channel.
#[derive(Clone, Debug)]
pub struct InRoute {
    /// The name of the route.
    pub name: String,
    /// The stream from which messages come.
    pub stream: String,
    /// The subject of the messages; `None` for all of the stream.
    pub subject: Option<String>,
    /// The name of the durable consumer.
    pub consumer: String,
    /// The channel.
    pub channel: Address,
    /// Messages that may be delivered and not acknowledged.
    pub in_flight: usize,
    /// The subject for messages that the channel cannot take.
    pub reject_to: Option<String>,
    /// The label of the bridge in the channel.
    pub label: String,
}

/// The order of messages in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// That of the channel, always.
    #[default]
    Strict,
    /// That of the channel, but a message whose publish failed comes after later ones.
    Relaxed,
}

impl Config {
    /// Reads a routes file.
    ///
    /// # Errors
    /// [`ConfigError`], with the line if the text is wrong.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        Config::parse(&text).map_err(|problem| problem.in_file(path))
    }
}

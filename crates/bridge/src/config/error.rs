//! What is wrong with a routes file.

use std::path::{Path, PathBuf};

/// The reason why a routes file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}; give the path of a routes file", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not TOML, or has other fields than a routes file.
    #[error("{path}: {message}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        message: String,
    },
    /// A value cannot be used.
    #[error("{path}, line {line}: {message}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1; that of the head of the table.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
}

/// What is wrong with a text that is not known to be of a file.
#[derive(Debug)]
pub(super) enum Problem {
    Syntax(String),
    Value { line: usize, message: String },
}

impl Problem {
    pub(super) fn in_file(self, path: &Path) -> ConfigError {
        let path = path.into();
        match self {
            Problem::Syntax(message) => ConfigError::Syntax { path, message },
            Problem::Value { line, message } => ConfigError::Value { path, line, message },
        }
    }
}

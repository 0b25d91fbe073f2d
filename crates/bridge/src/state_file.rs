//! The file of a route in the state directory, locked so that one bridge at a time runs the route.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The reason why the file of a route cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another bridge has the route.
    #[error("another bridge runs this route: it has locked {path}; this one waits until it ends",
            path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a record of this version; remove it when no bridge needs it",
            path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A call failed.
    #[error("{path}: {source}; the state directory must be writable for this user",
            path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An open file and its lock.
#[derive(Debug)]
pub struct StateFile {
    /// Where it is.
    pub path: PathBuf,
    /// The file.
    pub file: Flock<File>,
}

impl StateFile {
    /// Opens and locks a file in a folder. Both are made if they do not exist.
    ///
    /// # Errors
    /// [`StateError::Locked`] or [`StateError::Io`].
    pub fn open(directory: &Path, name: &str) -> Result<StateFile, StateError> {
        let path = directory.join(name);
        let failed = |source| StateError::Io { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(StateFile { path, file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(StateError::Locked { path }),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }

    /// Returns the error of a call on the file.
    pub fn failed(&self, source: io::Error) -> StateError {
        StateError::Io { path: self.path.clone(), source }
    }

    /// Returns the error for contents of another kind.
    pub fn foreign(&self) -> StateError {
        StateError::Foreign { path: self.path.clone() }
    }
}

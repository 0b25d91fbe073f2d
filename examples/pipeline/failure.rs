//! What can go wrong, as a sentence for the user; and how a stage tells its supervisor by its exit
//! code.

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

use sysvring::{Error, Fault, RecvError, SendError};

/// Something failed, and a sentence says what.
pub const FAILED: u8 = 1;
/// A neighbour in the pipeline is gone; the supervisor knows better what happened to it.
pub const PEER_GONE: u8 = 3;
/// The supervisor closed the standard input, or died.
pub const STOPPED: u8 = 4;
/// The count is not what plain code counts.
pub const DIFFERS: u8 = 5;

/// Why a process of the pipeline cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// To be printed.
    Sentence(String),
    /// The cause is elsewhere.
    PeerGone,
}

impl Failure {
    /// Prints it, if there is anything to say that nobody else says.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::Sentence(sentence) => {
                eprintln!("pipeline: {sentence}");
                ExitCode::from(FAILED)
            }
            Failure::PeerGone => ExitCode::from(PEER_GONE),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Sentence(sentence) => f.write_str(sentence),
            Failure::PeerGone => f.write_str("a neighbouring stage is gone"),
        }
    }
}

/// For `map_err`: "cannot read x: permission denied".
pub fn cannot(what: impl Display) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::Sentence(format!("cannot {what}: {error}"))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            // The supervisor removes the channels to stop everybody.
            Error::NotFound { .. }
            | Error::Fault(Fault::Removed)
            | Error::Send(SendError::Disconnected | SendError::Fault(Fault::Removed))
            | Error::Recv(RecvError::Disconnected | RecvError::Fault(Fault::Removed)) => {
                Failure::PeerGone
            }
            other => Failure::Sentence(other.to_string()),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        Error::from(error).into()
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Failure {
        Error::from(error).into()
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Error::from(fault).into()
    }
}

//! Why a command failed: the sentence on stderr, and the exit code.

use sysvring::{Error, RecvError, SendError};

use crate::remedy;

/// Everything was done.
pub const DONE: u8 = 0;
/// The command failed, or found something: `doctor` a problem, `rm` a missing channel.
pub const FAILED: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// `recv` received everything, but a sender was killed before it had sent everything.
pub const SENDER_KILLED: u8 = 3;
/// `recv` received everything that was left, but messages had been overwritten before.
pub const MISSED: u8 = 4;
/// The time given with `--timeout` was over, as for timeout(1).
pub const TIMED_OUT: u8 = 124;

/// The exit codes, for the help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; `doctor`: something needs attention
  2    the command line is wrong, or does not fit the channel
  3    `recv`: a sender was killed, and what it had sent was received
  4    `recv`: messages were overwritten before it received them (broadcast), the rest was received
  124  timed out (--timeout)
  130, 143  ended by Ctrl-C or SIGTERM, after what was begun was finished";

/// A failure: a sentence that says what to do, and the exit code.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub text: String,
}

impl Failure {
    /// Returns a failure of the usual code.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { code: FAILED, text: text.into() }
    }

    /// Returns a failure of a command line that cannot be carried out.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure { code: USAGE, text: text.into() }
    }

    /// Returns a failure with the error that caused it, and the errors that caused that one.
    pub fn because(what: &str, error: &dyn std::error::Error) -> Failure {
        let mut text = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            // Some errors repeat what caused them.
            let why = error.to_string();
            if !text.ends_with(&why) {
                text += &format!(": {why}");
            }
            cause = error.source();
        }
        Failure::new(text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = match error {
            // All options, names and keys come from the command line.
            Error::InvalidOption { .. } => USAGE,
            _ => FAILED,
        };
        Failure { code, text: remedy::of(&error) }
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Failure {
        let code = match error {
            RecvError::Timeout | RecvError::Blocked { .. } => TIMED_OUT,
            _ => FAILED,
        };
        Failure { code, text: remedy::of(&error.into()) }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        let code = match error {
            SendError::Timeout | SendError::Blocked { .. } => TIMED_OUT,
            _ => FAILED,
        };
        Failure { code, text: remedy::of(&error.into()) }
    }
}

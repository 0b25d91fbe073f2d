//! The texts of errors: what is wrong, and, behind a semicolon, what to do.

use core::fmt;
use std::io;

use super::{Error, Printable, permissions};
use crate::sysv::Errno;

/// Returns whether the text of an address is that of an identifier: names are in quotes, and those of
/// keys and files have another form.
fn is_identifier(channel: &str) -> bool {
    channel.split_once(':').is_some_and(|(segment, nonce)| {
        segment.parse::<i32>().is_ok() && u32::from_str_radix(nonce, 16).is_ok()
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidOption { channel: None, option, reason } => {
                write!(f, "{option}: {reason}")
            }
            Error::InvalidOption { channel: Some(channel), option, reason } => {
                write!(f, "channel {channel}: {option}: {reason}")
            }
            Error::NotFound { channel } if is_identifier(channel) => write!(
                f,
                "the channel of the identifier {channel} does not exist any more and does not come \
                 back; ask its creator for the identifier of a new one"
            ),
            // The name belongs to another user.
            Error::NotFound { channel } if channel.contains("\" of user ") => write!(
                f,
                "channel {channel} does not exist, and only that user can create it; start its \
                 creator"
            ),
            // A name without a user was looked up among those of the calling user.
            Error::NotFound { channel } if channel.ends_with('"') => write!(
                f,
                "channel {channel} does not exist for this user; start its creator, use open() \
                 instead of attach(), or set Options::owner"
            ),
            Error::NotFound { channel } => write!(
                f,
                "channel {channel} does not exist; start its creator, or use open() instead of \
                 attach()"
            ),
            Error::AlreadyExists { channel } => {
                write!(f, "channel {channel} already exists; open it, or remove it first")
            }
            Error::ForeignObject { channel, what } => write!(
                f,
                "{channel} is not a sysvring channel ({what}); choose another key or name"
            ),
            Error::Busy { channel, pid: 0 } => write!(
                f,
                "timed out: another process is creating, joining or removing channel {channel}; if \
                 it is stopped, resume or kill it, then try again"
            ),
            Error::Busy { channel, pid } => write!(
                f,
                "timed out: process {pid} is creating, joining or removing channel {channel}; if \
                 it is stopped, resume or kill it, then try again"
            ),
            Error::PermissionDenied { channel, call, permissions } => {
                write!(f, "{call} denied for channel {channel}")?;
                permissions::explain(f, *permissions, call.ends_with("(IPC_RMID)"))
            }
            Error::CallRefused { channel, call, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "{call} failed for channel {channel}: {error}: ")?;
                f.write_str(match Errno(*errno) {
                    Errno::ENOSYS => {
                        "this kernel lacks the call, or a sandbox (seccomp) refuses it; allow it \
                         there, or use another kernel"
                    }
                    _ => {
                        "a sandbox (seccomp, the profile of a container) or a security module \
                         refuses the call; allow it there"
                    }
                })
            }
            Error::SetRemoved { channel, owner } => write!(
                f,
                "the semaphore set of channel {channel} was removed; its owner, user {owner}, or \
                 root must open the channel once to create another"
            ),
            Error::ForeignOwner { channel, object, owner, expected } if owner == expected => {
                write!(
                    f,
                    "the {object} of channel {channel} belongs to user {owner}, the overflow uid \
                     of all users without a mapping in this user namespace; map them, or choose a \
                     key instead of a name"
                )
            }
            Error::ForeignOwner { channel, object, owner, expected } => write!(
                f,
                "the {object} of channel {channel} belongs to or was created by user {owner}, not \
                 user {expected}; let user {owner} open or remove it, or choose another name or key"
            ),
            Error::SeatTaken { channel, role, pid: 0 } => write!(
                f,
                "a process in another PID namespace is the {role} of channel {channel}; wait for \
                 it to exit, or end it"
            ),
            Error::SeatTaken { channel, role, pid } if *pid == std::process::id() => write!(
                f,
                "this process ({pid}) is already the {role} of channel {channel}; use the existing \
                 handle, or close it first"
            ),
            Error::SeatTaken { channel, role, pid } => write!(
                f,
                "process {pid} is the {role} of channel {channel}; wait for it to exit, or end it"
            ),
            Error::NoSeat { channel, seats } => write!(
                f,
                "channel {channel} is at its limit of {seats} members; close one, or recreate the \
                 channel with a larger `max_members`"
            ),
            Error::NameCollision { wanted, found } => write!(
                f,
                "channel names {wanted:?} and {found:?} hash to the same System V key; rename one \
                 of them"
            ),
            Error::LayoutVersion { channel, expected, found } => write!(
                f,
                "channel {channel} has layout version {found}, but this build supports {expected}; \
                 build both sides with the same sysvring version, or remove the channel"
            ),
            Error::TypeMismatch { channel, expected, found } => write!(
                f,
                "channel {channel} has another kind or message type: expected {}, found {}; build both \
                 programs with the same declaration of the type, or drain and remove the channel to \
                 change its type",
                Printable(expected),
                Printable(found)
            ),
            Error::OptionMismatch { channel, option: "mode", expected, found } => write!(
                f,
                "channel {channel} has mode = {found}, not {expected}: it lets others in whom this \
                 program would keep out; leave the option unset to accept that, or remove the channel"
            ),
            Error::OptionMismatch { channel, option, expected, found } => write!(
                f,
                "channel {channel} has {option} = {}, not {}; leave the option unset to accept it, \
                 or remove the channel",
                Printable(found),
                Printable(expected)
            ),
            Error::Truncated { channel, expected, found } => write!(
                f,
                "the segment of channel {channel} is {found} bytes long, but its header requires \
                 {expected}; remove the channel"
            ),
            Error::Corrupt { channel, what } => write!(
                f,
                "channel {channel} is corrupt: {what}; remove it, and check which processes can \
                 write to it"
            ),
            Error::Limit { channel, call, errno, advice } => write!(
                f,
                "{call} failed for channel {channel}: {}; {advice}",
                io::Error::from_raw_os_error(*errno)
            ),
            Error::InWaitSet { channel } => write!(
                f,
                "the handle of channel {channel} is in a wait set or has a Readiness already, or a \
                 task waits for it; remove it there first, or let the task end"
            ),
            Error::SemUndoUnsupported { channel } => write!(
                f,
                "this kernel ignores SEM_UNDO (as gVisor does), so crashes in channel {channel} \
                 could not be detected; use a standard Linux kernel"
            ),
            Error::System { call, channel, source } => write!(
                f,
                "{call} failed for channel {channel}: {source}; look it up in the man page of the \
                 call"
            ),
            Error::Fault(e) => e.fmt(f),
            Error::Send(e) => e.fmt(f),
            Error::Recv(e) => e.fmt(f),
            Error::Batch(e) => e.fmt(f),
        }
    }
}

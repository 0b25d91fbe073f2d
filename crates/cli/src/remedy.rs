//! The library's errors for a user of this command: the library's sentence about what is wrong, and
//! a command or an option as the remedy, instead of a call.

use sysvring::{
    DeadLetterFailure, Defect, Error, Fault, IpcObject, RecvError, SendError, Unusable,
};

/// Returns the text of an error.
pub fn of(error: &Error) -> String {
    if let Error::Recv(RecvError::NotMoved { reason }) = error {
        return format!("a message could not be moved: {}", of_dead_letter(*reason));
    }
    if let Error::InvalidOption { channel, option, reason } = error {
        return match (channel, *option) {
            (Some(channel), "lifetime") => {
                let text = format!("channel {channel}: {}", what(reason));
                format!("{text}; {FORCED_REMOVAL}")
            }
            _ => invalid(option, reason),
        };
    }
    replaced(&error.to_string(), instead(error))
}

/// Returns what is wrong with a segment or a set, and what to do about it.
pub fn of_unusable(Unusable { object, defect, .. }: &Unusable) -> (String, String) {
    let remove = match (object, object.key()) {
        (IpcObject::Set(stat), 0) => format!("remove it with `ipcrm -s {}`", stat.id),
        (object, 0) => format!("remove it with `ipcrm -m {}`", object.id()),
        (_, key) => format!("remove it with `sysvring rm key:{key:#010x}`"),
    };
    let instead = match defect {
        Defect::Incomplete | Defect::NoSegment => {
            Some("`sysvring reap` removes it if no process uses it".into())
        }
        Defect::LayoutVersion { .. } => {
            Some(format!("use the sysvring version that created it, or {remove}"))
        }
        Defect::Truncated { .. } => Some(remove),
        Defect::Corrupt { .. } => {
            Some(format!("{remove}, and check which processes can write to it"))
        }
        _ => None,
    };
    let text = replaced(&defect.to_string(), instead);
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, ""));
    (what.into(), remedy.into())
}

/// Returns why a message could not be moved to the dead-letter channel.
pub fn of_dead_letter(failure: DeadLetterFailure) -> String {
    let instead = match failure {
        DeadLetterFailure::Full => "receive from it, such as with `sysvring recv`",
        DeadLetterFailure::TooLong => {
            "remove it with `sysvring rm`: the next receiver creates it with longer slots"
        }
        DeadLetterFailure::PermissionDenied => "let its owner receive the messages, or remove it",
        DeadLetterFailure::NoSeat => "end one of its members; `sysvring stat -m` shows them",
        _ => "`sysvring stat` shows what it is",
    };
    replaced(&failure.to_string(), Some(instead.into()))
}

/// Returns a sentence of the library with another remedy, which comes last, behind a semicolon.
fn replaced(text: &str, remedy: Option<String>) -> String {
    match (remedy, text.rsplit_once("; ")) {
        (Some(remedy), Some((what, _))) => format!("{what}; {remedy}"),
        // In the advice on limits.
        _ => text.replace("sysvring::reap()", "`sysvring reap`"),
    }
}

/// Where the kernel removes kept channels, and therefore none is created.
const FORCED_REMOVAL: &str = "set it to 0 (`sysctl -w kernel.shm_rmid_forced=0`), or create the channel \
     as one that ends with its last member (`send` and `recv`: --temporary)";

/// Returns a sentence without its remedy.
fn what(text: &str) -> &str {
    text.rsplit_once("; ").map_or(text, |(what, _)| what)
}

/// Returns the text for an option, a name or a key that cannot be used.
fn invalid(option: &str, reason: &str) -> String {
    match option {
        "capacity" => format!("--capacity: {reason}"),
        "slot_size" => format!("--message-size: {reason}"),
        "key" => replaced(
            &format!("{option}: {reason}"),
            Some("`sysvring ls -o +KEY` shows the keys that are in use".into()),
        ),
        _ => format!("{option}: {reason}"),
    }
}

/// The remedy for a segment into which another program has written.
const CORRUPT: &str =
    "remove the channel with `sysvring rm`, and check which processes can write to it";

/// Returns the remedy, where the library's own is a call or one of its options.
fn instead(error: &Error) -> Option<String> {
    let again = "run the command again";
    let remedy = match error {
        Error::NotFound { channel } if channel.contains("\" of user ") => {
            "`sysvring ls` shows the channels that there are".into()
        }
        Error::NotFound { channel } if channel.ends_with('"') => {
            "`sysvring ls` shows the channels that there are; USER/NAME is one of another user"
                .into()
        }
        Error::NotFound { .. } => "`sysvring ls` shows the channels that there are".into(),
        Error::AlreadyExists { .. } => "use it, or remove it with `sysvring rm`".into(),
        Error::ForeignOwner { owner, expected, .. } if owner != expected => {
            format!("let user {owner} remove it, or choose another name or key")
        }
        Error::SetRemoved { owner, .. } => format!(
            "let its owner, user {owner}, or root open it once, such as with `sysvring recv`"
        ),
        Error::SeatTaken { .. } => "wait for it to exit, or end it".into(),
        Error::NoSeat { .. } => "end one of them; `sysvring stat -m` shows them".into(),
        Error::LayoutVersion { .. } => {
            "use the sysvring of that version, or remove the channel with `sysvring rm`".into()
        }
        Error::TypeMismatch { .. } | Error::OptionMismatch { .. } | Error::Truncated { .. } => {
            "remove the channel with `sysvring rm` if no program needs it".into()
        }
        Error::Corrupt { .. } => CORRUPT.into(),
        Error::Fault(fault) | Error::Send(SendError::Fault(fault)) => return of_fault(fault),
        Error::Recv(RecvError::Fault(fault)) => return of_fault(fault),
        Error::Send(SendError::TooLong { len, .. }) => format!(
            "split it, or remove the channel and create it with --message-size {}",
            len.next_power_of_two()
        ),
        Error::Send(SendError::Disconnected) => "start a receiver, such as `sysvring recv`".into(),
        Error::Recv(RecvError::Disconnected) => "start a sender, such as `sysvring send`".into(),
        Error::Send(SendError::Interrupted) | Error::Recv(RecvError::Interrupted) => again.into(),
        _ => return None,
    };
    Some(remedy)
}

fn of_fault(fault: &Fault) -> Option<String> {
    let remedy = match fault {
        Fault::Corrupt { .. } => CORRUPT,
        _ => "run the command again",
    };
    Some(remedy.into())
}

//! The texts of all errors.

use super::*;
use crate::sysv::process;

/// All reasons why a task cannot wait.
const FAILURES: [RegistrationFailure; 2] =
    [RegistrationFailure::InWaitSet, RegistrationFailure::System { call: "mq_open", errno: 28 }];

/// Why a value is not serialised, or bytes are none.
const VALUE_FAILURES: [ValueFailure; 12] = [
    ValueFailure::Refused,
    ValueFailure::UnknownLength,
    ValueFailure::Unsupported,
    ValueFailure::UnexpectedEnd,
    ValueFailure::TrailingBytes,
    ValueFailure::InvalidNumber,
    ValueFailure::InvalidBool,
    ValueFailure::InvalidChar,
    ValueFailure::InvalidUtf8,
    ValueFailure::InvalidOption,
    ValueFailure::InvalidVariant,
    ValueFailure::InvalidEncoding,
];

/// A segment of a user, and read permission for a group.
const GROUP: Option<Permissions> =
    Some(Permissions { object: "segment", uid: 1001, gid: 100, mode: 0o640 });

/// All faults.
fn faults() -> Vec<Fault> {
    let all = vec![
        Fault::Removed,
        Fault::Corrupt { what: "an invalid slot state" },
        Fault::Forked,
        Fault::LivenessLost,
        Fault::PermissionLost,
        Fault::Closed,
        Fault::System { call: "semtimedop", errno: 13 },
        Fault::System { call: "semtimedop", errno: 1 },
        Fault::System { call: "semtimedop", errno: 12 },
    ];
    for fault in &all {
        // Does not compile while a new variant is missing above.
        match fault {
            Fault::Removed
            | Fault::Corrupt { .. }
            | Fault::Forked
            | Fault::LivenessLost
            | Fault::PermissionLost
            | Fault::Closed
            | Fault::System { .. } => {}
        }
    }
    all
}

fn send_errors() -> Vec<SendError> {
    let too_long = SendError::TooLong { len: 11, max: 10 };
    let mut all = vec![SendError::Full, SendError::Timeout, SendError::Disconnected, too_long];
    all.extend([77, 0].map(|pid| SendError::Blocked { pid }));
    all.extend([(24, 0), (0, 4), (24, 4), (0, 0)].map(|(size, element)| SendError::WrongLength {
        len: 77,
        size,
        element,
    }));
    all.push(SendError::Interrupted);
    all.extend([77, 0].map(|pid| SendError::Behind { pid }));
    all.extend(FAILURES.map(|reason| SendError::NotRegistered { reason }));
    all.extend(VALUE_FAILURES.map(|reason| SendError::NotSerialized { reason }));
    all.extend(faults().into_iter().map(SendError::Fault));
    for error in &all {
        match error {
            SendError::Full
            | SendError::Timeout
            | SendError::Interrupted
            | SendError::Disconnected
            | SendError::Blocked { .. }
            | SendError::Behind { .. }
            | SendError::TooLong { .. }
            | SendError::WrongLength { .. }
            | SendError::NotSerialized { .. }
            | SendError::NotRegistered { .. }
            | SendError::Fault(_) => {}
        }
    }
    all
}

fn recv_errors() -> Vec<RecvError> {
    let invalid = RecvError::Invalid { position: 77 };
    let mut all = vec![RecvError::Empty, RecvError::Timeout, RecvError::Disconnected, invalid];
    all.extend([77, 0].map(|pid| RecvError::Blocked { pid }));
    let failures = (0..9).filter_map(DeadLetterFailure::from_number);
    all.extend(failures.map(|reason| RecvError::NotMoved { reason }));
    all.push(RecvError::Interrupted);
    all.extend([1, 77].map(|messages| RecvError::Lagged { messages }));
    all.extend([77, 0].map(|pid| RecvError::Behind { pid }));
    all.extend(FAILURES.map(|reason| RecvError::NotRegistered { reason }));
    let causes = VALUE_FAILURES.map(|reason| ValueError { offset: 33, reason });
    all.extend(causes.map(|cause| RecvError::NotDeserialized { position: 77, cause }));
    all.extend(faults().into_iter().map(RecvError::Fault));
    for error in &all {
        match error {
            RecvError::Empty
            | RecvError::Timeout
            | RecvError::Interrupted
            | RecvError::Disconnected
            | RecvError::Blocked { .. }
            | RecvError::Behind { .. }
            | RecvError::Invalid { .. }
            | RecvError::Lagged { .. }
            | RecvError::NotMoved { .. }
            | RecvError::NotDeserialized { .. }
            | RecvError::NotRegistered { .. }
            | RecvError::Fault(_) => {}
        }
    }
    all
}

fn errors() -> Vec<Error> {
    let channel = || "\"ticks\"".to_owned();
    let text = |text: &str| text.to_owned();
    let mut all = vec![
        Error::InvalidOption {
            channel: None,
            option: "capacity",
            reason: text("0 slots; it must be at least 1"),
        },
        Error::InvalidOption {
            channel: Some(channel()),
            option: "capacity",
            reason: text("0 slots; it must be at least 1"),
        },
        Error::NotFound { channel: channel() },
        Error::NotFound { channel: text("32769:0badcafe") },
        Error::NotFound { channel: text("\"ticks\" of user 77") },
        Error::AlreadyExists { channel: channel() },
        Error::ForeignObject { channel: channel(), what: text("its magic number is missing") },
        Error::Busy { channel: channel(), pid: 0 },
        Error::Busy { channel: channel(), pid: 77 },
        Error::PermissionDenied { channel: channel(), call: "shmat", permissions: None },
        Error::PermissionDenied { channel: channel(), call: "shmat", permissions: GROUP },
        Error::PermissionDenied { channel: channel(), call: "shmctl(IPC_RMID)", permissions: None },
        Error::CallRefused { channel: channel(), call: "semtimedop", errno: 1 },
        Error::CallRefused { channel: channel(), call: "semtimedop", errno: 38 },
        Error::Corrupt { channel: channel(), what: "invalid geometry" },
        Error::ForeignOwner { channel: channel(), object: "set", owner: 77, expected: 78 },
        Error::ForeignOwner { channel: channel(), object: "set", owner: 77, expected: 77 },
        Error::SetRemoved { channel: channel(), owner: 77 },
        Error::SeatTaken { channel: channel(), role: "sender", pid: 77 },
        Error::SeatTaken { channel: channel(), role: "sender", pid: 0 },
        Error::SeatTaken { channel: channel(), role: "sender", pid: std::process::id() },
        Error::NoSeat { channel: channel(), seats: 64 },
        Error::NameCollision { wanted: text("ticks"), found: text("tocks") },
        Error::LayoutVersion { channel: channel(), expected: 1, found: 77 },
        Error::TypeMismatch {
            channel: channel(),
            expected: text("8 bytes"),
            found: text("77 bytes"),
        },
        Error::OptionMismatch {
            channel: channel(),
            option: "capacity",
            expected: text("8"),
            found: text("77"),
        },
        Error::Truncated { channel: channel(), expected: 4096, found: 77 },
        Error::Limit {
            channel: channel(),
            call: "semget",
            errno: 28,
            advice: text("raise SEMMNI"),
        },
        Error::InWaitSet { channel: channel() },
        Error::SemUndoUnsupported { channel: channel() },
        Error::System {
            call: "semtimedop",
            channel: channel(),
            source: io::Error::from_raw_os_error(22),
        },
    ];
    all.extend(faults().into_iter().map(Error::from));
    all.extend(send_errors().into_iter().map(Error::from));
    all.extend(recv_errors().into_iter().map(Error::from));
    all.extend(send_errors().into_iter().map(|error| BatchError { sent: 3, error }.into()));
    for error in &all {
        match error {
            Error::InvalidOption { .. }
            | Error::NotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::ForeignObject { .. }
            | Error::Busy { .. }
            | Error::PermissionDenied { .. }
            | Error::CallRefused { .. }
            | Error::Corrupt { .. }
            | Error::ForeignOwner { .. }
            | Error::SetRemoved { .. }
            | Error::SeatTaken { .. }
            | Error::NoSeat { .. }
            | Error::NameCollision { .. }
            | Error::LayoutVersion { .. }
            | Error::TypeMismatch { .. }
            | Error::OptionMismatch { .. }
            | Error::Truncated { .. }
            | Error::Limit { .. }
            | Error::InWaitSet { .. }
            | Error::SemUndoUnsupported { .. }
            | Error::System { .. }
            | Error::Fault(_)
            | Error::Send(_)
            | Error::Recv(_)
            | Error::Batch(_) => {}
        }
    }
    all
}

/// Each text states what is wrong and, after a semicolon, what to do.
#[test]
fn every_error_says_what_to_do() {
    for error in errors() {
        let text = error.to_string();
        let (what, advice) = text.rsplit_once("; ").unwrap_or_default();
        assert!(what.len() > 9 && advice.len() > 8, "{error:?}: {text:?}");
        assert!(!text.contains(['\n', '{', '}']) && !text.ends_with('.'), "{text:?}");
        assert!(!text.contains("process 0"), "{text:?}");
    }
}

/// The text of an error contains each of its numbers and names.
#[test]
fn every_error_says_what_it_knows() {
    let numbers = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_ascii_digit());
        parts.filter(|part| !part.is_empty() && *part != "0").map(str::to_owned).collect()
    };
    for error in errors() {
        let (text, debug) = (error.to_string(), format!("{error:?}"));
        for number in numbers(&debug) {
            assert!(text.contains(&number), "{number} of {debug} is not in {text:?}");
        }
        let is_of_channel = debug.contains("channel: \"") || debug.contains("channel: Some(");
        let names_none = debug.contains("32769:0badcafe");
        assert!(!is_of_channel || names_none || debug.contains("ticks"), "{debug}");
        if debug.contains("ticks") {
            assert!(text.contains("ticks"), "{text:?}");
        }
    }
}

/// Advice that would be wrong in another case of the same error.
#[test]
fn advice_fits_the_case() {
    let channel = || "\"ticks\"".to_owned();
    let advises = |error: Error, what: &str| {
        let text = error.to_string();
        assert!(text.contains(what), "{what:?} is not in {text:?}");
    };
    // Whatever the mode, other users cannot remove a channel.
    let denied =
        |call, permissions| Error::PermissionDenied { channel: channel(), call, permissions };
    advises(denied("semctl(IPC_RMID)", None), "only its owner");
    advises(denied("semctl(IPC_RMID)", GROUP), "only its owner, user 1001");
    advises(denied("shmat", None), "ask the owner to change the mode");
    let lets = "the mode 0640 of its segment lets its owner, user 1001, read and write, group 100 \
                read only, and others do nothing; this process is user ";
    advises(denied("shmat", GROUP), lets);
    advises(denied("shmat", GROUP), "; ask user 1001 for another mode");
    // A group that may only read is no help, one that may write is.
    assert!(!denied("shmat", GROUP).to_string().contains("join group"));
    let shared = GROUP.map(|group| Permissions { mode: 0o660, ..group });
    advises(denied("shmat", shared), "or join group 100");
    // An owner is not sent to itself.
    let own = GROUP.map(|group| Permissions { uid: process::euid(), mode: 0o400, ..group });
    advises(denied("shmat", own), "restore the mode");
    // Nobody is to change a mode that permits the call.
    let open = GROUP.map(|group| Permissions { mode: 0o666, ..group });
    advises(denied("shmat", open), "a security module");
    // The mode of a channel is not the reason, and its owner not the remedy.
    let refused = Error::CallRefused { channel: channel(), call: "shmat", errno: 1 };
    advises(refused, "sandbox (seccomp");
    // No call brings the channel of an identifier back.
    let gone = Error::NotFound { channel: "32769:0badcafe".into() };
    assert!(!gone.to_string().contains("open()"), "{gone}");
    advises(gone, "the identifier of a new one");
    for name in ["\"1:2\"", "0x00000012", "/srv/1:2, project 3"] {
        advises(Error::NotFound { channel: name.into() }, "does not exist");
    }
    // The peer may be absent, not slow.
    for error in
        [SendError::Timeout.into(), SendError::Full.into(), Error::from(RecvError::Timeout)]
    {
        advises(error, "start one if there is none");
    }
    // A process is not advised to stop itself.
    let taken = |pid| Error::SeatTaken { channel: channel(), role: "sender", pid };
    advises(taken(std::process::id()), "close it first");
    advises(taken(std::process::id() + 1), "end it");
    // The channel may be another user's, under the same name.
    advises(Error::NotFound { channel: channel() }, "Options::owner");
    let of_another = Error::NotFound { channel: format!("{} of user 77", channel()) };
    assert!(!of_another.to_string().contains("Options::owner"), "{of_another}");
}

#[test]
fn sources_are_kept() {
    use std::error::Error as _;
    let with = |error: &Error| error.source().is_some();
    let source = io::Error::from_raw_os_error(22);
    assert!(with(&Error::System { call: "semtimedop", channel: "any".into(), source }));
    let batch = BatchError { sent: 3, error: SendError::Full };
    assert_eq!(batch.source().map(ToString::to_string), Some(SendError::Full.to_string()));
    // The text of the outer error already contains that of the inner one.
    assert!(!with(&Error::Batch(batch)) && !with(&Error::Fault(Fault::Removed)));
}

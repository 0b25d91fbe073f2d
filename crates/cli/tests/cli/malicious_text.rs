//! Texts that other users wrote into a segment: no command hands them to a terminal.

use sysvring::{Lifetime, mpmc};
use sysvring_support::malicious_text::{HARMLESS, TEXTS, assert_visible, write};
use sysvring_support::raw_ipc::Segment;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Run, Running, run, until_member};

/// Every command that shows something of channels, with the channel's identifier for `CHANNEL`, and
/// the text itself for `NAME`.
const COMMANDS: &[&[&str]] = &[
    &["ls"],
    &["ls", "-r"],
    &["ls", "-J"],
    &["ls", "-o", "+ID,DEAD-LETTER-CHANNEL"],
    &["ls", "-r", "-o", "+ID,DEAD-LETTER-CHANNEL"],
    &["stat", "CHANNEL"],
    &["stat", "-J", "CHANNEL"],
    &["stat", "-r", "CHANNEL"],
    &["stat", "-m", "CHANNEL"],
    &["stat", "-r", "-m", "CHANNEL"],
    &["stat", "-J", "-m", "CHANNEL"],
    &["metrics"],
    &["doctor"],
    &["doctor", "-J"],
    &["reap", "-n"],
    &["rm", "CHANNEL"],
    &["recv", "--timeout", "10ms", "--no-create", "CHANNEL"],
    &["wait", "--timeout", "10ms", "--no-such-option", "CHANNEL"],
    &["stat", "NAME"],
    &["rm", "NAME"],
    &["stat", "key:NAME"],
    &["stat", "id:NAME"],
    &["stat", "file:NAME:7"],
    &["stat", "NAME/NAME"],
    &["replay", "NAME"],
    #[cfg(feature = "top")]
    &["top", "--once", "-i", "10ms", "--width", "150"],
    #[cfg(feature = "top")]
    &["top", "--once", "-i", "10ms", "--width", "150", "CHANNEL"],
];

/// Runs every command beside a channel whose texts are these.
fn all(bytes: &[u8]) -> Vec<(String, Run)> {
    let ipc = IpcFixture::new();
    let name = Name::fixed("golden-texts");
    let options = || name.options().dead_letters("letters", 3);
    let tx: mpmc::Sender<[u8]> = options().slot_size(16).create().expect("a sender");
    let rx: mpmc::Receiver<[u8]> = options().attach().expect("a receiver");
    let memory = Segment::of(tx.id().segment());
    let (before, id) = (memory.words(), format!("id:{}", tx.id()));
    write(&memory, bytes);
    // An argument has no NUL.
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let runs = COMMANDS
        .iter()
        .map(|args| {
            let args: Vec<String> =
                args.iter().map(|arg| arg.replace("CHANNEL", &id).replace("NAME", &text)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            (args.join(" "), run(&args))
        })
        .collect();
    memory.restore(&before);
    drop((tx, rx, name));
    drop(ipc);
    runs
}

#[test]
fn no_command_prints_them_unescaped() {
    let plain = all(HARMLESS);
    for bytes in TEXTS {
        for (((args, run), (_, plain)), words) in all(bytes).iter().zip(&plain).zip(COMMANDS) {
            // A line in an argument is the user's own.
            let is_of_segment = !words.iter().any(|word| word.contains("NAME"));
            for (text, plain) in [(&run.out, &plain.out), (&run.err, &plain.err)] {
                assert_visible(text, args);
                let is_same = text.lines().count() == plain.lines().count();
                assert!(is_same || !is_of_segment, "{args}: {text}");
            }
        }
    }
}

/// What a death leaves is shown, too: a sender that was killed, and a channel that ends with its last
/// member.
#[test]
fn the_dead_are_shown_escaped() {
    for bytes in TEXTS {
        let ipc = IpcFixture::new();
        let name = Name::fixed("golden-dead");
        let options = name.options().lifetime(Lifetime::LastMember).slot_size(16);
        let rx: mpmc::Receiver<[u8]> = options.create().expect("a receiver");
        let mut sender = Running::piped(&["send", "--no-create", &name]);
        until_member(&name, |member| member.alive && member.role == sysvring::Role::Sender);
        sender.signal(libc::SIGKILL);
        sender.end();
        let memory = Segment::of(rx.id().segment());
        let before = memory.words();
        write(&memory, bytes);
        let id = format!("id:{}", rx.id());
        for args in [
            &["recv", "--no-create", &id][..],
            &["stat", "-m", &id],
            &["doctor"],
            &["metrics"],
            &["ls"],
        ] {
            let Run { out, err, .. } = run(args);
            assert_visible(&out, &format!("{args:?}"));
            assert_visible(&err, &format!("{args:?}"));
        }
        memory.restore(&before);
        drop((rx, name));
        drop(ipc);
    }
}

/// The library escapes the names in its errors; the command does not escape them again.
#[test]
fn errors_are_escaped_once() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("a\x1b[31m\nb");
    let shown = "\"a\\u{1b}[31m\\nb\"";
    assert!(run(&["stat", &name]).err.contains(&format!("channel {shown} does not exist")));
    assert!(run(&["stat", "a\x1b/b"]).err.contains("user \"a\\u{1b}\""));
    drop(name.options().create::<mpmc::Sender<[u8]>>().expect("a channel"));
    assert!(run(&["send", &name, "--kind", "spsc"]).err.contains(shown));
    assert_eq!(run(&["rm", "-v", &name]).ok().out, format!("removed {shown}, with 0 messages\n"));
}

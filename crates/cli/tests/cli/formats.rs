//! What a message is, in the pipes of `send` and `recv`: framings, fields, sizes.

use sysvring::zerocopy::IntoBytes;
use sysvring::{RecvError, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, command, run, run_on_terminal, run_with};

#[test]
fn framings_are_inverse_to_each_other() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    for (args, input) in [
        (&["-0"][..], &b"a\nb\0\0c\0"[..]),
        (&["--length", "u32le"], b"\x03\0\0\0a\nb\0\0\0\0"),
        (&["--length", "u16be"], b"\0\x01\n"),
        (&["--raw"], b"any\0bytes\n\xff"),
    ] {
        run_with(&[&["send", &name], args].concat(), input).ok();
        let out = command(&[&["recv", &*name], args].concat()).output().expect("it runs");
        assert!(out.status.success());
        assert_eq!(out.stdout, input, "{args:?}");
    }
    drop(name);
    ipc.assert_clean();
}

/// A program's own messages, as fields and as hexadecimal digits, both ways.
#[test]
fn typed_messages_are_fields() {
    let ipc = IpcFixture::new();
    let name = Name::new("ticks");
    let mut tx: spsc::Sender<[u64; 2]> = name.options().create().expect("a sender");
    let tick = |id: u64, price: f64| [id, price.to_bits()];
    tx.send(&tick(7, 9.5)).expect("sent");
    tx.send(&tick(8, -0.25)).expect("sent");
    tx.finish().expect("finished");
    assert_eq!(run(&["recv", &name, "-n1", "-f", "u64,f64"]).ok().out, "7 9.5\n");
    let hex: String = tick(8, -0.25).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(run(&["recv", &name, "-f", "hex"]).ok().out, format!("{hex}\n"));

    run_with(&["send", &name, "-f", "u64,f64", "--no-finish"], b"1 0.5\n2 1e3\n").ok();
    run(&["send", &name, "-f", "hex", &hex]).ok();
    let mut rx: spsc::Receiver<[u64; 2]> = name.options().attach().expect("a receiver");
    for expected in [tick(1, 0.5), tick(2, 1000.0), tick(8, -0.25)] {
        assert_eq!(rx.recv(), Ok(expected));
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    drop(rx);

    let wrong = run(&["recv", &name, "-f", "u64"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(wrong.err.contains("padN"), "{}", wrong.err);
    let wrong = run_with(&["send", &name, "-f", "u64,f64"], b"1 0.5\nx\n");
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("message 2 of the input"), "{}", wrong.err);
    assert!(wrong.err.contains("1 message was sent"), "{}", wrong.err);
    let wrong = run(&["send", &name, "-f", "hex", "00"]);
    assert!(wrong.err.contains("--format"), "{}", wrong.err);
    drop(name);
    ipc.assert_clean();
}

/// Text within fields is one word, which is read back as what it was.
#[test]
fn text_in_fields_is_read_back() {
    let ipc = IpcFixture::new();
    let (name, copy) = (Name::new("texts"), Name::new("copy"));
    let messages: [[u8; 8]; 5] =
        [*b"two word", *b"\\x20\t\n\0!", *b"\0\0\0\0\0\0\0\0", *b"-\0\0\0\0\0\0\0", [0xff; 8]];
    let format = ["--format", "text8"];
    for channel in [&name, &copy] {
        drop(channel.options().create::<spsc::Sender<[u8; 8]>>().expect("a channel"));
    }
    let mut tx: spsc::Sender<[u8; 8]> = name.options().attach().expect("a sender");
    tx.send_batch(&messages).expect("sent");
    tx.finish().expect("finished");
    let text = run(&[&["recv", &*name], &format[..]].concat()).ok().out;
    assert!(text.starts_with("two\\x20word\n") && text.lines().count() == 5, "{text:?}");
    run_with(&[&["send", &*copy], &format[..]].concat(), text.as_bytes()).ok();
    let mut rx: spsc::Receiver<[u8; 8]> = copy.options().attach().expect("a receiver");
    for message in messages {
        assert_eq!(rx.recv(), Ok(message));
    }
    let wrong = run(&["send", &copy, "-f", "text8", "a\\b"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("\\\\"), "{}", wrong.err);
    drop((rx, name, copy));
    ipc.assert_clean();
}

#[test]
fn a_message_that_is_too_long_is_named() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    let input = format!("fits\n{}\n", "x".repeat(100));
    let failed = run_with(&["send", &name, "--message-size", "64"], input.as_bytes());
    assert_eq!(failed.code, 1);
    for part in [
        "message 2 of the input has 100 bytes",
        "at most 64",
        "--message-size 128",
        "1 message was sent",
    ] {
        assert!(failed.err.contains(part), "{part}: {}", failed.err);
    }
    assert_eq!(name.stat().depth, 1);
    drop(name);
    ipc.assert_clean();
}

/// What a terminal shows of a message is escaped; a pipe gets the bytes.
#[test]
fn messages_reach_a_terminal_escaped() {
    let ipc = IpcFixture::new();
    let name = Name::new("pipe");
    run_with(&["send", &name], b"a\x1b[2Jb\n").ok();
    assert_eq!(run_on_terminal(&format!("recv {}", &*name), &[]).out, "a\\u{1b}[2Jb\r\n");
    drop(name);
    ipc.assert_clean();
}

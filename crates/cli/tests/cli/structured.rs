//! Messages as JSON, by the structure that their channel stores.

use std::time::Duration;

use serde_json::Value;
use sysvring::{RecvError, StreamState, mpmc, spsc};
use sysvring_support::malicious_text::assert_visible;

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, run, run_on_terminal, run_with};

#[sysvring::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Side {
    Buy = 0,
    Sell = 1,
}

#[sysvring::message]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Order {
    id: u64,
    price: f64,
    symbol: [u8; 8],
    side: Side,
    is_last: bool,
    _pad: [u8; 6],
}

/// A type with bytes at its end.
#[sysvring::message]
struct Line {
    number: sysvring::zerocopy::native_endian::U64,
    text: [u8],
}

const LARGE: Order = Order {
    id: u64::MAX,
    price: 9.5,
    symbol: *b"AAPL\0\0\0\0",
    side: Side::Sell,
    is_last: true,
    _pad: [0; 6],
};

const LARGE_JSON: &str =
    r#"{"id":18446744073709551615,"price":9.5,"symbol":"AAPL","side":"Sell","is_last":true}"#;

/// What the channel stores is enough: no command is told a format.
#[test]
fn messages_pass_from_channel_to_channel_as_json() {
    let ipc = IpcFixture::new();
    let (name, copy) = (Name::new("orders"), Name::new("copy"));
    let mut tx: spsc::Sender<Order> = name.options().create().expect("a sender");
    let small = Order { id: 1, price: f64::NEG_INFINITY, side: Side::Buy, ..LARGE };
    tx.send_batch(&[LARGE, small]).expect("sent");
    assert_eq!(run(&["peek", &name, "-p", "-n1"]).ok().out, format!("0 {LARGE_JSON}\n"));
    assert_eq!(run(&["tap", &name, "--oldest", "-n1"]).ok().out, format!("{LARGE_JSON}\n"));
    tx.finish().expect("finished");
    let json = run(&["recv", &name]).ok().out;
    assert!(json.starts_with(LARGE_JSON) && json.contains(r#""price":"-inf""#), "{json}");
    assert_eq!(json.lines().count(), 2);

    let mut rx: spsc::Receiver<Order> = copy.options().create().expect("a receiver");
    run_with(&["send", &copy], json.as_bytes()).ok();
    assert_eq!((rx.recv(), rx.recv()), (Ok(LARGE), Ok(small)));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    // A message as an argument, too.
    run(&["send", &copy, LARGE_JSON]).ok();
    assert_eq!(rx.recv(), Ok(LARGE));
    drop((rx, name, copy));
    ipc.assert_clean();
}

#[test]
fn text_at_the_end_is_a_string() {
    let ipc = IpcFixture::new();
    let (name, copy) = (Name::new("lines"), Name::new("copy"));
    for channel in [&name, &copy] {
        drop(channel.options().create::<mpmc::Sender<Line>>().expect("a channel"));
    }
    let lines = "{\"number\":1,\"text\":\"two \\\"words\\\"\\n\"}\n{\"number\":2,\"text\":\"\"}\n";
    run_with(&["send", &name], lines.as_bytes()).ok();
    let (mut recv, mut send) = (Running::piped(&["recv", &name]), Running::piped(&["send", &copy]));
    let json = recv.read().join().expect("a thread");
    assert_eq!(String::from_utf8_lossy(&json), lines);
    send.write(json).join().expect("a thread").expect("written");
    assert_eq!((recv.end(), send.end()), (0, 0));
    let rx: mpmc::Receiver<Line> = copy.options().attach().expect("a receiver");
    let first = rx.recv_ref().expect("a message");
    assert_eq!((first.number.get(), &first.text), (1, &b"two \"words\"\n"[..]));
    first.ack().expect("acknowledged");
    drop((rx, name, copy));
    ipc.assert_clean();
}

/// Other formats, and the bytes as they are, are one option away.
#[test]
fn a_format_wins_over_the_structure() {
    let ipc = IpcFixture::new();
    let name = Name::new("pairs");
    let mut tx: spsc::Sender<[u16; 2]> = name.options().create().expect("a sender");
    tx.send(&[0x4241, 0x4443]).expect("sent");
    let peek = |args: &[&str]| run(&[&["peek", &*name], args].concat()).ok().out;
    assert_eq!(peek(&[]), "[16961,17475]\n");
    assert_eq!(peek(&["-0"]), "[16961,17475]\0");
    assert_eq!(peek(&["-f", "hex"]), "41424344\n");
    assert_eq!(peek(&["-f", "u16,u16"]), "16961 17475\n");
    assert_eq!(peek(&["-f", "text"]), "ABCD\n");
    assert_eq!(peek(&["--raw"]), "ABCD");
    assert_eq!(peek(&["--raw", "-f", "json"]), "[16961,17475]");
    drop((tx, name));
    ipc.assert_clean();
}

/// Bytes and text stay lines; JSON is one option away.
#[test]
fn lines_stay_lines() {
    let ipc = IpcFixture::new();
    let (bytes, text, sent) = (Name::new("bytes"), Name::new("text"), Name::new("sent"));
    drop(bytes.options().create::<spsc::Sender<[u8]>>().expect("a channel"));
    drop(text.options().create::<spsc::Sender<str>>().expect("a channel"));
    let escaped = "\"a\\\\\\\\b\"\n\"\\\"\"\n";
    let plain = "\"a\\\\b\"\n\"\\\"\"\n";
    for (name, json) in [(&bytes, escaped), (&sent, escaped), (&text, plain)] {
        run(&["send", name, "a\\b", "\""]).ok();
        assert_eq!(run(&["peek", name]).ok().out, "a\\b\n\"\n");
        assert_eq!(run(&["recv", name, "-f", "json"]).ok().out, json);
        run_with(&["send", name, "-f", "json"], json.as_bytes()).ok();
        assert_eq!(run(&["recv", name]).ok().out, "a\\b\n\"\n");
    }
    drop((bytes, text, sent));
    ipc.assert_clean();
}

#[test]
fn a_wrong_message_is_named_with_its_field() {
    let ipc = IpcFixture::new();
    let name = Name::new("orders");
    let mut rx: spsc::Receiver<Order> = name.options().create().expect("a receiver");
    let changed = |from: &str, to: &str| LARGE_JSON.replace(from, to);
    for (wrong, words) in [
        (
            changed("18446744073709551615", "18446744073709551616"),
            "field id: 18446744073709551616 is out",
        ),
        (changed("\"price\":9.5,", ""), "field price of Order is missing"),
        (changed("price", "prize"), "field price of Order is missing"),
        (changed("true", "true,\"x\":1"), "Order has no field \"x\""),
        (changed("Sell", "Hold"), "there is no variant \"Hold\"; there are Buy, Sell"),
        (changed("AAPL", "AAPLAAPLA"), "field symbol: a text of 9 bytes, and at most 8 fit"),
        ("x".into(), "it is not JSON"),
    ] {
        let failed = run_with(&["send", &name], format!("{LARGE_JSON}\n{wrong}\n").as_bytes());
        assert_eq!(failed.code, 1, "{wrong}");
        for words in ["message 2 of the input", words, "1 message was sent"] {
            assert!(failed.err.contains(words), "{words}: {}", failed.err);
        }
        assert_eq!(rx.recv(), Ok(LARGE), "{wrong}");
    }
    drop((rx, name));
    ipc.assert_clean();
}

/// A channel whose creator does not describe its type has hexadecimal digits, in JSON as a string.
#[test]
fn what_is_not_described_is_hexadecimal() {
    use sysvring::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

    #[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
    #[zerocopy(crate = "sysvring::zerocopy")]
    #[repr(C)]
    struct Plain(u8, u8);
    impl sysvring::Message for Plain {}

    let ipc = IpcFixture::new();
    let name = Name::new("plain");
    let mut tx: spsc::Sender<Plain> = name.options().create().expect("a sender");
    tx.send(&Plain(0, 255)).expect("sent");
    assert_eq!(run(&["peek", &name]).ok().out, "00ff\n");
    assert_eq!(run(&["peek", &name, "-f", "json"]).ok().out, "\"00ff\"\n");
    assert!(!run(&["stat", &name]).ok().out.contains("structure"));
    drop((tx, name));
    ipc.assert_clean();
}

#[test]
fn stat_shows_the_structure() {
    let ipc = IpcFixture::new();
    let name = Name::new("lines");
    drop(name.options().create::<mpmc::Sender<Line>>().expect("a channel"));
    let structure = "struct Line { number: u64le, text: [u8] }";
    let stat = run(&["stat", &name]).ok().out;
    let row = stat.lines().find(|line| line.starts_with("structure ")).expect("a row");
    assert!(row.ends_with(structure), "{row}");
    let json: Value = serde_json::from_str(&run(&["stat", "-J", &name]).ok().out).expect("JSON");
    assert_eq!(json["channel"]["structure"], structure);
    drop(name);
    ipc.assert_clean();
}

/// A sender of bytes can send anything: no receiver of the type would get it, and a terminal gets nothing
/// that it would act on.
#[test]
fn malicious_bytes_are_shown_and_read_back() {
    let ipc = IpcFixture::new();
    let (name, copy) = (Name::new("orders"), Name::new("copy"));
    for channel in [&name, &copy] {
        drop(channel.options().create::<spsc::Sender<Order>>().expect("a channel"));
    }
    let mut input = Vec::new();
    for n in 0..=255u8 {
        let mut order = [n; 32];
        order[16..24].copy_from_slice(b"\x1b[2J\xff\\\xc2\x9b");
        input.extend(order);
    }
    run_with(&["send", &name, "--raw"], &input).ok();
    let shown = run_on_terminal(&format!("peek {}", &*name), &[]).ok().out.replace('\r', "");
    assert_visible(&shown, "peek");
    assert!(
        shown
            .contains(r#""symbol":"\u001b[2J\\xff\\\\\u009b","side":7,"is_last":7,"_pad":"\u0007"#)
    );
    let json = run(&["recv", &name]).ok().out;
    assert_eq!(json, shown);
    run_with(&["send", &copy], json.as_bytes()).ok();
    let bytes = command(&["recv", &copy, "--raw"]).output().expect("it runs").stdout;
    assert_eq!(bytes.len(), input.len());
    for (found, sent) in bytes.chunks(32).zip(input.chunks(32)) {
        // Bytes of 255 are a float that is no number, of which there are many.
        assert!(found == sent || sent[0] == 255, "{found:?}");
    }
    drop((name, copy));
    ipc.assert_clean();
}

/// A stream that has ended has ended still if a sender comes and can send nothing.
#[test]
fn a_message_that_is_refused_opens_no_stream() {
    let ipc = IpcFixture::new();
    let name = Name::new("orders");
    let mut rx: spsc::Receiver<Order> = name.options().create().expect("a receiver");
    run(&["send", &name, LARGE_JSON]).ok();
    let failed = run(&["send", &name, "{}"]);
    assert_eq!(failed.code, 1, "{}", failed.err);
    assert!(failed.err.contains("nothing was sent"), "{}", failed.err);
    assert_eq!(rx.recv(), Ok(LARGE));
    assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Err(RecvError::Disconnected));
    // One that is open stays open.
    run(&["send", &name, "--no-finish", LARGE_JSON]).ok();
    assert_eq!(run(&["send", &name, "{}"]).code, 1);
    assert_eq!(name.stat().stream, StreamState::Open);
    drop((rx, name));
    ipc.assert_clean();
}

//! `top` and `metrics`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, run, until};

#[test]
fn metrics_are_open_metrics() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("jobs \"x\"");
    let tx: mpmc::Sender<u64> =
        name.options().capacity(8).label("a\nb").create().expect("a sender");
    tx.send(&7).expect("sent");
    let text = run(&["metrics"]).ok().out;
    let labels = format!("channel=\"jobs \\\"x\\\"\",id=\"{}\"", tx.id());
    for line in [
        format!("sysvring_depth_messages{{{labels}}} 1"),
        format!("sysvring_capacity_messages{{{labels}}} 8"),
        format!("sysvring_overslept_waits_total{{{labels}}} 0"),
        format!(
            "sysvring_member_messages_total{{{labels},role=\"sender\",seat=\"0\",pid=\"{}\",\
             label=\"a\\\\nb\"}} 1",
            std::process::id()
        ),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Samples follow the type of their family, and nothing follows the end.
    let mut family = "";
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            family = declared.split(' ').next().expect("a name");
        }
        assert!(line.starts_with('#') || line.starts_with(family), "{line} in {family}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert!(!run(&["metrics", "--no-members"]).ok().out.contains("member_messages"));
    drop((tx, name));
    ipc.assert_clean();
}

/// Returns the answer to a request.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn metrics_are_served_on_loopback() {
    let ipc = IpcFixture::new();
    let name = Name::new("served");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let mut server = command(&["metrics", "--listen", "127.0.0.1:0"]);
    server.stderr(Stdio::piped());
    let mut server = Running::start(server);
    let mut line = String::new();
    let mut errors = BufReader::new(server.0.stderr.take().expect("a pipe"));
    errors.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("sysvring: serving http://").expect("an address");
    let address = address.strip_suffix("/metrics").expect("an address");

    // Connections that say nothing, or nonsense, do not stop it.
    let silent = TcpStream::connect(address).expect("a connection");
    drop(silent);
    assert!(ask(address, "NONSENSE").starts_with("HTTP/1.1 405 "));
    assert!(ask(address, "GET /other").starts_with("HTTP/1.1 404 "));
    let answer = ask(address, "GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.contains(&format!("channel=\"{}\"", &*name)), "{answer}");
    let head = ask(address, "HEAD /metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");

    let refused = run(&["metrics", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("127.0.0.1"), "{}", refused.err);
    let taken = run(&["metrics", "--listen", address]);
    assert_eq!(taken.code, 1, "{}", taken.err);
    // Not SIGINT: it stays ignored where a shell runs the tests in the background.
    server.signal(libc::SIGTERM);
    server.end();
    drop((tx, name));
    ipc.assert_clean();
}

/// Two channels in known states, looked at once.
#[test]
fn top_prints_a_frame() {
    let ipc = IpcFixture::new();
    let jobs = Name::fixed("golden-jobs");
    let tx: mpmc::Sender<u64> = jobs.options().capacity(8).create().expect("a sender");
    let rx: mpmc::Receiver<u64> = jobs.options().label("worker").attach().expect("a receiver");
    (0..4).for_each(|n| tx.send(&n).expect("sent"));
    let ticks = Name::fixed("golden-ticks");
    let other: spsc::Receiver<u64> = ticks.options().capacity(8).create().expect("a receiver");
    let frame = run(&["top", "--once", "--interval", "100ms", "--width", "110"]).ok().out;
    let mut lines = frame.lines();
    let head = lines.next().expect("a line");
    assert!(head.starts_with("sysvring top   2 channels   3 members   0 messages/s"), "{head}");
    let rest: Vec<&str> = lines.collect();
    assert_eq!(
        rest[..4],
        [
            "",
            "CHANNEL      KIND STATE       FILLED             DEPTH  SENT/s  RECV/s  BYTE/s SEND RECV WAITING   DIED",
            "golden-jobs  mpmc live        [█████     ]         4/8       0       0      0B    1    1              0",
            "golden-ticks spsc no sender   [          ]         0/8       0       0      0B    0    1              0",
        ],
        "{frame}"
    );

    let held = rx.recv_ref().expect("a message");
    let args = ["top", "--once", "-i", "100ms", "--width", "130", "golden-jobs"];
    let frame = run(&args).ok().out;
    assert!(frame.contains("4 of 8 messages, room for 4"), "{frame}");
    assert!(frame.contains("1 in flight from 0, "), "and since when: {frame}");
    assert!(frame.contains("worker"), "{frame}");
    let filtered = run(&["top", "--once", "-i", "50ms", "-f", "ticks"]).ok().out;
    assert!(filtered.contains("golden-ticks") && !filtered.contains("golden-jobs"), "{filtered}");
    drop(held);
    drop((tx, rx, other, jobs, ticks));
    ipc.assert_clean();
}

/// In a terminal, by keys: sorts, filters, looks into a channel, sees a death, and leaves the
/// terminal as it was.
#[test]
fn top_is_driven_by_keys() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("watched");
    let mut victim = Running::start(command(&["recv", &name]));
    until(|| sysvring::stat(&*name).is_ok_and(|stat| stat.members.iter().any(|m| m.alive)));
    let top = format!(
        "stty rows 30 cols 120; exec {} top --interval 50ms",
        env!("CARGO_BIN_EXE_sysvring")
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &top, "/dev/null"]);
    script.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = Running::start(script);
    let mut keys = script.0.stdin.take().expect("a pipe");
    let mut out = script.0.stdout.take().expect("a pipe");
    let [rows, columns] = [30, 120].map(|n| NonZero::new(n).expect("a size"));
    let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
    let reader = {
        let screen = screen.clone();
        std::thread::spawn(move || {
            let (mut piece, mut last) = ([0; 4096], Vec::new());
            while let Ok(n @ 1..) = out.read(&mut piece) {
                screen.lock().expect("a lock").process(&piece[..n]);
                last = piece[..n].to_vec();
            }
            last
        })
    };
    let shows = |words: &[&str]| {
        let text = screen.lock().expect("a lock").screen().contents();
        words.iter().all(|word| text.contains(word))
    };
    let drawn = |words: &[&str]| until(|| shows(words));
    let mut press = |key: &[u8]| keys.write_all(key).expect("a key");
    drawn(&["watched", "WAITING", "receivers", "sort: name"]);
    press(b"s");
    drawn(&["sort: rate"]);
    press(b"/none\r");
    until(|| shows(&["filter: none"]) && !shows(&["watched"]));
    press(b"/\x1b");
    drawn(&["watched"]);
    press(b"\r");
    drawn(&["HOLDS", "lost senders", "sysvring recv", "live"]);
    victim.signal(libc::SIGKILL);
    drawn(&["a receiver of watched, died", "died "]);
    press(b"h");
    drawn(&["Keys:"]);
    press(b"q");
    assert_eq!(script.end(), 0);
    let last = reader.join().expect("a thread");
    // The alternate screen was left.
    assert!(String::from_utf8_lossy(&last).contains("\x1b[?1049l"));
    victim.end();
    drop(name);
    ipc.assert_clean();
}

#[test]
fn top_needs_a_terminal() {
    let run = run(&["top"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--once"), "{}", run.err);
}

//! `metrics`, printed and served.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, run};

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

/// Starts a server, and returns its address.
fn serve(address: &str) -> (Running, String) {
    let mut server = command(&["metrics", "--listen", address]);
    server.stderr(Stdio::piped());
    let mut server = Running::start(server);
    let mut line = String::new();
    let mut errors = BufReader::new(server.0.stderr.take().expect("a pipe"));
    errors.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("sysvring: serving http://").expect("an address");
    let address = address.strip_suffix("/metrics").expect("an address").to_owned();
    (server, address)
}

#[test]
fn metrics_are_served_on_loopback() {
    let ipc = IpcFixture::new();
    let name = Name::new("served");
    let tx: spsc::Sender<u64> = name.options().create().expect("a sender");
    let (mut server, address) = serve("127.0.0.1:0");
    let address = address.as_str();

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

/// Returns whether the server has not closed a connection on which nothing was sent.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Readers that say nothing, or ask byte by byte, delay no other one.
#[test]
fn a_silent_reader_delays_nobody() {
    let ipc = IpcFixture::new();
    // A name and a port alone are addresses, too.
    for at in ["localhost:0", "0"] {
        let (mut server, address) = serve(at);
        // An answer comes before the server gives up a silent reader. On a busy host it may be late
        // in some attempts.
        let silent = (0..10).find_map(|_| {
            let silent: Vec<TcpStream> =
                (0..8).map(|_| TcpStream::connect(&address).expect("a connection")).collect();
            assert!(ask(&address, "GET /metrics").starts_with("HTTP/1.1 200 OK\r\n"));
            silent.iter().all(is_open).then_some(silent)
        });
        let silent = silent.expect("the answer waits for silent readers");
        // With more than are served at once, the wait is that of one silent reader.
        let more: Vec<TcpStream> =
            (0..24).map(|_| TcpStream::connect(&address).expect("a connection")).collect();
        assert!(ask(&address, "GET /metrics").starts_with("HTTP/1.1 200 OK\r\n"));
        drop((silent, more));
        server.signal(libc::SIGTERM);
        server.end();
    }
    ipc.assert_clean();
}

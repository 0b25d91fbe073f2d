//! The pool as its users run it: real processes, HTTP over loopback, and workers that are killed.

#[path = "../../../tests/examples/ipc_fixture.rs"]
mod ipc_fixture;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::ipc_fixture::IpcFixture;

const PROGRAM: &str = env!("CARGO_BIN_EXE_web-pool");

/// A running front. Dropped, it is killed.
struct Front {
    child: Child,
    port: String,
}

impl Front {
    fn start(workers: &str, args: &[&str]) -> Front {
        let mut child = Command::new(PROGRAM)
            .args(["--port", "0", "--workers", workers])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the front starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim_end().strip_prefix("listening on 127.0.0.1:").expect("its address");
        Front { child, port: port.to_owned() }
    }

    /// Sends requests, and returns the report. It must contain no error.
    fn load(&self, args: &[&str]) -> String {
        let output = Command::new(PROGRAM)
            .args(["load", "--port", &self.port])
            .args(args)
            .output()
            .expect("the load generator starts");
        let report = String::from_utf8(output.stdout).expect("a text");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{report}{errors}");
        assert!(report.contains("\nerrors 0\n"), "{report}");
        report
    }

    fn end(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().expect("kill").success());
        assert!(self.child.wait().expect("a child").success());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the number after a word of a report.
fn number(report: &str, word: &str) -> u64 {
    let (_, rest) = report.split_once(word).expect(word);
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).expect(word)
}

/// The minimum number of workers that are killed under load.
const KILLED: u64 = 50;

/// Kills workers under load: saturated, and at a fixed rate.
fn no_request_fails(transport: &str) {
    let ipc = IpcFixture::new();
    let mut front = Front::start("3", &["--transport", transport, "--kill", "20"]);
    front.load(&["--seconds", "3", "--connections", "8"]);
    let report = front.load(&["--seconds", "3", "--rate", "500", "--connections", "8"]);
    assert_eq!(number(&report, ""), 1_500, "{report}");
    // On a busy host, fewer are killed in that time.
    let mut killed = number(&report, "killed workers");
    for _ in 0..20 {
        if killed >= KILLED {
            break;
        }
        let report = front.load(&["--seconds", "1", "--connections", "8"]);
        killed = number(&report, "killed workers");
    }
    assert!(killed >= KILLED, "{killed}");
    front.end();
    ipc.assert_clean();
}

#[test]
fn no_request_fails_while_workers_are_killed() {
    no_request_fails("sysvring");
}

#[test]
fn no_request_fails_over_sockets() {
    no_request_fails("unix");
}

/// One worker: while it is replaced, there is none.
#[test]
fn requests_wait_for_the_only_worker() {
    for transport in ["sysvring", "unix"] {
        let mut front = Front::start("1", &["--transport", transport, "--kill", "50"]);
        front.load(&["--seconds", "1", "--connections", "4"]);
        front.end();
    }
}

/// More requests at once than the channel has slots: they wait in the front.
#[test]
fn a_full_channel_makes_requests_wait() {
    let ipc = IpcFixture::new();
    let mut front = Front::start("1", &[]);
    front.load(&["--seconds", "1", "--connections", "400"]);
    front.end();
    ipc.assert_clean();
}

#[test]
fn the_front_serves_with_several_threads() {
    let ipc = IpcFixture::new();
    let mut front = Front::start("3", &["--threads", "2"]);
    front.load(&["--seconds", "1"]);
    front.end();
    ipc.assert_clean();
}

/// If the front is killed, its workers end, and the last one removes the channels.
#[test]
fn nothing_is_left_of_a_front_that_is_killed() {
    let ipc = IpcFixture::new();
    let mut front = Front::start("2", &[]);
    front.load(&["--seconds", "0.2"]);
    front.child.kill().expect("a child");
    front.child.wait().expect("a child");
    ipc.assert_clean();
}

#[test]
fn an_unknown_path_is_not_found() {
    use std::io::Write;
    let mut front = Front::start("2", &[]);
    let address = format!("127.0.0.1:{}", front.port);
    let mut stream = std::net::TcpStream::connect(address).expect("the front");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // Killed before its workers have joined, it would leave its semaphore sets and its queue.
    front.end();
}

//! `top`.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use sysvring::{mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, Running, command, run, until, until_member};

/// `top` on a terminal of its own.
struct Terminal {
    script: Running,
    keys: ChildStdin,
    /// What it shows, and all bytes that it got.
    screen: Arc<Mutex<(vt100::Parser, Vec<u8>)>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts it. Its process is the first thing that the terminal gets.
    fn start() -> Terminal {
        let top = format!(
            "stty rows 30 cols 120; echo process $$; exec {} top --interval 50ms",
            env!("CARGO_BIN_EXE_sysvring")
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &top, "/dev/null"]);
        script.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = Running::start(script);
        let keys = script.0.stdin.take().expect("a pipe");
        let mut out = script.0.stdout.take().expect("a pipe");
        let [rows, columns] = [30, 120].map(|n| NonZero::new(n).expect("a size"));
        let screen = Arc::new(Mutex::new((vt100::Parser::new(rows, columns, 0), Vec::new())));
        let written = screen.clone();
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                let (parser, all) = &mut *written.lock().expect("a lock");
                parser.process(&piece[..n]);
                all.extend(&piece[..n]);
            }
        });
        Terminal { script, keys, screen, reader }
    }

    /// Returns the process of `top`.
    fn pid(&self) -> i32 {
        let mut pid = None;
        until(|| {
            let all = &self.screen.lock().expect("a lock").1;
            let text = String::from_utf8_lossy(all);
            let line = text.strip_prefix("process ").and_then(|text| text.split_once('\r'));
            pid = line.and_then(|(pid, _)| pid.parse().ok());
            pid.is_some()
        });
        pid.expect("a process")
    }

    fn shows(&self, words: &[&str]) -> bool {
        let text = self.screen.lock().expect("a lock").0.screen().contents();
        words.iter().all(|word| text.contains(word))
    }

    /// Waits until the screen shows all of these words.
    #[track_caller]
    fn drawn(&self, words: &[&str]) {
        until(|| self.shows(words));
    }

    fn press(&mut self, key: &[u8]) {
        self.keys.write_all(key).expect("a key");
    }

    /// Waits for the end, and checks the exit code and that the terminal is as before.
    #[track_caller]
    fn ends(mut self, code: i32) {
        assert_eq!(self.script.end(), code);
        self.reader.join().expect("a thread");
        let (parser, all) = &*self.screen.lock().expect("a lock");
        // The alternate screen was left.
        assert!(String::from_utf8_lossy(all).contains("\x1b[?1049l"));
        assert!(parser.screen().contents().contains("process "));
    }
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
    until_member(&name, |member| member.alive);
    let mut top = Terminal::start();
    top.drawn(&["watched", "WAITING", "receivers", "sort: name", "1 channel ", "1 member "]);
    top.press(b"s");
    top.drawn(&["sort: rate"]);
    top.press(b"/none\r");
    until(|| top.shows(&["filter: none"]) && !top.shows(&["watched"]));
    top.press(b"/\x1b");
    top.drawn(&["watched"]);
    top.press(b"\r");
    top.drawn(&["HOLDS", "lost senders", "sysvring recv", "live"]);
    victim.signal(libc::SIGKILL);
    top.drawn(&["a receiver of watched, died", "died "]);
    top.press(b"h");
    top.drawn(&["Keys:"]);
    top.press(b"q");
    top.ends(0);
    victim.end();
    drop(name);
    ipc.assert_clean();
}

/// Ended by a signal, it leaves the terminal as it was, too.
#[test]
fn a_signal_ends_top_and_restores_the_terminal() {
    let ipc = IpcFixture::new();
    let top = Terminal::start();
    top.drawn(&["0 channels"]);
    // SAFETY: sends a signal to the process that `script` waits for.
    assert_eq!(unsafe { libc::kill(top.pid(), libc::SIGTERM) }, 0);
    top.ends(128 + libc::SIGTERM);
    ipc.assert_clean();
}

#[test]
fn top_needs_a_terminal() {
    let run = run(&["top"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--once"), "{}", run.err);
}

//! The server: started in a folder of its own, killed, and started again.

mod disk;
mod install;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use disk::Disk;
pub use install::not_checked;
use sysvring_support::rng::Rng;

use crate::process::{Process, until};
use crate::scratch::Scratch;

/// A server with JetStream on a port of loopback. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Server {
    program: &'static Path,
    process: Process,
    port: u16,
    settings: PathBuf,
    folder: Scratch,
}

impl Server {
    /// Starts a server, if one can be had.
    pub fn start() -> Option<Server> {
        Server::start_with("", None)
    }

    /// Does the same with more lines in its settings, and with its store on this disk.
    pub fn start_with(lines: &str, disk: Option<&Disk>) -> Option<Server> {
        let program = install::program()?;
        let folder = Scratch::new();
        let store = disk.map_or(folder.path().to_owned(), Disk::path);
        let log = folder.path().join("log");
        // Another program may take the port before the server does.
        for _ in 0..20 {
            let port = free_port();
            let text = format!(
                "listen: \"127.0.0.1:{port}\"\n\
                 jetstream {{ store_dir: {store:?}, max_mem: 64MB, max_file: 4GB }}\n{lines}\n"
            );
            let settings = folder.write("settings", &text);
            let mut process = launch(program, &settings, &log);
            if is_ready(&mut process, port) {
                return Some(Server { program, process, port, settings, folder });
            }
        }
        panic!("no server starts");
    }

    /// Returns the address for routes and clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Sends SIGKILL to the server and waits for its end.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the killed server again, with the same port and store.
    pub fn restart(&mut self) {
        // Its port may still be in use by what remains of connections.
        until("the server does not start again", || {
            self.process = launch(self.program, &self.settings, &self.folder.path().join("log"));
            is_ready(&mut self.process, self.port)
        });
    }

    /// Returns the server's log.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

fn launch(program: &Path, settings: &Path, log: &Path) -> Process {
    let mut command = Command::new(program);
    command.arg("--config").arg(settings);
    Process::start(command, log)
}

/// Waits until the server greets its clients, or ends.
fn is_ready(process: &mut Process, port: u16) -> bool {
    let mut is_ready = false;
    until("the server does not get ready", || {
        is_ready = greeting(port).is_some_and(|line| line.starts_with("INFO "));
        is_ready || process.code().is_some()
    });
    is_ready && process.code().is_none()
}

fn greeting(port: u16) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

/// Returns a port that is free now. It is below those that the kernel gives to clients: one of these
/// could take it while the server is down, or connect to itself.
fn free_port() -> u16 {
    let mut rng = Rng::new();
    loop {
        let port = 10_000 + rng.below(20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

//! A server on the loopback interface, for a few readers at once.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The time that a reader may take from its connection to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the longest request.
const REQUEST_MAX: usize = 8 << 10;
/// Readers that are served at once; others wait until one of these has its answer.
const READERS: usize = 16;
/// The pause after a connection that could not be accepted, such as for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads the address to serve at: a port alone, or an address of the loopback interface.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let found = text.to_socket_addrs();
    let found: Vec<SocketAddr> = found
        .map_err(|error| format!("{error}; give PORT, localhost:PORT or 127.0.0.1:PORT"))?
        .filter(|address| address.ip().is_loopback())
        .collect();
    // A name has several addresses: readers try that of IPv4 in any case.
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    chosen.copied().ok_or_else(|| {
        let port = text.rsplit_once(':').map_or("9898", |(_, port)| port);
        format!(
            "it is not an address of the loopback interface; give 127.0.0.1:{port}, and let a proxy \
             with access control serve other hosts"
        )
    })
}

/// Serves a text until this process ends.
pub fn serve(
    address: SocketAddr,
    text: impl Fn() -> Result<String, Failure> + Sync,
) -> Result<(), Failure> {
    let failed = |error| Failure::because(&format!("cannot listen at {address}"), &error);
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let _ = writeln!(io::stderr(), "sysvring: serving http://{bound}/metrics");
    let accept = || {
        for stream in listener.incoming() {
            match stream {
                // A reader that has gone concerns nobody else.
                Ok(stream) => _ = answer(stream, &text),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..READERS {
            // With fewer threads, fewer readers are served at once.
            let _ = thread::Builder::new().spawn_scoped(scope, accept);
        }
        accept();
    });
    Ok(())
}

/// A connection whose calls end when the time of its reader is over.
struct Connection {
    stream: TcpStream,
    deadline: Instant,
}

impl Connection {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn answer(stream: TcpStream, text: impl Fn() -> Result<String, Failure>) -> io::Result<()> {
    let mut stream = Connection { stream, deadline: Instant::now() + TIMEOUT };
    let request = read(&mut stream)?;
    let line = request.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => match text() {
            Ok(text) => ("200 OK", OPEN_METRICS, text),
            Err(failure) => ("500 Internal Server Error", "text/plain", failure.text),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "see /metrics\n".into()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET and HEAD\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

/// Reads the head of a request.
fn read(stream: &mut impl Read) -> io::Result<String> {
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX {
        match stream.read(&mut piece)? {
            0 => break,
            n => request.extend_from_slice(&piece[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_of_the_loopback_interface() {
        let parsed = |text: &str| parse_address(text).map(|address| address.to_string());
        assert_eq!(parsed("9100").as_deref(), Ok("127.0.0.1:9100"));
        assert_eq!(parsed("127.0.0.2:9100").as_deref(), Ok("127.0.0.2:9100"));
        assert_eq!(parsed("[::1]:9100").as_deref(), Ok("[::1]:9100"));
        assert!(parse_address("localhost:9100").is_ok_and(|address| address.ip().is_loopback()));
        for (wrong, remedy) in [
            ("0.0.0.0:9100", "127.0.0.1:9100"),
            ("192.0.2.1:9100", "127.0.0.1:9100"),
            ("localhost", "localhost:PORT"),
            ("99999", "127.0.0.1:PORT"),
            ("", "PORT"),
        ] {
            let error = parse_address(wrong).expect_err(wrong);
            assert!(error.contains(remedy), "{wrong}: {error}");
        }
    }
}

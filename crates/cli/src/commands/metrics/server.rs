//! A server for one reader after the other, on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::failure::Failure;

/// The time that a reader may take for its request, and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the longest request.
const REQUEST_MAX: usize = 8 << 10;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves a text until this process ends.
pub fn serve(
    address: SocketAddr,
    text: impl Fn() -> Result<String, Failure>,
) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{} is not an address of the loopback interface; give 127.0.0.1:{}, and let a proxy with \
             access control serve other hosts",
            address.ip(),
            address.port()
        )));
    }
    let failed = |what: &str| {
        let what = format!("{what} {address}");
        move |error| Failure::because(&what, &error)
    };
    let listener = TcpListener::bind(address).map_err(failed("cannot listen at"))?;
    let bound = listener.local_addr().map_err(failed("cannot listen at"))?;
    let _ = writeln!(std::io::stderr(), "sysvring: serving http://{bound}/metrics");
    // A reader that has gone concerns nobody else.
    for stream in listener.incoming().flatten() {
        let _ = answer(stream, &text);
    }
    Ok(())
}

fn answer(
    mut stream: TcpStream,
    text: impl Fn() -> Result<String, Failure>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
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
fn read(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX {
        match stream.read(&mut piece)? {
            0 => break,
            n => request.extend_from_slice(&piece[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

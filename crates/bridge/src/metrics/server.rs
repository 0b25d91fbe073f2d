//! A small HTTP server for the text.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::{Route, text};

/// The time that a reader may take from its connection to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the longest request.
const REQUEST_MAX: usize = 8 << 10;
/// Readers that are served at once.
const READERS: usize = 16;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the counts of routes until this process ends.
pub async fn serve(listener: TcpListener, routes: Vec<Route>) {
    if let Ok(address) = listener.local_addr() {
        info!("serving http://{address}/metrics");
    }
    let (routes, readers) = (Arc::new(routes), Arc::new(Semaphore::new(READERS)));
    // The semaphore is never closed.
    while let Ok(reader) = readers.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    // A reader that has gone concerns nobody else.
                    let _ = tokio::time::timeout(TIMEOUT, answer(stream, &routes)).await;
                    drop(reader);
                });
            }
            Err(error) => {
                warn!("a reader of the metrics could not be accepted: {error}");
                tokio::time::sleep(TIMEOUT).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, routes: &[Route]) -> io::Result<()> {
    let request = read(&mut stream).await?;
    let line = request.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", OPEN_METRICS, text(routes)),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "see /metrics\n".into()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET and HEAD\n".into()),
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        answer += &body;
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads the head of a request.
async fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

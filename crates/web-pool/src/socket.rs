//! The pool over Unix stream sockets, one for each worker: what one would use without sysvring.
//!
//! A request goes to the worker with the fewest requests in flight. The front keeps a copy until the
//! answer is there, and sends it to another worker if that one ends.

use std::collections::HashMap;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::sync::{Arc, Mutex};

use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::message::{LONGEST, Message, answer};
use crate::waiting::{Waiting, Wakes, lock};

/// The length of a message precedes it.
const LENGTH: usize = size_of::<u32>();

/// The front's side.
pub struct Sockets {
    connections: Mutex<Vec<Arc<Connection>>>,
    has_connected: Notify,
    waiting: Arc<Waiting>,
    wakes: Arc<Wakes>,
}

/// The connection to one worker.
struct Connection {
    stream: UnixStream,
    /// Held while a frame is written.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// The frames whose answers are missing; `None` once the worker has ended.
    in_flight: Mutex<Option<HashMap<u64, Arc<[u8]>>>>,
}

impl Sockets {
    pub fn new(waiting: Arc<Waiting>, wakes: Arc<Wakes>) -> Sockets {
        let (connections, has_connected) = Default::default();
        Sockets { connections, has_connected, waiting, wakes }
    }

    /// Makes the socket of a new worker, and starts to receive its answers; returns the worker's end.
    pub fn connect(self: &Arc<Self>) -> io::Result<BlockingStream> {
        let (ours, theirs) = BlockingStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let in_flight = Mutex::new(Some(HashMap::new()));
        let connection = Arc::new(Connection { stream, writing: Arc::default(), in_flight });
        lock(&self.connections).push(Arc::clone(&connection));
        self.has_connected.notify_waiters();
        tokio::spawn(Arc::clone(self).receive(connection));
        Ok(theirs)
    }

    /// Sends a request to a worker.
    pub async fn send(&self, id: u64, body: &[u8]) {
        let message = Message::bytes(id, body);
        let frame: Arc<[u8]> =
            [&(message.len() as u32).to_ne_bytes()[..], &message].concat().into();
        self.send_frame(id, frame).await;
    }

    async fn send_frame(&self, id: u64, frame: Arc<[u8]>) {
        loop {
            let mut has_connected = std::pin::pin!(self.has_connected.notified());
            has_connected.as_mut().enable();
            let Some(connection) = self.least_loaded() else {
                has_connected.await;
                continue;
            };
            match &mut *lock(&connection.in_flight) {
                Some(in_flight) => in_flight.insert(id, Arc::clone(&frame)),
                None => continue,
            };
            // If it fails, the worker has ended, and the task that receives from it sends the frame
            // to another one.
            return connection.write(frame).await;
        }
    }

    fn least_loaded(&self) -> Option<Arc<Connection>> {
        let connections = lock(&self.connections);
        let load = |connection: &&Arc<Connection>| {
            lock(&connection.in_flight).as_ref().map_or(usize::MAX, HashMap::len)
        };
        connections.iter().min_by_key(load).cloned()
    }

    /// Receives the answers of a worker until it ends, and sends what it left to others.
    async fn receive(self: Arc<Self>, connection: Arc<Connection>) {
        let mut buffer = Vec::with_capacity(16 * LONGEST);
        loop {
            match connection.stream.try_read_buf(&mut buffer) {
                Ok(0) => break,
                Ok(_) => self.deliver(&connection, &mut buffer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // An error of this call is one of the next read.
                    let _ = self.wakes.count(connection.stream.readable()).await;
                }
                Err(_) => break,
            }
        }
        lock(&self.connections).retain(|other| !Arc::ptr_eq(other, &connection));
        let left = lock(&connection.in_flight).take();
        for (id, frame) in left.into_iter().flatten() {
            if self.waiting.is_waiting(id) {
                self.send_frame(id, frame).await;
            }
        }
    }

    /// Delivers the whole frames of a buffer.
    fn deliver(&self, connection: &Connection, buffer: &mut Vec<u8>) {
        let mut rest = &buffer[..];
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH>()
            && let Some((message, after)) =
                after.split_at_checked(u32::from_ne_bytes(*length) as usize)
        {
            rest = after;
            if let Some(message) = Message::of(message) {
                let id = message.id.get();
                if let Some(in_flight) = &mut *lock(&connection.in_flight) {
                    in_flight.remove(&id);
                }
                self.waiting.deliver(id, &message.body);
            }
        }
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
    }
}

impl Connection {
    /// Writes a frame. If this future is dropped, a frame that was begun is completed nevertheless:
    /// the next one could not be told from its rest otherwise.
    async fn write(self: Arc<Self>, frame: Arc<[u8]>) {
        let is_writing = Arc::clone(&self.writing).lock_owned().await;
        let mut written = 0;
        match self.stream.try_write(&frame) {
            Ok(count) if count == frame.len() => return,
            Ok(count) => written = count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        let rest = tokio::spawn(async move {
            let _is_writing = is_writing;
            while written < frame.len() {
                match self.stream.try_write(&frame[written..]) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        let _ = self.stream.writable().await;
                    }
                    Err(_) => return,
                }
            }
        });
        // It panics as little as this one.
        let _ = rest.await;
    }
}

/// The worker: answers the requests that come through a socket, until the front closes it.
pub fn work(mut stream: BlockingStream) -> io::Result<()> {
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut bytes = [0; LONGEST];
    loop {
        let mut length = [0; LENGTH];
        match requests.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let bytes = bytes
            .get_mut(..u32::from_ne_bytes(length) as usize)
            .ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?;
        requests.read_exact(bytes)?;
        let request = Message::of(bytes).ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?;
        let message = Message::bytes(request.id.get(), &answer(&request.body));
        stream.write_all(&[&(message.len() as u32).to_ne_bytes()[..], &message].concat())?;
    }
}

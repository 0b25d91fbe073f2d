//! shaq's queues in shared memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use shaq::{mpmc, spsc};

use crate::transport::ends::{CAPACITY, poll_until_some};
use crate::transport::traits::{IpcTransport, Receive, Send};

/// Creates anonymous memory, which disappears with its users.
pub fn anonymous_memory(len: usize) -> File {
    // SAFETY: a constant string; the result is a new descriptor or -1.
    let file = unsafe { libc::memfd_create(c"shaq".as_ptr(), 0) };
    assert!(file >= 0, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nothing else owns it.
    let file = unsafe { File::from_raw_fd(file) };
    file.set_len(len as u64).expect("size the memory");
    file
}

/// Returns the path at which another process opens the same memory.
pub fn address(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Opens the same memory in another process.
pub fn same_memory(address: &str) -> File {
    OpenOptions::new().read(true).write(true).open(address).expect("open the memory")
}

/// shaq's SPSC queue.
pub struct Shaq;

impl<const N: usize> IpcTransport<N> for Shaq {
    type Tx = (spsc::Producer<[u64; N]>, File);
    type Rx = spsc::Consumer<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let len = spsc::minimum_file_size::<[u64; N]>(capacity);
        let file = anonymous_memory(len);
        // SAFETY: created here, once; the other end uses the same type, which consists of plain
        // words.
        let tx = unsafe { spsc::Producer::create(&file, len) }.expect("a producer");
        let address = address(&file);
        (|| (tx, file), address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        // SAFETY: the only other end uses the same type, which consists of plain words.
        unsafe { spsc::Consumer::join(&same_memory(address)) }.expect("a consumer")
    }
}

impl<const N: usize> Send<N> for (spsc::Producer<[u64; N]>, File) {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        poll_until_some(|| self.0.try_write(*message).ok());
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        let mut left = messages.iter().peekable();
        poll_until_some(|| {
            let mut batch = self.0.write_batch();
            while let Some(message) = left.peek() {
                batch.try_write(**message).ok()?;
                left.next();
            }
            Some(())
        });
    }
}

impl<const N: usize> Receive<N> for spsc::Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = poll_until_some(|| self.try_read());
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        let most = NonZeroUsize::new(most).expect("at least one");
        poll_until_some(|| {
            let batch = self.try_reserve_read_batch(most)?;
            places.iter_mut().zip(&batch).for_each(|(place, message)| *place = *message);
            Some(batch.len())
        })
    }
}

/// shaq's SPSC queue, its receiver blocking in the queue's own call. There is no such call for
/// senders.
pub struct ShaqBlocking;

/// The receiving end.
pub struct Blocking<const N: usize>(spsc::Consumer<[u64; N]>);

impl<const N: usize> IpcTransport<N> for ShaqBlocking {
    type Tx = <Shaq as IpcTransport<N>>::Tx;
    type Rx = Blocking<N>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        Shaq::offer(capacity)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        Blocking(Shaq::attach(address, capacity))
    }
}

impl<const N: usize> Receive<N> for Blocking<N> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        // The longest possible timeout means forever.
        *place = self.0.read_timeout(Duration::MAX).expect("a message");
    }
}

/// Returns a producer of shaq's MPMC queue, and the queue's address; creates the queue if there is
/// none yet.
pub fn mpmc_producer<const N: usize>(existing: Option<&str>) -> (mpmc::Producer<[u64; N]>, String) {
    let len = mpmc::minimum_file_size::<[u64; N]>(CAPACITY);
    let file = existing.map_or_else(|| anonymous_memory(len), same_memory);
    // SAFETY: the first sender creates the queue, once; all ends use the same type, which consists
    // of plain words.
    let queue = match existing {
        None => unsafe { mpmc::Producer::create(&file, len) },
        Some(_) => unsafe { mpmc::Producer::join(&file) },
    };
    let address = address(&file);
    // The path leads to the memory for as long as this process has it open.
    std::mem::forget(file);
    (queue.expect("a producer"), address)
}

/// Returns a consumer of that queue.
pub fn mpmc_consumer<const N: usize>(address: &str) -> mpmc::Consumer<[u64; N]> {
    // SAFETY: all ends use the same type, which consists of plain words.
    unsafe { mpmc::Consumer::join(&same_memory(address)) }.expect("a consumer")
}

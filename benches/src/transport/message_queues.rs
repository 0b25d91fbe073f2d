//! System V and POSIX message queues, at their default size limits.

use std::ffi::CString;
use std::io;

use sysvring::zerocopy::IntoBytes;

use crate::transport::ends::fresh_name;
use crate::transport::traits::{IpcTransport, Receive, Send};

/// The type of all messages.
const KIND: libc::c_long = 1;

/// A message in the form that the calls take.
#[repr(C)]
struct Envelope<const N: usize> {
    kind: libc::c_long,
    message: [u64; N],
}

pub struct SysV;

/// The queue's identifier.
pub struct Queue(i32);

/// Removes a queue, which outlives its users.
pub fn remove_sysv(address: &str) {
    let id = address.parse().expect("a queue's identifier");
    // SAFETY: numbers only; this command takes no buffer.
    unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
}

impl<const N: usize> IpcTransport<N> for SysV {
    type Tx = Queue;
    type Rx = Queue;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        // SAFETY: numbers only.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        assert!(id >= 0, "msgget: {}", io::Error::last_os_error());
        (move || Queue(id), id.to_string())
    }

    fn attach(address: &str, _: usize) -> Queue {
        Queue(address.parse().expect("a queue's identifier"))
    }
}

impl<const N: usize> Send<N> for Queue {
    fn send(&mut self, message: &[u64; N]) {
        let envelope = Envelope { kind: KIND, message: *message };
        // SAFETY: the envelope outlives the call and has `N * 8` bytes after its type.
        let sent = unsafe { libc::msgsnd(self.0, (&raw const envelope).cast(), N * 8, 0) };
        assert!(sent == 0, "msgsnd: {}", io::Error::last_os_error());
    }
}

impl<const N: usize> Receive<N> for Queue {
    fn receive(&mut self, place: &mut [u64; N]) {
        let mut envelope = Envelope { kind: KIND, message: [0; N] };
        // SAFETY: as in `send`.
        let len = unsafe { libc::msgrcv(self.0, (&raw mut envelope).cast(), N * 8, 0, 0) };
        assert!(len == (N * 8) as isize, "msgrcv: {}", io::Error::last_os_error());
        *place = envelope.message;
    }
}

pub struct Posix;

/// The queue's descriptor.
pub struct Descriptor(libc::mqd_t);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: a number only; nothing else owns this descriptor.
        unsafe { libc::mq_close(self.0) };
    }
}

/// Opens a queue, or creates one for messages of `size` bytes.
fn open(name: &str, size: Option<usize>) -> Descriptor {
    let name = CString::new(name).expect("a name");
    // SAFETY: the attributes are numbers and may be zero; name and attributes outlive the call.
    let queue = unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        // The maximum without privileges.
        attributes.mq_maxmsg = 10;
        match size {
            Some(size) => {
                attributes.mq_msgsize = size as libc::c_long;
                let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
                libc::mq_open(name.as_ptr(), flags, 0o600, &raw mut attributes)
            }
            None => libc::mq_open(name.as_ptr(), libc::O_RDONLY),
        }
    };
    assert!(queue >= 0, "mq_open: {}", io::Error::last_os_error());
    Descriptor(queue)
}

impl<const N: usize> IpcTransport<N> for Posix {
    type Tx = Descriptor;
    type Rx = Descriptor;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let name = format!("/{}", fresh_name());
        let tx = open(&name, Some(N * 8));
        (|| tx, name)
    }

    fn attach(address: &str, _: usize) -> Descriptor {
        let queue = open(address, None);
        let name = CString::new(address).expect("a name");
        // SAFETY: the name outlives the call. The queue exists until its last user closes it.
        unsafe { libc::mq_unlink(name.as_ptr()) };
        queue
    }
}

impl<const N: usize> Send<N> for Descriptor {
    fn send(&mut self, message: &[u64; N]) {
        let bytes = message.as_bytes();
        // SAFETY: `bytes` outlives the call.
        let sent = unsafe { libc::mq_send(self.0, bytes.as_ptr().cast(), bytes.len(), 0) };
        assert!(sent == 0, "mq_send: {}", io::Error::last_os_error());
    }
}

impl<const N: usize> Receive<N> for Descriptor {
    fn receive(&mut self, place: &mut [u64; N]) {
        let bytes = place.as_mut_bytes();
        let (start, len) = (bytes.as_mut_ptr().cast(), bytes.len());
        // SAFETY: `start` has room for `len` bytes and outlives the call.
        let got = unsafe { libc::mq_receive(self.0, start, len, std::ptr::null_mut()) };
        assert!(got == len as isize, "mq_receive: {}", io::Error::last_os_error());
    }
}

//! POSIX message queues: the descriptors that another process can make readable by a name.
//!
//! A queue has the reach and the permissions of a System V object: it belongs to the IPC namespace,
//! and has a mode. Its messages here are single numbers.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, Result, check};

/// The number of messages in a queue; more than ten exceed the default `fs.mqueue.msg_max`.
pub(crate) const LENGTH: usize = 8;

/// The size of a message in bytes.
const SIZE: usize = size_of::<u32>();

/// An open message queue.
#[derive(Debug)]
pub(crate) struct Queue(OwnedFd);

impl Queue {
    /// Creates a queue that does not exist yet, for reading and writing, and locks it until this
    /// process has ended.
    ///
    /// # Errors
    /// The call that failed, and its errno: `EAGAIN` if another process locked or removed it first.
    pub(crate) fn create(
        name: &CStr,
        mode: u32,
    ) -> std::result::Result<Queue, (&'static str, Errno)> {
        let flags =
            libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NONBLOCK | libc::O_CLOEXEC;
        // SAFETY: all zeros is valid for these numbers.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = LENGTH as _;
        attributes.mq_msgsize = SIZE as _;
        // SAFETY: a string and attributes that live through the call.
        let fd = check(unsafe {
            libc::mq_open(name.as_ptr(), flags, mode as libc::mode_t, &raw mut attributes)
        })
        .map_err(|errno| ("mq_open", errno))?;
        // SAFETY: a new descriptor, which nobody else owns; on Linux a queue is a file.
        let queue = Queue(unsafe { OwnedFd::from_raw_fd(fd) });
        let is_named = || match queue.has_name() {
            Ok(true) => Ok(()),
            Ok(false) => Err(("flock", Errno::EAGAIN)),
            Err(errno) => Err(("fstat", errno)),
        };
        // The mode is exact, whatever the umask.
        let finished = (queue.set_mode(mode).map_err(|errno| ("fchmod", errno)))
            .and_then(|()| queue.lock().map_err(|errno| ("flock", errno)))
            .and_then(|()| is_named());
        if let Err(failed) = finished {
            let _ = unlink(name);
            return Err(failed);
        }
        Ok(queue)
    }

    /// Sets the permissions.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<()> {
        // SAFETY: an open descriptor, and a plain number.
        check(unsafe { libc::fchmod(self.0.as_raw_fd(), mode as libc::mode_t) }).map(drop)
    }

    /// Returns whether the queue has not been unlinked.
    fn has_name(&self) -> Result<bool> {
        Ok(self.stat()?.st_nlink != 0)
    }

    /// Returns the user that created it.
    pub(crate) fn owner(&self) -> Result<u32> {
        Ok(self.stat()?.st_uid)
    }

    fn stat(&self) -> Result<libc::stat> {
        // SAFETY: all zeros is valid for these numbers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: an open descriptor, and a structure that the kernel fills.
        check(unsafe { libc::fstat(self.0.as_raw_fd(), &raw mut stat) })?;
        Ok(stat)
    }

    /// Locks the queue; `EAGAIN` while another process that has locked it is alive.
    pub(crate) fn lock(&self) -> Result<()> {
        // SAFETY: an open descriptor, and a plain number.
        check(unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
    }

    /// Opens an existing queue for sending.
    pub(crate) fn open(name: &CStr) -> Result<Queue> {
        let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
        // SAFETY: a string that lives through the call.
        let fd = check(unsafe { libc::mq_open(name.as_ptr(), flags) })?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(Queue(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a number; `EAGAIN` if the queue is full. Safe in a signal handler.
    pub(crate) fn send(&self, number: u32) -> Result<()> {
        let bytes = number.to_ne_bytes();
        // SAFETY: an open queue, and as many bytes as are passed.
        check(unsafe { libc::mq_send(self.0.as_raw_fd(), bytes.as_ptr().cast(), SIZE, 0) })
            .map(drop)
    }

    /// Receives a number; `None` if the queue is empty. A message of another length is 0.
    pub(crate) fn receive(&self) -> Result<Option<u32>> {
        let mut bytes = [0; SIZE];
        // SAFETY: an open queue, and a buffer as long as its longest message.
        let received = unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            libc::mq_receive(self.0.as_raw_fd(), buffer, SIZE, std::ptr::null_mut())
        };
        match received {
            -1 if Errno::last() == Errno::EAGAIN => Ok(None),
            -1 => Err(Errno::last()),
            _ => Ok(Some(u32::from_ne_bytes(bytes))),
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Removes a queue's name; it disappears with its last descriptor.
pub(crate) fn unlink(name: &CStr) -> Result<()> {
    // SAFETY: a string that lives through the call.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_pass_until_the_queue_is_full() {
        let name = format!("/sysvring-test-{}\0", std::process::id());
        let name = CStr::from_bytes_with_nul(name.as_bytes()).unwrap();
        let queue = Queue::create(name, 0o600).unwrap();
        assert_eq!(Queue::create(name, 0o600).unwrap_err(), ("mq_open", Errno::EEXIST));
        let sender = Queue::open(name).unwrap();
        assert_eq!(sender.lock(), Err(Errno::EAGAIN));
        unlink(name).unwrap();
        assert_eq!(unlink(name), Err(Errno::ENOENT));
        assert_eq!(Queue::open(name).unwrap_err(), Errno::ENOENT);
        for number in 0..LENGTH as u32 {
            assert_eq!(sender.send(number), Ok(()));
        }
        assert_eq!(sender.send(9), Err(Errno::EAGAIN));
        for number in 0..LENGTH as u32 {
            assert_eq!(queue.receive(), Ok(Some(number)));
        }
        assert_eq!(queue.receive(), Ok(None));
    }
}

//! The meaning of the errno of a call that creates, attaches or asks for an object, and its remedy.

mod limits;

use crate::error::{Error, Permissions};
use crate::sysv::Errno;
use crate::sysv::{cgroup, process, sem, shm};

/// A failed call and the channel it was made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    name: &'static str,
    channel: &'a str,
    object: Option<Object>,
}

/// The object that a call was made on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object {
    Segment(i32),
    Set(i32),
}

impl Object {
    /// Returns whom it admits, which needs no permission for it since Linux 4.17.
    fn permissions(self) -> Option<Permissions> {
        match self {
            Object::Segment(id) => {
                let stat = shm::list().ok()?.into_iter().find(|stat| stat.id == id)?;
                let (uid, gid, mode) = (stat.uid, stat.gid, stat.mode);
                Some(Permissions { object: "segment", uid, gid, mode })
            }
            Object::Set(id) => {
                let stat = sem::list().ok()?.into_iter().find(|stat| stat.id == id)?;
                let (uid, gid, mode) = (stat.uid, stat.gid, stat.mode);
                Some(Permissions { object: "set", uid, gid, mode })
            }
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(name: &'static str, channel: &'a str) -> Call<'a> {
        Call { name, channel, object: None }
    }

    /// Names the object that the call was made on.
    pub(crate) fn on(self, object: Object) -> Call<'a> {
        Call { object: Some(object), ..self }
    }

    /// Returns the error for an errno that has no more specific meaning.
    ///
    /// A mode that does not admit the caller is `EACCES`. `EPERM` is of commands that need an owner or
    /// a capability ([`denied`](Call::denied), [`lock`](Call::lock), huge pages); any other call
    /// returns it if a filter refuses it.
    pub(crate) fn error(self, errno: Errno) -> Error {
        let Call { name: call, channel, .. } = self;
        match errno {
            Errno::EACCES => self.denied(),
            Errno::EPERM | Errno::ENOSYS => self.refused(errno),
            Errno::ENOSPC => self.limit(
                errno,
                "the kernel's limit on semaphore undo records is reached; close channels, or stop \
                 other processes that use SEM_UNDO",
            ),
            Errno::ENOMEM => self.limit(errno, "out of memory; free some and try again"),
            Errno::E2BIG => self.limit(errno, limits::operations()),
            Errno::ERANGE => self.limit(
                errno,
                "a semaphore of this channel was set to its maximum from outside; remove the \
                 channel",
            ),
            Errno::ENFILE => self.limit(
                errno,
                "the system has too many open files, and each segment counts as one; raise \
                 fs.file-max, or close some",
            ),
            errno => Error::System { call, channel: channel.into(), source: errno.into() },
        }
    }

    /// Returns the error for a call that neither a mode nor an owner refuses.
    fn refused(self, errno: Errno) -> Error {
        Error::CallRefused { channel: self.channel.into(), call: self.name, errno: errno.0 }
    }

    /// Returns the error for an object whose mode or whose owner does not permit the call.
    pub(crate) fn denied(self) -> Error {
        let permissions = self.object.and_then(Object::permissions);
        Error::PermissionDenied { channel: self.channel.into(), call: self.name, permissions }
    }

    /// Returns the error for an object that does not exist, or not any more.
    pub(crate) fn not_found(self) -> Error {
        Error::NotFound { channel: self.channel.into() }
    }

    /// Returns the error for an existing object that could not be looked at.
    pub(crate) fn look(self, errno: Errno) -> Error {
        match (self.object, errno) {
            (Some(Object::Segment(id)), Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE) => {
                let bytes = shm::stat(id).map_or(0, |stat| stat.size as usize);
                self.segment(errno, bytes, false)
            }
            _ => self.error(errno),
        }
    }

    /// Returns the error for an object that could not be removed, which belongs to these users.
    pub(crate) fn removal(self, errno: Errno, users: [u32; 2]) -> Error {
        match errno {
            // To its owner and to its creator, removal is permitted.
            Errno::EACCES | Errno::EPERM if !users.contains(&process::euid()) => self.denied(),
            errno => self.error(errno),
        }
    }

    /// Returns the error for a segment of `bytes` that could not be created or attached.
    pub(crate) fn segment(self, errno: Errno, bytes: usize, huge: bool) -> Error {
        if huge && let Some(advice) = limits::huge_pages(errno, bytes) {
            return self.limit(errno, advice);
        }
        match errno {
            Errno::EINVAL => self.limit(
                errno,
                format!(
                    "a segment of {bytes} bytes exceeds {}; raise it, or use fewer or smaller slots",
                    limits::segment_size()
                ),
            ),
            Errno::ENOSPC => self.limit(errno, limits::segments(bytes)),
            Errno::ENOMEM => self.limit(
                errno,
                format!(
                    "there is not enough memory or address space for {bytes} bytes; use fewer \
                     or smaller slots, or raise the memory limits of this process or cgroup"
                ),
            ),
            // The kernel has no other reason for it: a mapping that would have to be locked.
            Errno::EAGAIN => self.limit(
                errno,
                format!(
                    "this process locks all memory that it maps (mlockall with MCL_FUTURE), and \
                     {bytes} bytes more exceed {}; raise it (ulimit -l), use fewer or smaller \
                     slots, or do without MCL_FUTURE",
                    limits::locked_memory()
                ),
            ),
            Errno::EMFILE => {
                self.limit(errno, "too many segments are attached to this process; close channels")
            }
            errno => self.error(errno),
        }
    }

    /// Returns the error for a set of `semaphores` that could not be created.
    pub(crate) fn set(self, errno: Errno, semaphores: i32) -> Error {
        match errno {
            Errno::ENOSPC => self.limit(errno, limits::sets(semaphores)),
            Errno::EINVAL => self.limit(errno, limits::semaphores(semaphores)),
            errno => self.error(errno),
        }
    }

    /// Returns the error for a segment that could not be locked in memory.
    pub(crate) fn lock(self, errno: Errno, bytes: usize) -> Error {
        let advice = format!(
            "locking {bytes} bytes exceeds {}, and the process lacks CAP_IPC_LOCK; raise the limit, \
             or do without lock_memory",
            limits::locked_memory()
        );
        match errno {
            Errno::EPERM | Errno::ENOMEM => self.limit(errno, advice),
            errno => self.error(errno),
        }
    }

    /// Returns the error for a segment of `bytes` whose pages could not be had.
    pub(crate) fn populate(self, errno: Errno, bytes: usize, huge: bool) -> Error {
        match errno {
            Errno::EFAULT => self.limit(errno, limits::missing_pages(bytes, huge)),
            Errno::EHWPOISON => self.limit(
                errno,
                "a page of the segment has a hardware memory error; remove the channel, create it \
                 again, and check the memory of this machine",
            ),
            errno => self.segment(errno, bytes, false),
        }
    }

    /// Returns the error for `bytes` more of memory, if the control group of this process can never
    /// have that many: the kernel would kill a process instead of reporting it. `swaps`: whether
    /// they can be moved to swap.
    pub(crate) fn beyond_cgroup(self, bytes: usize, swaps: bool) -> Option<Error> {
        let limit = cgroup::memory_limit(swaps).filter(|limit| limit.bytes < bytes as u64)?;
        let advice = format!(
            "the channel needs {bytes} bytes of memory, and a control group of this process allows \
             {} bytes ({}); raise that limit, use fewer or smaller slots, or, if most of each slot \
             stays unused, prefault(false)",
            limit.bytes,
            limit.file.display(),
        );
        Some(self.limit(Errno::ENOMEM, advice))
    }

    /// Returns the error for a doorbell that could not be made: a message queue, and descriptors.
    pub(crate) fn doorbell(self, errno: Errno) -> Error {
        match errno {
            Errno::ENOSPC if self.name == "epoll_ctl" => self.limit(
                errno,
                "its user watches too many descriptors; raise fs.epoll.max_user_watches",
            ),
            Errno::ENOSPC => self.limit(
                errno,
                "the limit on message queues is reached; raise fs.mqueue.queues_max, or remove \
                 queues: sysvring::reap() removes those of dead processes, `ls /dev/mqueue` lists \
                 the rest",
            ),
            Errno::EMFILE if self.name != "mq_open" => self.limit(
                errno,
                "the process has too many descriptors (ulimit -n); raise the limit, or close some",
            ),
            Errno::EMFILE => self.limit(
                errno,
                "the process has too many descriptors (ulimit -n), or its user too many bytes in \
                 message queues (ulimit -q); raise the limit, or close some",
            ),
            Errno::ENFILE => self.limit(
                errno,
                "the system has too many open files; raise fs.file-max, or close some",
            ),
            // These have no mode.
            Errno::EACCES if self.name != "mq_open" => self.refused(errno),
            Errno::EINVAL if self.name == "mq_open" => self.limit(
                errno,
                "a queue of 8 messages of 4 bytes is not permitted; raise fs.mqueue.msg_max and \
                 fs.mqueue.msgsize_max",
            ),
            errno => self.error(errno),
        }
    }

    fn limit(self, errno: Errno, advice: impl Into<String>) -> Error {
        Error::Limit {
            channel: self.channel.into(),
            call: self.name,
            errno: errno.0,
            advice: advice.into(),
        }
    }
}

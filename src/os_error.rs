//! The meaning of the errno of a call that creates or attaches an object, and its remedy.

use crate::error::Error;
use crate::sysv::{Errno, memory};

/// A failed call and the channel it was made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    pub(crate) channel: &'a str,
}

impl Call<'_> {
    /// Returns the error for an errno that has no more specific meaning.
    pub(crate) fn error(self, errno: Errno) -> Error {
        let Call { name: call, channel } = self;
        match errno {
            Errno::EACCES | Errno::EPERM => {
                Error::PermissionDenied { channel: channel.into(), call }
            }
            Errno::ENOSPC => self.limit(
                errno,
                "the kernel's limit on semaphore undo records is reached; close channels, or stop \
                 other processes that use SEM_UNDO",
            ),
            Errno::ENOMEM => self.limit(errno, "out of memory; free some and try again"),
            Errno::E2BIG => self.limit(
                errno,
                "joining needs more operations per semop than the kernel allows; raise SEMOPM \
                 (third value of kernel.sem)",
            ),
            Errno::ERANGE => self.limit(
                errno,
                "a semaphore of this channel was set to its maximum from outside; remove the \
                 channel",
            ),
            Errno::ENOSYS => self.limit(
                errno,
                "the system call is missing in this kernel or blocked by a sandbox; allow it, or \
                 use another kernel",
            ),
            errno => Error::System { call, channel: channel.into(), source: errno.into() },
        }
    }

    /// Returns the error for a segment of `bytes` that could not be created or attached.
    pub(crate) fn segment(self, errno: Errno, bytes: usize, huge: bool) -> Error {
        match errno {
            Errno::ENOMEM | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM if huge => {
                self.limit(errno, huge_pages(errno, bytes))
            }
            Errno::EINVAL => self.limit(
                errno,
                format!(
                    "a segment of {bytes} bytes exceeds kernel.shmmax; raise it, or use fewer or \
                     smaller slots"
                ),
            ),
            Errno::ENOSPC => self.limit(
                errno,
                "the limit on segments (kernel.shmmni) or on shared pages (kernel.shmall) is \
                 reached; raise it, or remove segments: sysvring::reap() removes those of dead \
                 processes, `ipcs -m` lists the rest",
            ),
            Errno::ENOMEM => self.limit(
                errno,
                format!(
                    "there is not enough memory or address space for {bytes} bytes; use fewer \
                     or smaller slots, or raise the memory limits of this process or cgroup"
                ),
            ),
            Errno::EMFILE => {
                self.limit(errno, "too many segments are attached to this process; close channels")
            }
            errno => self.error(errno),
        }
    }

    /// Returns the error for a semaphore set that could not be created.
    pub(crate) fn set(self, errno: Errno) -> Error {
        match errno {
            Errno::ENOSPC => self.limit(
                errno,
                "the limit on semaphore sets (SEMMNI) or semaphores (SEMMNS, both in kernel.sem) \
                 is reached; raise it, or remove sets: sysvring::reap() removes those of dead \
                 processes, `ipcs -s` lists the rest",
            ),
            Errno::EINVAL => self.limit(
                errno,
                "the channel needs more semaphores per set than the kernel allows; raise SEMMSL \
                 (first value of kernel.sem), or use fewer members",
            ),
            errno => self.error(errno),
        }
    }

    /// Returns the error for a segment that could not be locked in memory.
    pub(crate) fn lock(self, errno: Errno, bytes: usize) -> Error {
        let advice = format!(
            "locking {bytes} bytes exceeds RLIMIT_MEMLOCK, and the process lacks CAP_IPC_LOCK; \
             raise the limit, or do without lock_memory"
        );
        match errno {
            Errno::EPERM | Errno::ENOMEM => self.limit(errno, advice),
            errno => self.error(errno),
        }
    }

    /// Returns the error for a doorbell that could not be made: a message queue, and descriptors.
    pub(crate) fn doorbell(self, errno: Errno) -> Error {
        match errno {
            Errno::ENOSPC => self.limit(
                errno,
                "the limit on message queues is reached; raise fs.mqueue.queues_max, or remove \
                 queues: sysvring::reap() removes those of dead processes, `ls /dev/mqueue` lists \
                 the rest",
            ),
            Errno::EMFILE | Errno::ENFILE => self.limit(
                errno,
                "the process has too many descriptors (ulimit -n), or its user too many bytes in \
                 message queues (ulimit -q); raise the limit, or close some",
            ),
            errno => self.error(errno),
        }
    }

    fn limit(self, errno: Errno, advice: impl Into<String>) -> Error {
        Error::Limit { call: self.name, errno: errno.0, advice: advice.into() }
    }
}

fn huge_pages(errno: Errno, bytes: usize) -> String {
    let Some(size) = memory::huge_page_size() else {
        return "this kernel does not support huge pages; do without huge_pages".into();
    };
    if errno == Errno::EPERM {
        return "huge pages need CAP_IPC_LOCK or membership of the group in vm.hugetlb_shm_group; \
                add one of these, or do without huge_pages"
            .into();
    }
    format!(
        "the segment needs {} huge pages of {} KiB, but only {} are free; raise \
         vm.nr_hugepages, or do without huge_pages",
        bytes.div_ceil(size),
        size / 1024,
        memory::free_huge_pages(),
    )
}

//! What the errno of a call that makes something means, and what to do about it.

use crate::error::Error;
use crate::sysv::{Errno, memory};

/// Which call failed on which channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    pub(crate) channel: &'a str,
}

impl Call<'_> {
    /// The error for an errno without a better name.
    pub(crate) fn error(self, errno: Errno) -> Error {
        let Call { name: call, channel } = self;
        match errno {
            Errno::EACCES | Errno::EPERM => {
                Error::PermissionDenied { channel: channel.into(), call }
            }
            Errno::ENOSPC => self.limit(
                errno,
                "a kernel limit on semaphore undo records is reached; end other users of semaphores",
            ),
            Errno::ENOMEM => self.limit(errno, "the system is out of memory; free some"),
            Errno::E2BIG => self.limit(
                errno,
                "the kernel allows fewer operations at once than joining takes (kernel.sem: SEMOPM); \
                 raise it",
            ),
            Errno::ERANGE => self.limit(
                errno,
                "a semaphore of the channel is at its limit, where somebody set it; remove the channel",
            ),
            Errno::ENOSYS => self.limit(
                errno,
                "this kernel, or a sandbox, has no such call; allow it, or run elsewhere",
            ),
            errno => Error::System { call, channel: channel.into(), source: errno.into() },
        }
    }

    /// A segment of `bytes` could not be made or attached.
    pub(crate) fn segment(self, errno: Errno, bytes: usize, huge: bool) -> Error {
        match errno {
            Errno::ENOMEM | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM if huge => {
                self.limit(errno, huge_pages(errno, bytes))
            }
            Errno::EINVAL => self.limit(
                errno,
                format!(
                    "a segment of {bytes} bytes is more than kernel.shmmax allows; raise it, or take \
                     fewer or smaller slots"
                ),
            ),
            Errno::ENOSPC => self.limit(
                errno,
                "there are kernel.shmmni segments already, or kernel.shmall pages of them; raise that, or \
                 remove some: sysvring::reap() what dead processes left, `ipcs -m` shows the rest",
            ),
            Errno::ENOMEM => self.limit(
                errno,
                format!(
                    "there is no memory or address space for {bytes} bytes; take fewer or smaller \
                     slots, or look at the limits of this process and its control group"
                ),
            ),
            Errno::EMFILE => {
                self.limit(errno, "this process has too many segments attached; close some channels")
            }
            errno => self.error(errno),
        }
    }

    /// A set could not be made.
    pub(crate) fn set(self, errno: Errno) -> Error {
        match errno {
            Errno::ENOSPC => self.limit(
                errno,
                "the kernel's limits on semaphore sets or semaphores (kernel.sem: SEMMNI, SEMMNS) \
                 are reached; raise them, or remove some: sysvring::reap() what dead processes left, \
                 `ipcs -s` shows the rest",
            ),
            Errno::EINVAL => self.limit(
                errno,
                "the kernel allows fewer semaphores in a set than a channel has (kernel.sem: \
                 SEMMSL); raise it",
            ),
            errno => self.error(errno),
        }
    }

    /// A segment could not be locked in memory.
    pub(crate) fn lock(self, errno: Errno, bytes: usize) -> Error {
        let advice = format!(
            "locking {bytes} bytes needs RLIMIT_MEMLOCK that large, or CAP_IPC_LOCK; raise it, or do \
             without lock_memory"
        );
        match errno {
            Errno::EPERM | Errno::ENOMEM => self.limit(errno, advice),
            errno => self.error(errno),
        }
    }

    fn limit(self, errno: Errno, advice: impl Into<String>) -> Error {
        Error::Limit { call: self.name, errno: errno.0, advice: advice.into() }
    }
}

fn huge_pages(errno: Errno, bytes: usize) -> String {
    let Some(size) = memory::huge_page_size() else {
        return "this kernel has no huge pages; do without huge_pages".into();
    };
    if errno == Errno::EPERM {
        return "huge pages need CAP_IPC_LOCK or the group in vm.hugetlb_shm_group; do without \
                huge_pages otherwise"
            .into();
    }
    format!(
        "the segment needs {} huge pages of {} KiB and {} are free; raise vm.nr_hugepages, or do \
         without huge_pages",
        bytes.div_ceil(size),
        size / 1024,
        memory::free_huge_pages(),
    )
}

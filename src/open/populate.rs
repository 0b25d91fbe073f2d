//! Making the pages of a segment present before anything touches them.
//!
//! A page that cannot be had at its first access is a signal (SIGBUS) where huge pages are free but
//! not permitted, and the end of some process where the control group has no more memory. Therefore
//! the kernel is asked for the pages by a call that reports failures, before the header is written,
//! and a ring that the control group can never hold is refused. Pages that are not made present here
//! remain at risk: those of large segments behind the header, unless the options ask for them.

use super::{Finished, Opening, Try};
use crate::error::Error;
use crate::options::PREFAULT_UP_TO;
use crate::sysv::shm::Mapping;
use crate::sysv::{Errno, cgroup, memory};

/// The minimum size in bytes of what is compared with the limit of the control group, which takes
/// longer than opening a small channel. No process can live in a group that has less.
const COMPARED_FROM: usize = 1 << 20;

impl Opening<'_> {
    /// Returns whether all pages of a segment of `total` bytes are to be present.
    fn wants_all(&self, total: usize) -> bool {
        self.options.prefault.unwrap_or(total <= PREFAULT_UP_TO)
    }

    /// Makes pages of a new segment of `total` bytes present: all that the options ask for, but at
    /// least the header. All huge pages, whatever the options say: that one is reserved does not
    /// make it certain.
    pub(super) fn populate_new(&self, mapping: &Mapping, total: usize) -> Result<(), Error> {
        let huge = self.options.huge_pages;
        let whole = huge || self.wants_all(total);
        if huge {
            let limit = memory::huge_page_size().and_then(cgroup::huge_page_limit);
            if limit.is_some_and(|limit| limit.bytes < total as u64) {
                return Err(self.call("madvise").populate(Errno::EFAULT, total, huge));
            }
        } else {
            self.compare(total, || total)?;
        }
        let header = self.plan.geometry.header_size.min(total);
        self.populate(mapping, if whole { total } else { header }, total, huge)
    }

    /// Prepares the memory of a finished segment. This comes before the seat: a member that joins and
    /// gives up again would end the streams of those that had waited for it.
    pub(super) fn prepare(&self, found: &Finished) -> Try<()> {
        // The creator has done it before the segment was a channel.
        if !found.is_new {
            self.populate_existing(&found.mapping, found.facts.geometry.total)?;
        }
        self.leave_out_of_dumps(&found.mapping, found.stat.size)
    }

    /// Makes all pages of an existing segment present, if the options ask for it.
    fn populate_existing(&self, mapping: &Mapping, total: usize) -> Result<(), Error> {
        // What is there is charged to those that touched it first.
        self.compare(total, || memory::missing(mapping.base(), total))?;
        match self.wants_all(total) {
            true => self.populate(mapping, total, total, false),
            false => Ok(()),
        }
    }

    /// Fails if the control group can never have so many bytes of a segment of `total` bytes, unless
    /// the options say that not all of them will be needed.
    fn compare(&self, total: usize, bytes: impl FnOnce() -> usize) -> Result<(), Error> {
        if total < COMPARED_FROM || self.options.prefault == Some(false) {
            return Ok(());
        }
        let swaps = !self.options.lock_memory;
        self.call("madvise").beyond_cgroup(bytes(), swaps).map_or(Ok(()), Err)
    }

    fn populate(
        &self,
        mapping: &Mapping,
        len: usize,
        total: usize,
        huge: bool,
    ) -> Result<(), Error> {
        // SAFETY: a part of the segment, attached for writing; its creator or `examine` made sure of
        // its length.
        let done = unsafe { memory::prefault(mapping.base(), len) };
        done.map_err(|errno| self.call("madvise").populate(errno, total, huge))
    }

    /// Leaves the segment out of core dumps of this process, if it is large or the options ask for
    /// it.
    fn leave_out_of_dumps(&self, mapping: &Mapping, size: u64) -> Try<()> {
        let asked = self.options.core_dumps;
        match mapping.leave_out_of_dumps(size, asked) {
            // Otherwise it is a default, which some sandbox does not know.
            Err(errno) if asked == Some(false) => Err(self.call("madvise").error(errno).into()),
            _ => Ok(()),
        }
    }
}

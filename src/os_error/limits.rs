//! Which limit is reached, as far as the kernel tells, and how to raise it.

use crate::flavor::SPSC_SEATS;
use crate::liveness;
use crate::sysv::{Errno, cgroup, limits, memory};

/// What removes segments and sets that take room.
fn leftovers(list: &str) -> String {
    format!("sysvring::reap() removes those of dead processes, `{list}` lists the rest")
}

/// Returns the name of a limit, with its value if that is known.
fn with_value(name: &str, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{name} ({bytes} bytes)"),
        None => name.into(),
    }
}

/// Returns the limit on the size of a segment.
pub(super) fn segment_size() -> String {
    let known = limits::of_segments().ok().map(|known| known.bytes);
    with_value("kernel.shmmax", known.filter(|bytes| *bytes != 0))
}

/// Returns the limit on locked memory.
pub(super) fn locked_memory() -> String {
    with_value("RLIMIT_MEMLOCK", limits::of_locked_memory())
}

/// Returns the advice for a segment of `bytes` for which there is no room.
pub(super) fn segments(bytes: usize) -> String {
    let pages = bytes.div_ceil(memory::page_size()) as u64;
    let reached = match limits::of_segments() {
        Ok(known) if is_reached(known.segments, known.segments_in_use, 1) => {
            format!("all {} segments (kernel.shmmni) are in use", known.segments)
        }
        Ok(known) if is_reached(known.pages, known.pages_in_use, pages) => format!(
            "{} of {} shared pages (kernel.shmall) are in use, and the segment needs {pages}",
            known.pages_in_use, known.pages
        ),
        _ => "the limit on segments (kernel.shmmni) or on shared pages (kernel.shmall) is reached"
            .into(),
    };
    format!("{reached}; raise the limit, or remove segments: {}", leftovers("ipcs -m"))
}

/// Returns the advice for a set of `semaphores` for which there is no room.
pub(super) fn sets(semaphores: i32) -> String {
    let reached = match limits::of_sets() {
        Ok(known) if is_reached(known.sets, known.sets_in_use, 1) => {
            format!(
                "all {} semaphore sets (SEMMNI, 4th value of kernel.sem) are in use",
                known.sets
            )
        }
        Ok(known) if is_reached(known.semaphores, known.semaphores_in_use, semaphores as u64) => {
            format!(
                "{} of {} semaphores (SEMMNS, 2nd value of kernel.sem) are in use, and the channel \
                 needs {semaphores}",
                known.semaphores_in_use, known.semaphores
            )
        }
        _ => "the limit on semaphore sets (SEMMNI) or semaphores (SEMMNS, both in kernel.sem) is \
              reached"
            .into(),
    };
    format!("{reached}; raise the limit, or remove sets: {}", leftovers("ipcs -s"))
}

/// Returns the advice for a set that may not have as many `semaphores`.
pub(super) fn semaphores(semaphores: i32) -> String {
    let allowed = match limits::of_sets() {
        Ok(known) if known.per_set != 0 => known.per_set.to_string(),
        _ => "fewer".into(),
    };
    // The set of two members is the smallest.
    let members = match semaphores > liveness::semaphores(SPSC_SEATS) {
        true => ", or use fewer members",
        false => "",
    };
    format!(
        "the channel needs {semaphores} semaphores in its set, and the kernel allows {allowed} \
         (SEMMSL, 1st value of kernel.sem); raise it{members}"
    )
}

/// Returns the advice for a `semop` of more operations than are allowed.
pub(super) fn operations() -> String {
    let allowed = match limits::of_sets() {
        Ok(known) if known.operations != 0 => known.operations.to_string(),
        _ => "fewer".into(),
    };
    format!(
        "joining needs up to 16 operations in one semop, and the kernel allows {allowed}; raise \
         SEMOPM (3rd value of kernel.sem)"
    )
}

/// Returns the advice for a segment in huge pages; `None` if they are not the reason.
pub(super) fn huge_pages(errno: Errno, bytes: usize) -> Option<String> {
    match errno {
        Errno::EPERM => {
            return Some(
                "huge pages need CAP_IPC_LOCK or membership of the group in \
                 vm.hugetlb_shm_group; add one of these, or do without huge_pages"
                    .into(),
            );
        }
        Errno::ENOMEM | Errno::EINVAL | Errno::ENOSYS => {}
        _ => return None,
    }
    if !memory::has_meminfo() {
        return Some(
            "no huge pages could be had, and the reason is not known without /proc/meminfo; mount \
             /proc and check vm.nr_hugepages, or do without huge_pages"
                .into(),
        );
    }
    let Some(size) = memory::huge_page_size() else {
        return Some("this kernel does not support huge pages; do without huge_pages".into());
    };
    let (needed, free) = (bytes.div_ceil(size), memory::free_huge_pages());
    // Otherwise the call is refused, or another limit is reached.
    let is_reason = errno != Errno::ENOSYS && (free < needed || errno == Errno::ENOMEM);
    is_reason.then(|| {
        format!(
            "the segment needs {needed} huge pages of {} KiB, but only {free} are free; raise \
             vm.nr_hugepages, or do without huge_pages",
            size / 1024,
        )
    })
}

/// Returns the advice where a page cannot be had although memory for it is free or reserved.
pub(super) fn missing_pages(bytes: usize, huge: bool) -> String {
    let limit = memory::huge_page_size().and_then(cgroup::huge_page_limit);
    match limit.filter(|_| huge) {
        Some(limit) => format!(
            "the segment needs {bytes} bytes in huge pages, and a control group of this process \
             allows {} bytes ({}); raise that limit, or do without huge_pages",
            limit.bytes,
            limit.file.display(),
        ),
        None => format!(
            "not all pages of the {bytes} bytes of the segment can be had; if it has huge pages, \
             raise the limit of the hugetlb control group (hugetlb.*.max), allow more nodes \
             (cpuset), or do without huge_pages"
        ),
    }
}

fn is_reached(limit: u64, in_use: u64, needed: u64) -> bool {
    limit != 0 && in_use.saturating_add(needed) > limit
}

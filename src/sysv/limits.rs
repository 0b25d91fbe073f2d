//! The limits of this IPC namespace, and how much of them is in use.

use super::{Result, check};

const IPC_INFO: libc::c_int = 3;
const SHM_INFO: libc::c_int = 14;
const SEM_INFO: libc::c_int = 19;

/// The limits on segments, and their use. A limit that the kernel does not tell is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentLimits {
    /// SHMMNI.
    pub(crate) segments: u64,
    pub(crate) segments_in_use: u64,
    /// SHMALL.
    pub(crate) pages: u64,
    pub(crate) pages_in_use: u64,
    /// SHMMAX.
    pub(crate) bytes: u64,
}

/// The limits on sets, and their use. A limit that the kernel does not tell is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetLimits {
    /// SEMMNI.
    pub(crate) sets: u64,
    pub(crate) sets_in_use: u64,
    /// SEMMNS.
    pub(crate) semaphores: u64,
    pub(crate) semaphores_in_use: u64,
    /// SEMMSL.
    pub(crate) per_set: u64,
    /// SEMOPM.
    pub(crate) operations: u64,
}

/// The kernel's `shminfo64`, and, smaller, its `shm_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Words([u64; 9]);

/// Returns the limits on segments.
pub(crate) fn of_segments() -> Result<SegmentLimits> {
    let query = |command| -> Result<[u64; 9]> {
        let mut words = Words::default();
        // SAFETY: both commands write at most a `shminfo64`, which has nine words.
        check(unsafe { libc::shmctl(0, command, (&raw mut words).cast()) })?;
        Ok(words.0)
    };
    let [bytes, _, segments, _, pages, ..] = query(IPC_INFO)?;
    // The first word of `shm_info` is a number of 32 bits and padding.
    let [segments_in_use, pages_in_use, ..] = query(SHM_INFO)?;
    let segments_in_use = segments_in_use & u64::from(u32::MAX);
    Ok(SegmentLimits { segments, segments_in_use, pages, pages_in_use, bytes })
}

/// Returns the bytes that this process may lock in memory (RLIMIT_MEMLOCK); `None` without a limit.
pub(crate) fn of_locked_memory() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one `rlimit`.
    check(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }).ok()?;
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The kernel's `seminfo`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SemInfo {
    semmap: i32,
    semmni: i32,
    semmns: i32,
    semmnu: i32,
    semmsl: i32,
    semopm: i32,
    semume: i32,
    semusz: i32,
    semvmx: i32,
    semaem: i32,
}

/// Returns the limits on sets.
pub(crate) fn of_sets() -> Result<SetLimits> {
    let query = |command| -> Result<SemInfo> {
        let mut info = SemInfo::default();
        // SAFETY: both commands write one `seminfo`.
        check(unsafe { libc::semctl(0, 0, command, &raw mut info) })?;
        Ok(info)
    };
    let (limits, used) = (query(IPC_INFO)?, query(SEM_INFO)?);
    let number = |n: i32| u64::try_from(n).unwrap_or(0);
    Ok(SetLimits {
        sets: number(limits.semmni),
        sets_in_use: number(used.semusz),
        semaphores: number(limits.semmns),
        semaphores_in_use: number(used.semaem),
        per_set: number(limits.semmsl),
        operations: number(limits.semopm),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sem::{Set, SetLookup};
    use super::*;

    /// Reads the numbers of a file.
    fn numbers(path: &str) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|number| number.parse().unwrap()).collect()
    }

    #[test]
    fn limits_are_those_of_the_system() {
        let (of_segments, of_sets) = (of_segments().unwrap(), of_sets().unwrap());
        let sysctl = |name: &str| numbers(&format!("/proc/sys/kernel/{name}"));
        assert_eq!([of_segments.segments], *sysctl("shmmni"));
        assert_eq!([of_segments.pages], *sysctl("shmall"));
        assert_eq!([of_segments.bytes], *sysctl("shmmax"));
        let SetLimits { per_set, semaphores, operations, sets, .. } = of_sets;
        assert_eq!([per_set, semaphores, operations, sets], *sysctl("sem"));
    }

    #[test]
    fn what_is_in_use_is_counted() {
        let set = Set::get(libc::IPC_PRIVATE, 77, SetLookup::New { mode: 0o600 }).unwrap();
        let used = of_sets().unwrap();
        set.remove().unwrap();
        assert!(used.sets_in_use >= 1 && used.semaphores_in_use >= 77, "{used:?}");
    }
}

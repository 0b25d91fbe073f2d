//! The kernel's limits on System V objects and message queues, and how much of them is in use.

use std::fs;

use super::{Finding, number, numbers, unknown};
use crate::{channel, units};

/// A limit is a problem from this share on.
const NEARLY: f64 = 0.9;
/// Semaphores of the largest channel: 12, and one for each of 254 seats.
const SEMAPHORES_MAX: u64 = 266;
/// Operations of the longest `semop`.
const OPERATIONS_MAX: u64 = 16;

pub fn check() -> Vec<Finding> {
    let mut findings = vec![segments(), memory()];
    findings.extend(semaphores());
    findings.extend([queues(), removal()]);
    findings
}

/// Returns the lines of a table of /proc, without its headings, as words.
fn table(path: &str) -> Option<Vec<Vec<u64>>> {
    let text = fs::read_to_string(path).ok()?;
    let words =
        |line: &str| line.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    Some(text.lines().skip(1).map(words).collect())
}

/// Returns a finding on a number of objects and its limit.
fn used(
    check: &'static str,
    what: &str,
    used: u64,
    limit: u64,
    remedy: impl FnOnce(u64) -> String,
) -> Finding {
    let found = format!("{used} of {limit} {what} are in use");
    if used as f64 >= NEARLY * limit as f64 {
        let remedy = remedy((2 * limit).max(used));
        return Finding::problem(
            check,
            found,
            format!("`sysvring reap` removes what dead processes left; then {remedy}"),
        );
    }
    Finding::fine(check, found)
}

fn segments() -> Finding {
    let (path, in_use) = ("/proc/sys/kernel/shmmni", "/proc/sysvipc/shm");
    let Some((limit, table)) = number(path).zip(table(in_use)) else {
        return unknown("segments", in_use);
    };
    used("segments", "segments", table.len() as u64, limit, |more| {
        format!("`sysctl -w kernel.shmmni={}`, at most 32768", more.min(32_768))
    })
}

/// The sizes: `shmmax` of one segment, `shmall` pages of all.
fn memory() -> Finding {
    let path = "/proc/sys/kernel/shmall";
    let (Some(pages), Some(max), Some(table)) =
        (number(path), number("/proc/sys/kernel/shmmax"), table("/proc/sysvipc/shm"))
    else {
        return unknown("segment-memory", path);
    };
    let size: u64 = table.iter().filter_map(|line| line.get(3)).sum();
    let limit = pages.saturating_mul(4096);
    if max < 16 << 20 {
        let found = format!("a segment may have {} at most", units::size(max));
        return Finding::problem(
            "segment-memory",
            found,
            "`sysctl -w kernel.shmmax=18446744073692774399` is the default of the kernel",
        );
    }
    let found =
        format!("segments have {} of {} that are allowed", units::size(size), units::size(limit));
    match size as f64 >= NEARLY * limit as f64 {
        true => Finding::problem(
            "segment-memory",
            found,
            format!("`sysctl -w kernel.shmall={}`", pages.saturating_mul(2)),
        ),
        false => Finding::fine("segment-memory", found),
    }
}

fn semaphores() -> Vec<Finding> {
    let path = "/proc/sys/kernel/sem";
    let (Some(limits), Some(table)) = (numbers(path), table("/proc/sysvipc/sem")) else {
        return vec![unknown("semaphore-sets", path)];
    };
    let [of_set, all, operations, sets] = limits[..] else {
        return vec![unknown("semaphore-sets", path)];
    };
    let set = |of_set, all, operations, sets| {
        format!("`sysctl -w kernel.sem=\"{of_set} {all} {operations} {sets}\"`")
    };
    let total: u64 = table.iter().filter_map(|line| line.get(3)).sum();
    let mut findings = vec![
        used("semaphore-sets", "semaphore sets", table.len() as u64, sets, |more| {
            set(of_set, all, operations, more)
        }),
        used("semaphores", "semaphores", total, all, |more| set(of_set, more, operations, sets)),
    ];
    let enough = (of_set.max(SEMAPHORES_MAX), operations.max(OPERATIONS_MAX));
    let found = format!("a set may have {of_set} semaphores, a semop {operations} operations");
    findings.push(match enough == (of_set, operations) {
        true => Finding::fine("semaphore-limits", found),
        false => Finding::problem(
            "semaphore-limits",
            format!("{found}; channels need {SEMAPHORES_MAX} and {OPERATIONS_MAX}"),
            set(enough.0, all, enough.1, sets),
        ),
    });
    findings
}

/// Message queues, of which a process that waits for many channels needs one. How many there are is
/// known only where their file system is mounted.
fn queues() -> Finding {
    let path = "/proc/sys/fs/mqueue/queues_max";
    let Some(limit) = number(path) else { return unknown("message-queues", path) };
    let raise = |more| {
        format!("`sysctl -w fs.mqueue.queues_max={more}`; root has no limit (CAP_SYS_RESOURCE)")
    };
    match fs::read_dir("/dev/mqueue") {
        Ok(queues) => used("message-queues", "message queues", queues.count() as u64, limit, raise),
        Err(_) => Finding::note(
            "message-queues",
            format!("{limit} are allowed; how many are in use is not known"),
            "`mount -t mqueue mqueue /dev/mqueue` lets this be checked, and `reap` find leftovers",
        ),
    }
}

/// Whether the kernel removes segments that nobody has attached.
fn removal() -> Finding {
    let path = "/proc/sys/kernel/shm_rmid_forced";
    match number(path) {
        None => unknown("forced-removal", path),
        Some(0) => Finding::fine("forced-removal", "segments without processes stay"),
        Some(_) => {
            let mut found =
                "the kernel removes every segment that no process has attached, with its \
                             messages"
                    .to_owned();
            let channels = sysvring::list().unwrap_or_default();
            let kept = channels.iter().filter(|stat| stat.lost_without_members);
            let names: Vec<String> = kept.map(channel::name_of).collect();
            if !names.is_empty() {
                found += &format!("; kept channels that are lost so: {}", names.join(", "));
            }
            Finding::problem("forced-removal", found, "`sysctl -w kernel.shm_rmid_forced=0`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysvring::{Options, mpmc};

    #[test]
    fn the_largest_channel_has_as_many_semaphores() {
        let largest = Options::private().max_members(254).capacity(1);
        let member: mpmc::Sender<u64> = largest.create().expect("a channel");
        let set = member.stat().expect("its state").set.expect("its set").id as u64;
        let table = table("/proc/sysvipc/sem").expect("the table of sets");
        let line = table.iter().find(|line| line[1] == set).expect("the set");
        assert_eq!(line[3], SEMAPHORES_MAX);
    }
}

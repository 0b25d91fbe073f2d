//! GroupMemory: what a process may lock, what its control group may use, and huge pages.

use std::fs;

use super::{Finding, number};
use crate::{channel, units};
use sysvring::GroupMemory;

pub fn check(pid: Option<u32>) -> Vec<Finding> {
    let process = pid.map_or("self".into(), |pid| pid.to_string());
    let mut findings = vec![locked(&process)];
    findings.extend(group(&process));
    findings.push(huge_pages());
    findings
}

/// `RLIMIT_MEMLOCK`, which limits `Options::lock_memory`.
fn locked(process: &str) -> Finding {
    let check = "locked-memory";
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let limit = line.and_then(|line| line.split_whitespace().next()).unwrap_or("unknown");
    match limit.parse::<u64>() {
        _ if can_lock(process) => Finding::fine(check, "no limit on locked memory (CAP_IPC_LOCK)"),
        Ok(bytes) if bytes < 64 << 20 => Finding::note(
            check,
            format!("at most {} of channels may be locked in memory", units::size(bytes)),
            "`ulimit -l`, LimitMEMLOCK= of the unit, or CAP_IPC_LOCK, if channels are to be locked",
        ),
        Ok(bytes) => Finding::fine(check, format!("{} may be locked", units::size(bytes))),
        Err(_) => Finding::fine(check, format!("the limit on locked memory is {limit}")),
    }
}

/// Returns whether a process has `CAP_IPC_LOCK`.
fn can_lock(process: &str) -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> CAP_IPC_LOCK & 1 == 1)
}

/// The limit of the control group, to which the pages of a segment count that its processes touch
/// first.
fn group(process: &str) -> Vec<Finding> {
    let check = "memory-limit";
    let limits = match sysvring::group_memory(process) {
        Ok(limits) => limits,
        Err(why) => return vec![Finding::note(check, format!("not checked: {why}"), "")],
    };
    let (Some(tightest), Some(lowest)) = (
        // The least of those above it counts.
        limits.iter().copied().min_by_key(|memory| memory.room()),
        limits.iter().map(|memory| memory.limit).min(),
    ) else {
        return vec![Finding::fine(check, "the control group has no memory limit")];
    };
    let channels = sysvring::list().unwrap_or_default();
    let segments: u64 = channels.iter().map(|stat| stat.segment.size).sum();
    let GroupMemory { limit, used } = tightest;
    let found = format!(
        "the control group uses {} of {}; all channels have {}",
        units::size(used),
        units::size(limit),
        units::size(segments)
    );
    let raise =
        "raise MemoryMax= or the limit of the container, or create channels with fewer slots";
    let mut findings = match tightest.room() < segments / 4 || used as f64 > 0.95 * limit as f64 {
        true => vec![Finding::problem(
            check,
            format!("{found}: a process that touches a new page may be killed"),
            raise,
        )],
        false => vec![Finding::fine(check, found)],
    };
    let too_large = channels.iter().filter(|stat| stat.segment.size > lowest);
    let names: Vec<String> = too_large
        .map(|stat| format!("{} ({})", channel::name_of(stat), units::size(stat.segment.size)))
        .collect();
    if !names.is_empty() {
        findings.push(Finding::note(
            "channel-size",
            format!(
                "larger than the {} of the control group: {}; a process of this group that fills it \
                 is killed",
                units::size(lowest),
                names.join(", ")
            ),
            raise,
        ));
    }
    findings
}

fn huge_pages() -> Finding {
    let check = "huge-pages";
    match number("/proc/sys/vm/nr_hugepages") {
        None => Finding::note(check, "this kernel has no huge pages", ""),
        Some(0) => Finding::note(
            check,
            "there are none: a channel in huge pages cannot be created",
            "`sysctl -w vm.nr_hugepages=64`, if channels are to use them",
        ),
        Some(pages) => Finding::fine(check, format!("there are {pages}")),
    }
}

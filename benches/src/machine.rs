//! The machine, and the choice of two of its processors.

use std::fs;

use crate::Effort;

/// The processors on which senders and receivers run.
pub struct Cores {
    /// Two different processors, if available.
    pub apart: (usize, usize),
    /// Number of processors that this process may use.
    pub usable: usize,
    /// Whether the two are hardware threads of one core.
    pub siblings: bool,
}

/// Returns the first two usable processors, on different cores if possible.
pub fn cores() -> Cores {
    // SAFETY: `cpu_set_t` is a bit set, empty when zero, and outlives the calls; every CPU number
    // tested is below its size.
    let usable: Vec<usize> = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    };
    let core = |cpu: usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string())
    };
    let first = usable.first().copied().unwrap_or(0);
    let other = usable.iter().copied().find(|&cpu| core(cpu) != core(first));
    let second = other.or(usable.get(1).copied()).unwrap_or(first);
    let siblings = other.is_none() && second != first;
    Cores { apart: (first, second), usable: usable.len(), siblings }
}

/// Describes the machine.
pub fn name(cores: &Cores) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|l| l.split_once(": ")))
        .map_or("unknown processor", |(_, name)| name);
    let virtual_machine = if cpuinfo.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}{virtual_machine}, {} of its processors usable, Linux {}",
        cores.usable,
        kernel.trim_end()
    )
}

/// Prints the heading of a run.
pub fn introduce(cores: &Cores, effort: Effort) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("{}, load {load} at the start", name(cores));
    let (a, b) = cores.apart;
    if a == b {
        println!(
            "One processor only: both processes share it, and the targets, meant for two, do not apply."
        );
    } else {
        println!("Two processes, pinned to processors {a} and {b}; rounds in rotated order.");
    }
    println!(
        "The baseline is a raw two-index ring without blocking, validation or crash recovery."
    );
    if cores.siblings {
        println!("The two are hardware threads of one core: latency between cores is higher.");
    }
    if effort == Effort::Smoke {
        println!("Smoke run: the figures are meaningless.");
    }
    if cfg!(debug_assertions) {
        println!("Debug build: the figures are meaningless.");
    }
}

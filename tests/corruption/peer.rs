//! Members of a channel, and a scribbler that overwrites it meanwhile.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use sysvring::Flavor;
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, Broadcast, Mpmc, Spsc};
use sysvring_support::raw_ipc::Key;
use sysvring_support::scheduler_noise;
use sysvring_support::shared_counters::{now_ns, shared_counters};
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::member::{self, Member, Report};
use crate::scale::scale;
use crate::scribbler;

/// The number of members on each side of an MPMC channel. In a broadcast channel, as many take turns
/// in sending.
const MANY: usize = member::SEATS / 2;
/// The maximum duration of one run, in seconds.
const PART: u64 = 60;
/// The maximum number of runs until enough was observed.
const TRIES: usize = 20;
/// The maximum number of members that report.
const MOST: usize = 2 * MANY;
/// A call that is this late never returns.
const STUCK: Duration = Duration::from_secs(5);

/// How a member misbehaves on purpose, which the test must detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    Late,
    Panicking,
    Crashing,
    Hanging,
}

impl Flaw {
    pub const ALL: [Flaw; 5] =
        [Flaw::None, Flaw::Late, Flaw::Panicking, Flaw::Crashing, Flaw::Hanging];
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Flaw, String> {
        let named = Flaw::ALL.into_iter().find(|flaw| format!("{flaw:?}") == text);
        named.ok_or_else(|| text.to_owned())
    }
}

/// The messages and the kinds of channels.
const KINDS: [&str; 6] = [
    "SPSC, numbers",
    "SPSC, text",
    "MPMC, numbers",
    "MPMC, text",
    "broadcast, numbers",
    "broadcast, text",
];

type Part = fn(&mut Member<'_>);

fn parts(kind: usize) -> (Part, Part, usize, Flavor) {
    fn numbers<F: AnyFlavor>(each: usize) -> (Part, Part, usize, Flavor) {
        (member::send_numbers::<F>, member::receive_numbers::<F>, each, F::FLAVOR)
    }
    fn text<F: AnyFlavor>(each: usize) -> (Part, Part, usize, Flavor) {
        (member::send_text::<F>, member::receive_text::<F>, each, F::FLAVOR)
    }
    match kind {
        0 => numbers::<Spsc>(1),
        1 => text::<Spsc>(1),
        2 => numbers::<Mpmc>(MANY),
        3 => text::<Mpmc>(MANY),
        4 => numbers::<Broadcast>(MANY),
        _ => text::<Broadcast>(MANY),
    }
}

/// What all processes share.
#[repr(C)]
struct Shared {
    over: AtomicU64,
    writes: AtomicU64,
    members: [Report; MOST],
}

/// What was observed in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub calls: f64,
    pub messages: f64,
    pub corrupt: f64,
    pub removed: f64,
    pub opened: f64,
    pub writes: f64,
    pub late: f64,
    pub latest_ms: f64,
    pub undocumented: f64,
    /// The number of members that panicked or crashed.
    pub failed: f64,
    /// The number of members whose call never returned.
    pub stuck: f64,
}

impl Seen {
    /// Returns all numbers in a fixed order, for reporting and adding them up.
    fn figures(&mut self) -> [&mut f64; 11] {
        [
            &mut self.calls,
            &mut self.messages,
            &mut self.corrupt,
            &mut self.removed,
            &mut self.opened,
            &mut self.writes,
            &mut self.late,
            &mut self.latest_ms,
            &mut self.undocumented,
            &mut self.failed,
            &mut self.stuck,
        ]
    }
}

/// Runs the members and the scribbler in a separate process, which has one thread and may fork. A
/// run longer than a worker's maximum lifetime is split into several, one after the other.
pub fn watch(kind: usize, seconds: u64, flaw: Flaw) -> Seen {
    let mut seen = Seen::default();
    let mut left = seconds;
    while left > 0 {
        let part = left.min(PART);
        left -= part;
        let key = Key::new();
        let args: [&dyn ToString; 5] = [&"peer::play", &kind, &part, &format!("{flaw:?}"), &key.0];
        let mut worker = Worker::start(&args).expect("start");
        let figures: [f64; 11] = worker.figures().expect("figures");
        worker.finish();
        for (sum, figure) in seen.figures().into_iter().zip(figures) {
            *sum += figure;
        }
    }
    seen
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { calls, messages, corrupt, removed, opened, writes, .. } = self;
        write!(
            f,
            "{writes} writes; {calls} calls, {messages} messages, {corrupt} times corrupt, \
             {removed} removed, opened {opened} times"
        )
    }
}

/// Runs until `enough` was observed, on a busy host in several attempts.
pub fn watch_until(kind: usize, seconds: u64, flaw: Flaw, enough: fn(&Seen) -> bool) -> Seen {
    let mut seen = watch(kind, seconds, flaw);
    for _ in 1..TRIES {
        if enough(&seen) {
            break;
        }
        for (sum, figure) in seen.figures().into_iter().zip(watch(kind, seconds, flaw).figures()) {
            *sum += *figure;
        }
    }
    seen
}

fn survives(kind: usize) {
    // Otherwise nothing was tested.
    let enough = |seen: &Seen| {
        let tried = [seen.writes, seen.messages, seen.corrupt, seen.removed, seen.opened];
        tried.iter().all(|n| *n > 10.0)
    };
    let seen = watch_until(kind, scale().seconds, Flaw::None, enough);
    println!("malicious peer, {}: {seen}", KINDS[kind]);
    let bad = [seen.late, seen.undocumented, seen.failed, seen.stuck];
    assert!(bad.iter().all(|n| *n == 0.0), "{seen:?}");
    assert!(enough(&seen), "{seen:?}");
}

#[test]
fn spsc_numbers() {
    survives(0);
}

#[test]
fn spsc_text() {
    survives(1);
}

#[test]
fn mpmc_numbers() {
    survives(2);
}

#[test]
fn mpmc_text() {
    survives(3);
}

#[test]
fn broadcast_numbers() {
    survives(4);
}

#[test]
fn broadcast_text() {
    survives(5);
}

#[work]
fn play(args: &mut Args) {
    let (kind, seconds): (usize, u64) = (args.next(), args.next());
    let (flaw, key): (Flaw, i32) = (args.next(), args.next());
    const WORDS: usize = size_of::<Shared>() / 8;
    // SAFETY: the memory has the length of `Shared`, is shared with the children and never
    // unmapped.
    let shared: &'static Shared = unsafe { &*shared_counters::<WORDS>().as_ptr().cast() };
    let (send, receive, each, flavor) = parts(kind);
    let mut members = Vec::new();
    for n in 0..2 * each {
        let part = if n < each { send } else { receive };
        // One misbehaving member is enough.
        let flaw = if n == 0 { flaw } else { Flaw::None };
        members.push(Some(Fork::start(move || {
            part(&mut Member::new(&shared.members[n], &shared.over, key, flaw));
        })));
    }
    let scribbler = Fork::start(|| scribbler::scribble(key, flavor, &shared.over, &shared.writes));
    let start = Instant::now();
    let mut stuck = 0u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(50));
        stuck += end_stuck(&mut members, shared);
    }
    shared.over.store(1, Release);
    scribbler.finish();
    let end = Instant::now();
    // Calls in progress return by their deadlines. After that, no member makes a call.
    while end.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(50));
        stuck += end_stuck(&mut members, shared);
    }
    let mut failed = 0u64;
    for (n, member) in members.into_iter().enumerate() {
        let Some(mut member) = member else { continue };
        while shared.members[n].since.load(Acquire) != 0 && stuck_for(&shared.members[n]) < STUCK {
            std::thread::sleep(Duration::from_millis(20));
        }
        if stuck_for(&shared.members[n]) >= STUCK {
            member.kill_and_wait();
            stuck += 1;
            continue;
        }
        failed += u64::from(!member.wait().success());
    }
    let sum = |what: fn(&Report) -> &AtomicU64| -> u64 {
        shared.members.iter().map(|report| what(report).load(Relaxed)).sum()
    };
    let latest = shared.members.iter().map(|report| report.latest.load(Relaxed)).max().unwrap_or(0);
    let mut seen = Seen {
        calls: sum(|r| &r.calls) as f64,
        messages: sum(|r| &r.messages) as f64,
        corrupt: sum(|r| &r.corrupt) as f64,
        removed: sum(|r| &r.removed) as f64,
        opened: sum(|r| &r.opened) as f64,
        writes: shared.writes.load(Relaxed) as f64,
        late: sum(|r| &r.late) as f64,
        latest_ms: latest as f64 / 1e6,
        undocumented: sum(|r| &r.undocumented) as f64,
        failed: failed as f64,
        stuck: stuck as f64,
    };
    print_line(seen.figures().map(|figure| figure.to_string()).join(" "));
}

/// Returns how far the current call of a member is past its deadline, less the host's excuse.
fn stuck_for(report: &Report) -> Duration {
    let since = report.since.load(Acquire);
    if since == 0 {
        return Duration::ZERO;
    }
    let allowed = Duration::from_nanos(report.allowed.load(Relaxed));
    let took = Duration::from_nanos(now_ns().saturating_sub(since));
    took.saturating_sub(allowed + scheduler_noise::allowance(since))
}

/// Kills members whose call does not return. Returns their number.
fn end_stuck(members: &mut [Option<Fork>], shared: &Shared) -> u64 {
    let mut ended = 0;
    for (member, report) in members.iter_mut().zip(&shared.members) {
        if stuck_for(report) >= STUCK
            && let Some(mut stuck) = member.take()
        {
            stuck.kill_and_wait();
            report.since.store(0, Release);
            ended += 1;
        }
    }
    ended
}

//! How late the host itself is. Tests of times grant that much on top: next to nothing on an idle
//! host; on a busy one it keeps a test from blaming the crate.
//!
//! There are two witnesses. A thread of the suite sleeps for a millisecond over and over and notes
//! every time that it returned late. The kernel accounts how long each thread was ready to run and
//! had to wait for a processor. A thread that sleeps because it was not woken is not ready to run,
//! so neither witness excuses a lost wake-up.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;
use std::{env, io, ptr, thread};

use crate::shared_counters::now_ns;

/// The variable that tells children where the notes are.
const VARIABLE: &str = "SYSVRING_TEST_WITNESS";
const SLEEP: Duration = Duration::from_millis(1);
/// Shorter delays are not noted.
const LATE_NS: u64 = 500_000;
const KEPT: usize = 4_096;

/// The delays that the witness observed, in memory that all processes of the suite map.
struct Notes {
    /// When it last began to sleep.
    asleep_since: AtomicU64,
    written: AtomicU64,
    /// Sleeps that took too long, each as begin and end.
    late: [[AtomicU64; 2]; KEPT],
}

static NOTES: OnceLock<Option<&'static Notes>> = OnceLock::new();

/// Starts the witness of this process and its children, if there is none.
pub(crate) fn start() {
    if NOTES.get().is_some() {
        return;
    }
    // SAFETY: takes a name and no flags.
    let fd = unsafe { libc::memfd_create(c"witness".as_ptr(), 0) };
    assert_ne!(fd, -1, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: a new descriptor that nothing else owns.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(size_of::<Notes>() as u64).expect("a file of the length of the notes");
    let notes = map(&file).expect("the notes");
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var(VARIABLE, format!("/proc/{}/fd/{fd}", std::process::id())) };
    // It stays open as long as this process lives.
    std::mem::forget(file);
    assert!(NOTES.set(Some(notes)).is_ok(), "no other thread runs yet");
    thread::spawn(move || {
        for n in (0..KEPT).cycle() {
            let (from, to) = loop {
                let from = now_ns();
                notes.asleep_since.store(from, Release);
                thread::sleep(SLEEP);
                let to = now_ns();
                if to - from > SLEEP.as_nanos() as u64 + LATE_NS {
                    break (from, to);
                }
            };
            notes.late[n][0].store(from, Relaxed);
            notes.late[n][1].store(to, Release);
            notes.written.fetch_add(1, Release);
        }
    });
}

fn map(file: &File) -> io::Result<&'static Notes> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of a file of that size, never unmapped; zeros are valid notes.
    unsafe {
        let length = size_of::<Notes>();
        let page =
            libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(&*page.cast())
    }
}

fn notes() -> Option<&'static Notes> {
    *NOTES.get_or_init(|| {
        let path = env::var_os(VARIABLE)?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .expect("the file of the witness, which is alive");
        Some(map(&file).expect("the notes"))
    })
}

/// A period of time during which this thread and the first threads of other processes are watched.
pub struct Watch {
    from: u64,
    queues: Vec<File>,
    queued: Duration,
}

impl Watch {
    /// Starts a watch.
    pub fn start(others: &[u32]) -> Watch {
        // A process that changes its user later could not open them then.
        notes();
        let others = others.iter().map(|pid| format!("/proc/{pid}/schedstat"));
        let paths = others.chain(["/proc/thread-self/schedstat".to_owned()]);
        // A kernel may be built without this account.
        let queues = paths.filter_map(|path| File::open(path).ok()).collect();
        let mut watch = Watch { from: 0, queues, queued: Duration::ZERO };
        watch.restart();
        watch
    }

    /// Starts the watch again.
    pub fn restart(&mut self) {
        (self.from, self.queued) = (now_ns(), self.queued());
    }

    /// Returns how much later than usual an event may have ended just now.
    pub fn allowance(&self) -> Duration {
        allowance(self.from) + self.queued().saturating_sub(self.queued)
    }

    /// Fails if something that began at `since`, on the monotonic clock, took longer than `time`
    /// and the excuse.
    #[track_caller]
    pub fn must_be_within(&self, time: Duration, since: u64) {
        let took = Duration::from_nanos(now_ns().saturating_sub(since));
        let allowance = self.allowance();
        assert!(took < time + allowance, "it took {took:?}; the machine excuses {allowance:?}");
    }

    /// Returns how late an event that was possible at `since`, on the monotonic clock, is now, less
    /// what the host excuses since then.
    pub fn late(&self, since: u64) -> Duration {
        let took = Duration::from_nanos(now_ns().saturating_sub(since));
        took.saturating_sub(allowance(since) + self.queued().saturating_sub(self.queued))
    }

    /// Returns how long the threads have been ready to run without running.
    pub fn queued(&self) -> Duration {
        let queued = |mut file: &File| -> io::Result<u64> {
            let mut text = String::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_string(&mut text)?;
            let field = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
            field.ok_or_else(|| io::Error::other(text))
        };
        Duration::from_nanos(self.queues.iter().map(|file| queued(file).unwrap_or(0)).sum())
    }
}

/// Returns how much later than usual something that began at `from`, on the monotonic clock, may
/// have ended just now, according to the sleeping witness. This is a multiple of the witness's
/// delay, because several processes may have had to wait one after the other.
pub fn allowance(from: u64) -> Duration {
    let Some(notes) = notes() else { return Duration::ZERO };
    let late = |from: u64, to: u64| (to - from).saturating_sub(SLEEP.as_nanos() as u64);
    let written = notes.written.load(Acquire).min(KEPT as u64) as usize;
    let seen = notes.late[..written].iter().filter_map(|entry| {
        let (start, end) = (entry[0].load(Relaxed), entry[1].load(Acquire));
        (end >= from && end > start).then(|| late(start, end))
    });
    let worst = seen.max().unwrap_or(0);
    // It may be late right now.
    let asleep = notes.asleep_since.load(Acquire);
    Duration::from_nanos(4 * worst.max(late(asleep, now_ns().max(asleep))))
}

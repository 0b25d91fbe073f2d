//! What members do while a scribbler is active: they send and receive by value in all ways, with
//! deadlines, and open the channel again whenever a handle has stopped.
//!
//! They use no loans and guards: borrowing memory that others write to means trusting them, as the
//! documentation states.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::Duration;

use sysvring::{Error, Fault, Flavor, Handle, Options, RecvError, SendError, Wait};
use sysvring_support::error_text::advises;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;

use crate::endpoints::GRACE;
use crate::peer::Flaw;

/// The timeout of opening.
const TIMEOUT: Duration = Duration::from_millis(20);
/// The number of seats of MPMC and broadcast channels, which is that of the members.
pub const SEATS: usize = 4;
/// The slot size for messages of variable length.
pub const SLOT_SIZE: usize = 100;

/// What a member reports, in memory that all processes share.
#[repr(C)]
pub struct Report {
    /// When the current call began; 0 between calls.
    pub since: AtomicU64,
    /// The maximum time of that call.
    pub allowed: AtomicU64,
    pub calls: AtomicU64,
    pub messages: AtomicU64,
    pub nothing: AtomicU64,
    pub corrupt: AtomicU64,
    pub removed: AtomicU64,
    pub lost: AtomicU64,
    pub gone: AtomicU64,
    pub opened: AtomicU64,
    pub refused: AtomicU64,
    /// The number of calls that exceeded their deadline, and the maximum excess, less the host's
    /// excuse.
    pub late: AtomicU64,
    pub latest: AtomicU64,
    /// The number of errors that the documentation does not list.
    pub undocumented: AtomicU64,
}

pub fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A running member.
pub struct Member<'a> {
    report: &'a Report,
    over: &'a AtomicU64,
    key: i32,
    flaw: Flaw,
    watch: Watch,
    rng: Rng,
}

impl Member<'_> {
    pub fn new<'a>(report: &'a Report, over: &'a AtomicU64, key: i32, flaw: Flaw) -> Member<'a> {
        Member { report, over, key, flaw, watch: Watch::start(&[]), rng: Rng::new() }
    }

    fn is_over(&self) -> bool {
        self.over.load(Acquire) != 0
    }

    /// Runs a call that may take `time`, and checks whether it took longer.
    fn timed<R>(&mut self, time: Duration, call: impl FnOnce() -> R) -> R {
        let allowed = time + GRACE;
        self.watch.restart();
        let since = now_ns();
        self.report.allowed.store(allowed.as_nanos() as u64, Relaxed);
        self.report.since.store(since, Release);
        fence(Acquire);
        let result = call();
        if self.flaw == Flaw::Late && self.rng.below(20) == 0 {
            std::thread::sleep(allowed * 2);
        }
        let took = Duration::from_nanos(now_ns() - since);
        self.report.since.store(0, Release);
        add(&self.report.calls);
        if took > allowed {
            let over = took.saturating_sub(allowed + self.watch.allowance());
            if !over.is_zero() {
                add(&self.report.late);
                self.report.latest.fetch_max(over.as_nanos() as u64, Relaxed);
            }
        }
        result
    }

    /// Misbehaves as the mutation requires, now and then.
    fn misbehave(&mut self) {
        if self.rng.below(20) != 0 {
            return;
        }
        match self.flaw {
            Flaw::None | Flaw::Late => {}
            Flaw::Panicking => panic!("on purpose"),
            // SAFETY: a signal to this process, which ends it as a crash does.
            Flaw::Crashing => _ = unsafe { libc::raise(libc::SIGSEGV) },
            Flaw::Hanging => self.timed(Duration::ZERO, || {
                loop {
                    std::thread::park();
                }
            }),
        }
    }

    fn open<H: Handle>(&mut self, flavor: Flavor, text: bool) -> Option<H> {
        let wait = [Wait::Park, Wait::Balanced, Wait::Balanced][self.rng.below(3) as usize];
        let options = Options::key(self.key).capacity(8).open_timeout(TIMEOUT).wait(wait);
        let options = if flavor == Flavor::Spsc { options } else { options.max_members(SEATS) };
        let options = if text { options.slot_size(SLOT_SIZE) } else { options };
        match self.timed(TIMEOUT, || options.open()) {
            Ok(handle) => {
                add(&self.report.opened);
                Some(handle)
            }
            Err(error) => {
                add(&self.report.refused);
                self.opening_failed(&error);
                self.rng.pause(17);
                None
            }
        }
    }

    fn opening_failed(&self, error: &Error) {
        advises(error);
        match error {
            Error::ForeignObject { .. }
            | Error::LayoutVersion { .. }
            | Error::Truncated { .. }
            | Error::TypeMismatch { .. }
            | Error::OptionMismatch { .. }
            | Error::NotFound { .. }
            | Error::NoSeat { .. }
            | Error::SeatTaken { .. }
            | Error::Limit { .. }
            | Error::Busy { .. } => {}
            Error::Corrupt { .. } => add(&self.report.corrupt),
            Error::Fault(fault) => self.fault(*fault),
            error => self.undocumented(error),
        }
    }

    fn undocumented(&self, error: &dyn std::fmt::Debug) {
        eprintln!("the documentation does not list {error:?}");
        add(&self.report.undocumented);
    }

    fn fault(&self, fault: Fault) {
        advises(&fault);
        match fault {
            Fault::Corrupt { .. } => add(&self.report.corrupt),
            Fault::Removed => add(&self.report.removed),
            Fault::LivenessLost => add(&self.report.lost),
            fault => self.undocumented(&fault),
        }
    }

    /// Returns whether the handle can still be used.
    fn sent(&mut self, result: Result<(), SendError>) -> bool {
        match result {
            Ok(()) => add(&self.report.messages),
            Err(
                SendError::Full
                | SendError::Timeout
                | SendError::Behind { .. }
                | SendError::Blocked { .. },
            ) => {
                add(&self.report.nothing);
            }
            Err(SendError::Disconnected) => {
                add(&self.report.gone);
                self.rng.pause(18);
            }
            Err(SendError::Fault(fault)) => {
                self.fault(fault);
                return false;
            }
            Err(error) => self.undocumented(&error),
        }
        self.rng.below(2_000) != 0
    }

    fn received(&mut self, result: Result<usize, RecvError>) -> bool {
        match result {
            Ok(_) => add(&self.report.messages),
            Err(
                RecvError::Empty
                | RecvError::Timeout
                | RecvError::Behind { .. }
                | RecvError::Blocked { .. },
            ) => {
                add(&self.report.nothing);
            }
            Err(RecvError::Disconnected) => {
                add(&self.report.gone);
                self.rng.pause(18);
            }
            Err(RecvError::Fault(fault)) => {
                self.fault(fault);
                return false;
            }
            Err(error) => self.undocumented(&error),
        }
        self.rng.below(2_000) != 0
    }

    /// Returns a timeout: zero, or up to some ten milliseconds.
    fn timeout(&mut self) -> Duration {
        self.rng.time(24)
    }
}

pub fn send_numbers<F: AnyFlavor>(member: &mut Member<'_>) {
    while !member.is_over() {
        let Some(mut tx) = member.open::<F::Sender<u64>>(F::FLAVOR, false) else { continue };
        let mut n = 0;
        while !member.is_over() {
            n += 1;
            let time = member.timeout();
            let result = match member.rng.below(8) {
                0 => member.timed(time, || tx.flush(time)),
                1 => member.timed(time, || tx.wait_for_peer(time)),
                2 => member
                    .timed(Duration::ZERO, || tx.try_send_batch(&[&n; 5]))
                    .map_err(|error| error.error),
                3 | 4 => member.timed(time, || tx.send_timeout(&n, time)),
                5 => {
                    let stat = member.timed(Duration::ZERO, || tx.stat());
                    if let Err(error) = stat {
                        member.opening_failed(&error);
                    }
                    Ok(())
                }
                _ => member.timed(Duration::ZERO, || tx.try_send(&n)),
            };
            member.misbehave();
            if !member.sent(result) {
                break;
            }
        }
        member.timed(Duration::ZERO, || drop(tx));
    }
}

pub fn receive_numbers<F: AnyFlavor>(member: &mut Member<'_>) {
    let mut batch = Vec::new();
    while !member.is_over() {
        let Some(mut rx) = member.open::<F::Receiver<u64>>(F::FLAVOR, false) else { continue };
        while !member.is_over() {
            let time = member.timeout();
            batch.clear();
            let result = match member.rng.below(8) {
                0 => member.timed(time, || rx.wait_for_peer(time).map(|()| 0)),
                1 => member.timed(time, || rx.recv_batch_timeout(&mut batch, 5, time)),
                2 => member.timed(time, || rx.recv_into_timeout(&mut 0, time).map(|()| 1)),
                3 | 4 => member.timed(time, || rx.recv_timeout(time).map(|_| 1)),
                5 => {
                    let len = member.timed(Duration::ZERO, || rx.len());
                    assert!(len <= rx.capacity());
                    Ok(0)
                }
                _ => member.timed(Duration::ZERO, || rx.try_recv().map(|_| 1)),
            };
            if !member.received(result) {
                break;
            }
        }
        member.timed(Duration::ZERO, || drop(rx));
    }
}

pub fn send_text<F: AnyFlavor>(member: &mut Member<'_>) {
    let text = [7; SLOT_SIZE];
    while !member.is_over() {
        let Some(mut tx) = member.open::<F::Sender<[u8]>>(F::FLAVOR, true) else { continue };
        while !member.is_over() {
            let text = &text[..member.rng.below(SLOT_SIZE as u64 + 1) as usize];
            let time = member.timeout();
            let result = match member.rng.below(4) {
                0 => member.timed(time, || tx.send_timeout(text, time)),
                1 => member
                    .timed(Duration::ZERO, || tx.try_send_batch(&[text, text]))
                    .map_err(|error| error.error),
                _ => member.timed(Duration::ZERO, || tx.try_send(text)),
            };
            member.misbehave();
            if !member.sent(result) {
                break;
            }
        }
        member.timed(Duration::ZERO, || drop(tx));
    }
}

pub fn receive_text<F: AnyFlavor>(member: &mut Member<'_>) {
    while !member.is_over() {
        let Some(mut rx) = member.open::<F::Receiver<[u8]>>(F::FLAVOR, true) else { continue };
        while !member.is_over() {
            let time = member.timeout();
            let result = match member.rng.below(2) {
                0 => member.timed(time, || rx.recv_boxed_timeout(time)),
                _ => member.timed(Duration::ZERO, || rx.try_recv_boxed()),
            };
            if let Ok(text) = &result {
                assert!(text.len() <= SLOT_SIZE);
            }
            if !member.received(result.map(|text| text.len())) {
                break;
            }
        }
        member.timed(Duration::ZERO, || drop(rx));
    }
}

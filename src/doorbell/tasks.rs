//! The tasks of this process that wait for one handle.
//!
//! All tasks that wait for a handle, or for its clones, share one member: one word that is armed, and
//! one ring. So a ring wakes all of them; they look, one takes what there is, and one of those that
//! find nothing arms the handle for all.
//!
//! # Why no wake-up is lost
//!
//! ```text
//! E  task     Enters its waker in the table, as one that *looks*. Then it makes an attempt that
//!             arms the handle: A1 to A4, and D1 if that found something, in `wait/doorbell.rs`.
//! N  task     Found nothing: its entry *waits*. Then T.
//! L  task     Found something, or is dropped: it removes its entry. Then T, and C.
//! K  reactor  After R1 or R2, which disarmed the handle: marks all entries as *woken*, and calls
//!             their wakers. If there is no entry, it passes on the duty that R1 gave.
//! T  anybody  After N, L, or an attempt of another call that ended in D1: if an entry waits, no
//!             entry looks, and the handle is not armed, performs K.
//! C  task     If no entry looks or is woken, passes the duty on, if the member still has it.
//! ```
//!
//! **Invariant.** While an entry waits, the handle is armed and was found to have no work since; or
//! an entry looks; or a thread is between its D1 and its K or T. For an attempt that ends with the
//! handle armed was exact (A4), and whatever disarms the handle later performs K or T. T leaves an
//! entry that waits only to one that looks, whose own T follows; never to one that is woken, since
//! its task may be busy elsewhere and not look for a long time.
//!
//! E comes before the attempt, so a ring of the handle that this attempt armed finds the entry.
//!
//! *The duty* is kept while an entry is woken: its task makes an attempt, on the slow path, which
//! discharges it, or is dropped, which is C. So a rung handle never keeps it without a task that
//! will look.
//!
//! # Entries that need not look
//!
//! Each K has a number. An attempt that began after K number *n*, found nothing and left the handle
//! armed has looked for all entries that were woken by *n* or before; as long as the handle is
//! armed, these go back to waiting without an attempt of their own. The same holds for an entry that
//! waits and whose task is polled for another reason, as in a `select`.
//!
//! A task that waits for the other side of its channel to be joined, not for work, arms the handle
//! without such an attempt, so its entry never counts as one that looks. It performs K afterwards
//! for the tasks that wait for work, so that these look.

use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use super::registration::lock;

/// The entries of the tasks that wait for a handle.
#[derive(Debug)]
pub(crate) struct Tasks {
    table: Mutex<Table>,
    /// Held while the handle is registered with a doorbell, or moves from one to another.
    moving: Mutex<()>,
}

#[derive(Debug)]
struct Table {
    entries: Vec<Option<Entry>>,
    /// How many entries there are, and how many of them look.
    count: usize,
    looking: usize,
    /// The number of the last K, and that of the last one before an attempt that found nothing.
    last: u64,
    looked: u64,
}

#[derive(Debug)]
struct Entry {
    waker: Waker,
    /// Whether its task waits for work, not for a member of the other side.
    is_for_work: bool,
    /// The number of the K that woke it, until its task looks.
    woken: Option<u64>,
    /// The number of the last K before its attempt, during the attempt.
    looks: Option<u64>,
}

/// What a task does when it is polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Look,
    WaitOn,
}

impl Tasks {
    pub(crate) const fn new() -> Tasks {
        let entries = Vec::new();
        let table = Table { entries, count: 0, looking: 0, last: 0, looked: 0 };
        Tasks { table: Mutex::new(table), moving: Mutex::new(()) }
    }

    /// Keeps other tasks from moving the handle to another doorbell.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        lock(&self.moving)
    }

    /// Returns the number of tasks.
    pub(crate) fn count(&self) -> usize {
        lock(&self.table).count
    }

    /// Performs E: returns the number of the new entry, which looks if it is for work.
    pub(crate) fn enter(&self, waker: &Waker, is_for_work: bool) -> usize {
        let waker = waker.clone();
        let mut table = lock(&self.table);
        let place = table.entries.iter().position(Option::is_none).unwrap_or(table.entries.len());
        let looks = is_for_work.then_some(table.last);
        let entry = Entry { waker, is_for_work, woken: None, looks };
        match table.entries.get_mut(place) {
            Some(free) => *free = Some(entry),
            None => table.entries.push(Some(entry)),
        }
        table.count += 1;
        table.looking += usize::from(is_for_work);
        place
    }

    /// Keeps the waker of a task that is polled again. If it has to look, its entry does so from now
    /// on, as in E.
    pub(crate) fn resume(
        &self,
        place: usize,
        waker: &Waker,
        must_look: bool,
        is_armed: impl FnOnce() -> bool,
    ) -> Turn {
        let mut table = lock(&self.table);
        let (last, looked) = (table.last, table.looked);
        let Some(Some(entry)) = table.entries.get_mut(place) else { return Turn::Look };
        let old = (!entry.waker.will_wake(waker))
            .then(|| std::mem::replace(&mut entry.waker, waker.clone()));
        let is_looked_for = entry.woken.is_none_or(|woken| woken <= looked);
        entry.woken = None;
        let turn =
            if !must_look && is_looked_for && is_armed() { Turn::WaitOn } else { Turn::Look };
        if turn == Turn::Look && entry.looks.replace(last).is_none() {
            table.looking += 1;
        }
        drop(table);
        // A waker may be the last owner of another task, which then leaves this table.
        drop(old);
        turn
    }

    /// Keeps the waker of a task that does not look for work, and forgets that it was woken.
    pub(crate) fn stay(&self, place: usize, waker: &Waker) {
        let mut table = lock(&self.table);
        let Some(Some(entry)) = table.entries.get_mut(place) else { return };
        let old = std::mem::replace(&mut entry.waker, waker.clone());
        entry.woken = None;
        drop(table);
        drop(old);
    }

    /// Performs N and T.
    pub(crate) fn found_nothing(&self, place: usize, is_armed: impl FnOnce() -> bool) {
        let mut table = lock(&self.table);
        if let Some(Some(entry)) = table.entries.get_mut(place)
            && let Some(since) = entry.looks.take()
        {
            table.looking -= 1;
            table.looked = table.looked.max(since);
        }
        let wakers = table.settle(is_armed);
        drop(table);
        wake(wakers);
    }

    /// Performs L and T. Returns whether C is due.
    pub(crate) fn leave(&self, place: usize, is_armed: impl FnOnce() -> bool) -> bool {
        let mut table = lock(&self.table);
        let entry = table.entries.get_mut(place).and_then(Option::take);
        if let Some(entry) = &entry {
            table.count -= 1;
            table.looking -= usize::from(entry.looks.is_some());
        }
        if table.count == 0 {
            table.entries.clear();
        }
        let wakers = table.settle(is_armed);
        let is_idle = table.looking == 0 && table.all().all(|entry| entry.woken.is_none());
        drop(table);
        drop(entry);
        wake(wakers);
        is_idle
    }

    /// Performs K. Returns whether there is a task.
    pub(crate) fn wake_all(&self) -> bool {
        let mut table = lock(&self.table);
        let (wakers, is_any) = (table.wake(|_| true), table.count != 0);
        drop(table);
        wake(wakers);
        is_any
    }

    /// Performs K for the tasks that wait for work. Returns whether there is one.
    pub(crate) fn wake_for_work(&self) -> bool {
        let mut table = lock(&self.table);
        let is_any = table.all().any(|entry| entry.is_for_work);
        let wakers = if is_any { table.wake(|entry| entry.is_for_work) } else { Vec::new() };
        drop(table);
        wake(wakers);
        is_any
    }

    /// Performs T.
    pub(crate) fn settle(&self, is_armed: impl FnOnce() -> bool) {
        let wakers = lock(&self.table).settle(is_armed);
        wake(wakers);
    }
}

/// Calls wakers, while no lock is held: they may poll their tasks.
fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    fn wake(&mut self, whom: impl Fn(&Entry) -> bool) -> Vec<Waker> {
        self.last += 1;
        let last = self.last;
        let mut wakers = Vec::new();
        for entry in self.entries.iter_mut().flatten().filter(|entry| whom(entry)) {
            if entry.woken.replace(last).is_none() {
                wakers.push(entry.waker.clone());
            }
        }
        wakers
    }

    fn settle(&mut self, is_armed: impl FnOnce() -> bool) -> Vec<Waker> {
        let waits = self.looking == 0 && self.all().any(|entry| entry.woken.is_none());
        if waits && !is_armed() { self.wake(|_| true) } else { Vec::new() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::sync::plain::AtomicU32;
    use crate::sync::plain::Ordering::Relaxed;

    /// Counts how often its task is woken.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn woken(count: &Count) -> u32 {
        count.0.load(Relaxed)
    }

    const ARMED: fn() -> bool = || true;
    const NOT_ARMED: fn() -> bool = || false;

    #[test]
    fn a_ring_wakes_every_task_once_until_it_looks() {
        let tasks = Tasks::new();
        assert!(!tasks.wake_all(), "there is none");
        let ((one, a), (two, b)) = (task(), task());
        let (first, second) = (tasks.enter(&a, true), tasks.enter(&b, true));
        tasks.found_nothing(first, ARMED);
        assert!(tasks.wake_all() && tasks.wake_all());
        assert_eq!((woken(&one), woken(&two)), (1, 1), "also one that looks");
        tasks.found_nothing(second, NOT_ARMED);
        assert_eq!(tasks.resume(first, &a, false, NOT_ARMED), Turn::Look);
        tasks.wake_all();
        assert_eq!((woken(&one), woken(&two)), (2, 1));
        assert!(!tasks.leave(first, NOT_ARMED), "another one is woken");
        assert!(tasks.leave(second, NOT_ARMED), "it did not look");
        assert_eq!((tasks.count(), tasks.wake_all()), (0, false));
    }

    #[test]
    fn one_attempt_counts_for_all_that_were_woken_before_it() {
        let tasks = Tasks::new();
        let ((_, a), (_, b), (_, c)) = (task(), task(), task());
        let places = [&a, &b, &c].map(|waker| tasks.enter(waker, true));
        places.iter().for_each(|place| tasks.found_nothing(*place, ARMED));
        tasks.wake_all();
        assert_eq!(tasks.resume(places[0], &a, false, ARMED), Turn::Look, "no attempt since");
        tasks.found_nothing(places[0], ARMED);
        assert_eq!(tasks.resume(places[1], &b, false, ARMED), Turn::WaitOn);
        assert_eq!(tasks.resume(places[2], &c, false, NOT_ARMED), Turn::Look, "it is not armed");
        // A ring during the attempt is not covered by it.
        tasks.wake_all();
        tasks.found_nothing(places[2], ARMED);
        assert_eq!(tasks.resume(places[1], &b, false, ARMED), Turn::Look);
        tasks.found_nothing(places[1], ARMED);
        assert_eq!(tasks.resume(places[1], &b, true, ARMED), Turn::Look, "it must");
    }

    #[test]
    fn a_handle_that_is_not_armed_wakes_a_task_that_waits() {
        let tasks = Tasks::new();
        let ((one, a), (two, b), (three, c)) = (task(), task(), task());
        let stuck = tasks.enter(&c, true);
        tasks.wake_all();
        tasks.found_nothing(stuck, ARMED);
        let (first, second) = (tasks.enter(&a, true), tasks.enter(&b, true));
        tasks.found_nothing(first, ARMED);
        tasks.settle(NOT_ARMED);
        assert_eq!((woken(&one), woken(&two)), (0, 0), "another one looks");
        tasks.leave(second, ARMED);
        assert_eq!(woken(&one), 0, "it is armed");
        tasks.settle(NOT_ARMED);
        assert_eq!((woken(&one), woken(&three)), (1, 1), "although one is woken already");
        tasks.settle(NOT_ARMED);
        assert_eq!(woken(&one), 1, "it is woken");
    }

    #[test]
    fn a_task_that_waits_for_a_peer_does_not_look() {
        let tasks = Tasks::new();
        let ((one, a), (two, b)) = (task(), task());
        let peer = tasks.enter(&a, false);
        assert!(!tasks.wake_for_work());
        let work = tasks.enter(&b, true);
        tasks.found_nothing(work, ARMED);
        assert!(tasks.wake_for_work());
        assert_eq!((woken(&one), woken(&two)), (0, 1));
        assert_eq!(tasks.resume(work, &b, false, ARMED), Turn::Look);
        tasks.found_nothing(work, NOT_ARMED);
        assert_eq!((woken(&one), woken(&two)), (1, 2));
        tasks.stay(peer, &a);
        tasks.wake_all();
        assert_eq!((woken(&one), woken(&two)), (2, 2));
    }
}

//! Times at which tasks are to be woken, for what has no wake-up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::Reactor;
use crate::doorbell::FIRST_FREE;
use crate::sysv::event::{Epoll, TimerFd};
use crate::sysv::{self, time};

/// The number of the timer's descriptor in the set of a doorbell.
pub(super) const TIMER: u64 = FIRST_FREE;

/// The times and wakers of a reactor, and a descriptor that is readable at the first of these times.
#[derive(Debug)]
pub(super) struct Timers {
    timer: TimerFd,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By time, and by a number that is unique.
    wakers: BTreeMap<(u64, u64), Waker>,
    last: u64,
}

/// A task that will be woken. Dropping it cancels that.
#[derive(Debug)]
pub(in crate::poll) struct Alarm {
    reactor: Arc<Reactor>,
    key: (u64, u64),
}

impl Timers {
    pub(super) fn new(poll: &Epoll) -> sysv::Result<Timers> {
        let timer = TimerFd::new()?;
        poll.add(&timer, TIMER, true, false)?;
        Ok(Timers { timer, table: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the tasks whose time has come.
    pub(super) fn wake_due(&self) {
        let now = time::now_ns();
        let mut table = self.lock();
        let later = table.wakers.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut table.wakers, later);
        self.set(&table);
        drop(table);
        due.into_values().for_each(Waker::wake);
    }

    /// Wakes all tasks: nobody waits for their times any more.
    #[cfg(feature = "tokio")]
    pub(super) fn wake_all(&self) {
        let all = std::mem::take(&mut self.lock().wakers);
        all.into_values().for_each(Waker::wake);
    }

    fn set(&self, table: &Table) {
        // With valid times and an open descriptor, it cannot fail.
        let _ = self.timer.set(table.wakers.keys().next().map(|(at, _)| *at));
    }
}

impl Alarm {
    /// Wakes the task after `time`.
    pub(in crate::poll) fn after(time: Duration, waker: &Waker, reactor: Arc<Reactor>) -> Alarm {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let at = time::now_ns().saturating_add(ns);
        let waker = waker.clone();
        let mut table = reactor.timers.lock();
        table.last += 1;
        let key = (at, table.last);
        table.wakers.insert(key, waker);
        if table.wakers.keys().next() == Some(&key) {
            reactor.timers.set(&table);
        }
        drop(table);
        Alarm { reactor, key }
    }

    /// Returns whether its time has come.
    pub(in crate::poll) fn is_due(&self) -> bool {
        self.key.0 <= time::now_ns()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // In a forked child, another thread of the parent may hold the lock for ever.
        if !self.reactor.doorbell.is_forked() {
            // The descriptor may be readable once too often.
            let waker = self.reactor.timers.lock().wakers.remove(&self.key);
            drop(waker);
        }
    }
}

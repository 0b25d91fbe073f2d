//! Names of channels that are removed when the test ends.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Address, Error, Message, Observer};

use crate::handle::{AnyFlavor, Spsc};
use crate::scheduler_noise;
use crate::shared_counters::{now_ns, until};

/// All names in use, for the watchdog.
static IN_USE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How long the library allows for a wake-up before it counts the parked waiter as not woken.
const GRACE: Duration = Duration::from_millis(100);

/// A unique channel name. Dropping it removes the channel, if there is one, and fails if a member
/// of the channel was not woken for the event it waited for.
pub struct Name {
    name: String,
    since: u64,
    may_oversleep: AtomicBool,
}

impl Name {
    /// Returns a new name.
    pub fn new() -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sysvring-test-{}-{n}", std::process::id());
        IN_USE.lock().unwrap_or_else(|e| e.into_inner()).push(name.clone());
        Name { name, since: now_ns(), may_oversleep: AtomicBool::new(false) }
    }

    /// Excuses late wake-ups, for tests that stop a process while it may be about to wake another
    /// one.
    pub fn may_oversleep(&self) {
        self.may_oversleep.store(true, Ordering::Relaxed);
    }

    fn check_sleeps(&self) {
        let Ok(stat) = sysvring::stat(&*self.name) else { return };
        let is_excused = std::thread::panicking()
            || self.may_oversleep.load(Ordering::Relaxed)
            || scheduler_noise::allowance(self.since) >= GRACE;
        assert!(stat.overslept == 0 || is_excused, "{} sleeps were overslept", stat.overslept);
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns options with that name.
    pub fn options(&self) -> sysvring::Options {
        sysvring::Options::named(&*self.name)
    }

    /// Opens both ends of an SPSC channel of `capacity` slots in this process.
    pub fn pair<T: Message + ?Sized>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        self.pair_of::<Spsc, T>(capacity)
    }

    /// Opens both ends of a channel of any flavor.
    pub fn pair_of<F: AnyFlavor, T: Message + ?Sized>(
        &self,
        capacity: usize,
    ) -> (F::Sender<T>, F::Receiver<T>) {
        let tx = self.options().capacity(capacity).open().expect("a sender");
        let rx = self.options().attach().expect("a receiver");
        (tx, rx)
    }
}

impl Default for Name {
    fn default() -> Name {
        Name::new()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let check = std::panic::catch_unwind(AssertUnwindSafe(|| self.check_sleeps()));
        remove(&self.name);
        IN_USE.lock().unwrap_or_else(|e| e.into_inner()).retain(|name| *name != self.name);
        if let Err(failed) = check {
            std::panic::resume_unwind(failed);
        }
    }
}

/// Removes every channel whose name is in use, before a process ends without unwinding.
pub fn remove_all() {
    for name in IN_USE.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
        remove(&name);
    }
}

fn remove(name: &str) {
    match sysvring::remove(name) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => eprintln!("{name} cannot be removed: {error}"),
    }
}

/// Returns whether the channel does not exist.
pub fn is_gone(address: impl Into<Address>) -> bool {
    match sysvring::stat(address) {
        Err(Error::NotFound { .. }) => true,
        Ok(_) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until a segment is attached `n` times, once of them by this function. Other tests may
/// attach it for a moment.
pub fn wait_until_attached(address: impl Into<Address>, n: u64) {
    let observer = Observer::open(address).expect("open");
    until(|| observer.stat().expect("stat").segment.attached == n);
}

//! Names of channels that go when the test does.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use sysvring::Message;
use sysvring::spsc::{Receiver, Sender};

/// Every name in use, for the watchdog.
static IN_USE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A channel name that nobody else has. Dropped, it removes the channel, if there is one.
pub struct Name(String);

impl Name {
    /// A fresh name.
    pub fn new() -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sysvring-test-{}-{n}", std::process::id());
        IN_USE.lock().unwrap_or_else(|e| e.into_inner()).push(name.clone());
        Name(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Options with that name.
    pub fn options(&self) -> sysvring::Options {
        sysvring::Options::named(&*self.0)
    }

    /// Both ends of a channel of so many slots, in this process.
    pub fn pair<T: Message + ?Sized>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
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
        f.write_str(&self.0)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        remove(&self.0);
        IN_USE.lock().unwrap_or_else(|e| e.into_inner()).retain(|name| *name != self.0);
    }
}

/// Removes every channel whose name is in use: for who is about to end without unwinding.
pub fn remove_all() {
    for name in IN_USE.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
        remove(&name);
    }
}

fn remove(name: &str) {
    match sysvring::remove(name) {
        Ok(()) | Err(sysvring::Error::NotFound { .. }) => {}
        Err(error) => eprintln!("{name} cannot be removed: {error}"),
    }
}

//! What the tests of the loops share: channels, and a runtime whose pauses take no time.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use sysvring::untyped::{Receiver, Sender};
use sysvring::{Address, Flavor, Options, broadcast, mpmc, spsc};

/// Runs a future. Where nothing else goes on, pauses end at once.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(future)
}

/// A channel and a folder, which are removed in the end.
pub struct Place {
    name: String,
    state: PathBuf,
}

impl Place {
    /// Makes a channel of numbers.
    pub fn new(flavor: Flavor) -> Place {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Relaxed);
        let name = format!("bridge-unit-{}-{number}", std::process::id());
        let state = std::env::temp_dir().join(format!("sysvring-{name}"));
        let place = Place { name, state };
        place.create(flavor);
        place
    }

    /// Makes its channel, with a schema.
    pub fn create(&self, flavor: Flavor) {
        let options = Options::named(&*self.name).capacity(256).schema(7);
        match flavor {
            Flavor::Spsc => drop(options.create::<spsc::Sender<u64>>().unwrap()),
            Flavor::Mpmc => drop(options.create::<mpmc::Sender<u64>>().unwrap()),
            // Half of it is kept for those that come late.
            _ => drop(options.capacity(512).create::<broadcast::Sender<u64>>().unwrap()),
        }
    }

    /// Removes its channel.
    pub fn remove(&self) {
        sysvring::remove(&*self.name).unwrap();
    }

    /// Returns the address of its channel.
    pub fn channel(&self) -> Address {
        Address::named(&*self.name)
    }

    /// Returns its folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Returns a sender.
    pub fn sender(&self) -> Sender {
        Options::named(&*self.name).attach().unwrap()
    }

    /// Returns a receiver.
    pub fn receiver(&self) -> Receiver {
        Options::named(&*self.name).attach().unwrap()
    }

    /// Returns the numbers that wait in its channel, and takes them.
    pub fn take(&self) -> Vec<u64> {
        let (mut receiver, mut message) = (self.receiver(), Vec::new());
        let mut numbers = Vec::new();
        while receiver.try_recv_into(&mut message).is_ok() {
            numbers.push(u64::from_ne_bytes(message[..].try_into().unwrap()));
        }
        numbers
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = sysvring::remove(&*self.name);
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

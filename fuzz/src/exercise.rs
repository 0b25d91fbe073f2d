//! Every way to use a handle; none of them waits for long.

use std::time::Duration;

use sysvring::{ChannelId, Error, Handle, Message, Stat, mpmc, spsc};

/// A handle of any kind.
pub(crate) trait Uses<T: Message + ?Sized>: Handle {
    /// Sends or receives more often than there are slots, in every way.
    fn use_up(&mut self, message: &T);
    fn id(&self) -> ChannelId;
    fn stat(&self) -> Result<Stat, Error>;
}

/// An error must speak; which one it is depends on the input.
pub(crate) fn checked<T, E: ToString>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

macro_rules! uses {
    ($module:ident, |$tx:ident| $sending:expr, |$rx:ident| $receiving:expr) => {
        impl<T: Message + ?Sized> Uses<T> for $module::Sender<T> {
            fn use_up(&mut self, message: &T) {
                for n in 0..6 {
                    let _ = match n % 3 {
                        0 => checked(self.try_send(message)),
                        1 => checked(self.try_send_batch([message, message])),
                        _ => checked(self.send_timeout(message, Duration::from_micros(n * 3))),
                    };
                    assert!(self.len() <= self.capacity());
                    let _ = (self.is_empty(), self.is_full());
                }
                checked(self.flush(Duration::from_micros(5)));
                checked(self.wait_for_peer(Duration::ZERO));
                let $tx = &mut *self;
                $sending;
                checked(self.stat());
            }

            fn id(&self) -> ChannelId {
                self.id()
            }

            fn stat(&self) -> Result<Stat, Error> {
                self.stat()
            }
        }

        impl<T: Message + ?Sized> Uses<T> for $module::Receiver<T> {
            fn use_up(&mut self, _: &T) {
                for n in 0..8 {
                    match n % 3 {
                        0 => drop(checked(self.try_recv_ref())),
                        1 => drop(checked(self.try_recv_boxed())),
                        _ => drop(checked(self.recv_boxed_timeout(Duration::from_micros(n * 3)))),
                    }
                    assert!(self.len() <= self.capacity());
                    let _ = (self.is_empty(), self.is_full());
                }
                checked(self.wait_for_peer(Duration::ZERO));
                let $rx = &mut *self;
                $receiving;
                checked(self.stat());
            }

            fn id(&self) -> ChannelId {
                self.id()
            }

            fn stat(&self) -> Result<Stat, Error> {
                self.stat()
            }
        }
    };
}

uses!(spsc, |tx| (checked(tx.peer()), tx.position()), |rx| (checked(rx.peer()), rx.position()));
// Not `try_clone`: it waits 10 seconds for who creates or joins, and a set may say that somebody does.
uses!(mpmc, |tx| checked(tx.deaths()), |rx| checked(rx.deaths()));

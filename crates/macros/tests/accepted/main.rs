//! Declarations that are messages: what the attribute adds, and that it disturbs nothing.

mod enums;
mod every_byte;
mod generics;
mod own_names;
mod strict_lints;
mod structs;

use sysvring::{Error, Message, Options, spsc};

/// Returns the text of the structure of a type.
fn structure<T: Message + ?Sized>() -> String {
    T::structure().to_string()
}

/// Sends a message, and returns it as the other side receives it.
fn sent<T: Message>(message: &T) -> T {
    let carried = || -> Result<T, Error> {
        let mut tx: spsc::Sender<T> = Options::private().create()?;
        let mut rx: spsc::Receiver<T> = Options::id(tx.id()).attach()?;
        tx.send(message)?;
        Ok(rx.recv()?)
    };
    carried().expect("a channel")
}

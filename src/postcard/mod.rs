//! Values of serde types as messages of variable length, in the format of postcard.
//!
//! A value is serialised straight into a slot (`sender.rs`) and deserialised from a private copy
//! (`receiver.rs`), or from the slot under a guard. The calls are the same for all flavors; what they need
//! of the ends is in `ends.rs`, the format in `codec.rs`, and what both sides compare in `describe.rs`.

mod codec;
mod describe;
mod ends;
mod receiver;
mod sender;

use core::fmt;
use core::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::ValueError;
use crate::message::Message;
use crate::structure::Structure;

/// A message that is a value of a serde type, in the format of [postcard](https://postcard.jamesmunns.com)
/// (feature `postcard`).
///
/// It is a message of variable length, up to [`Options::slot_size`](crate::Options::slot_size): senders
/// and receivers of any flavor of `Postcard<T>` send and receive values of `T`. Sending serialises into the
/// slot and allocates nothing; receiving copies the bytes, acknowledges the message, and deserialises the
/// copy.
///
/// ```
/// use std::collections::BTreeMap;
/// use serde::{Deserialize, Serialize};
/// use sysvring::{Options, Postcard, SendError, spsc};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum Request {
///     Get { path: String, headers: BTreeMap<String, String> },
///     Stop,
/// }
///
/// # fn main() -> Result<(), sysvring::Error> {
/// let options = Options::private().slot_size(1024).schema(1);
/// let mut tx: spsc::Sender<Postcard<Request>> = options.create()?;
/// let mut rx: spsc::Receiver<Postcard<Request>> = Options::id(tx.id()).schema(1).attach()?;
///
/// let get = Request::Get { path: "/".into(), headers: BTreeMap::new() };
/// tx.send_value(&get)?;
/// assert_eq!(rx.recv_value()?, get);
///
/// let long = Request::Get { path: "/".repeat(2000), headers: BTreeMap::new() };
/// assert_eq!(tx.send_value(&long), Err(SendError::TooLong { len: 2004, max: 1024 }));
/// # Ok(()) }
/// ```
///
/// # Name and version of the type
///
/// The bytes do not say of which type they are. The [structure](Message::structure) of this message has
/// the names that serde knows: that of the type, and those of its fields or variants in their order;
/// within an `Option` or a sequence, those of the type in it. `serde(rename)` sets them, and their Rust
/// path does not matter. The types of the fields are not compared: give the version of the type to
/// [`Options::schema`](crate::Options::schema), and raise it with every change.
///
/// Both sides need `T: DeserializeOwned` for this, and a sender `Serialize`. A receiver that wants to
/// borrow from the message uses [`value_as`](Postcard::value_as) with another type.
///
/// # Trust
///
/// The bytes that [`recv_value`](crate::spsc::Receiver::recv_value) deserialises are a private copy. They
/// may be those of a sender that is malicious. A type that contains itself can be nested so deep that the
/// stack overflows, and a sequence of elements without bytes, such as `Vec<()>`, can have any length: it takes
/// time, and memory if its elements have a size. So do not use such types across users.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Postcard<T> {
    value: PhantomData<fn() -> T>,
    bytes: [u8],
}

impl<T: DeserializeOwned> Message for Postcard<T> {
    fn structure() -> Structure {
        Structure::of_struct(
            "Postcard",
            [("value", describe::describe::<T>()), ("bytes", <[u8]>::structure())],
        )
    }
}

impl<T> Postcard<T> {
    /// Returns the serialised bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Deserialises the value. A guard has the [same call](crate::spsc::Guard::value); this one is for
    /// boxes and for [dead letters](crate::DeadLetter::message).
    ///
    /// ```
    /// use sysvring::{DeadLetter, Lifetime, Options, Postcard, mpmc};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name = format!("doc-postcard-letters-{}", std::process::id());
    /// let letters: mpmc::Receiver<DeadLetter> =
    ///     Options::named(&name).slot_size(256).lifetime(Lifetime::LastMember).create()?;
    /// let jobs: mpmc::Sender<Postcard<Vec<String>>> =
    ///     Options::private().slot_size(128).dead_letters(&name, 3).create()?;
    /// let worker: mpmc::Receiver<Postcard<Vec<String>>> = Options::id(jobs.id()).attach()?;
    /// jobs.send_value(&vec!["compress".into(), "a.txt".into()])?;
    /// worker.recv_ref()?.reject()?;
    ///
    /// let letter = letters.recv_boxed()?;
    /// let job = letter.message::<Postcard<Vec<String>>>().ok_or("no job")?;
    /// assert_eq!(job.value()?, ["compress", "a.txt"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`ValueError`] if the bytes are no value of the type.
    pub fn value(&self) -> Result<T, ValueError>
    where
        T: DeserializeOwned,
    {
        codec::deserialize(&self.bytes)
    }

    /// Deserialises the value as another type with the same format, which may borrow from the message:
    /// `&str` in place of a `String`.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use sysvring::{Options, Postcard, spsc};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Line { number: u32, text: String }
    ///
    /// #[derive(Deserialize)]
    /// struct LineRef<'a> { number: u32, text: &'a str }
    ///
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<Postcard<Line>> = Options::private().create()?;
    /// let mut rx: spsc::Receiver<Postcard<Line>> = Options::id(tx.id()).attach()?;
    /// tx.send_value(&Line { number: 7, text: "hello".into() })?;
    /// let message = rx.recv_ref()?;
    /// let line: LineRef = message.value_as()?; // its text is in the slot
    /// assert_eq!((line.number, line.text), (7, "hello"));
    /// message.ack()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`value`](Postcard::value).
    pub fn value_as<'a, V: Deserialize<'a>>(&'a self) -> Result<V, ValueError> {
        codec::deserialize(&self.bytes)
    }
}

impl<T> fmt::Debug for Postcard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postcard").field(&&self.bytes).finish()
    }
}

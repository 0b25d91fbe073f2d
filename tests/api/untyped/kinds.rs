//! The kinds of messages, each with what typed handles do with them.

use std::time::Duration;

use sysvring::zerocopy::{FromBytes, IntoBytes, little_endian};
use sysvring::{Flavor, Message, MessageLayout, Options, RecvError};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Broadcast, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::print_line;

pub const LONG: Duration = Duration::from_secs(20);

/// The number of messages that one process sends to another one.
pub const COUNT: u64 = 60;

/// Numbered values of a type.
trait Sample: Message {
    fn with(n: u64, see: &mut dyn FnMut(&Self));
}

/// A kind of messages. What has three entries is for SPSC, MPMC and broadcast channels.
pub struct Kind {
    pub word: &'static str,
    pub shape: MessageLayout,
    /// Returns the bytes of a value.
    pub bytes: fn(u64) -> Vec<u8>,
    make: [fn(&str); 3],
    send: [fn(&str); 3],
    receive: [fn(&str); 3],
}

impl Kind {
    fn of<T: Sample + ?Sized>(word: &'static str) -> Kind {
        Kind {
            word,
            shape: MessageLayout::of::<T>(),
            bytes: |n| {
                let mut bytes = Vec::new();
                T::with(n, &mut |sample| bytes = sample.as_bytes().to_vec());
                bytes
            },
            make: [make::<Spsc, T>, make::<Mpmc, T>, make::<Broadcast, T>],
            send: [send::<Spsc, T>, send::<Mpmc, T>, send::<Broadcast, T>],
            receive: [receive::<Spsc, T>, receive::<Mpmc, T>, receive::<Broadcast, T>],
        }
    }

    /// Makes a channel and leaves it.
    pub fn make(&self, flavor: Flavor, name: &Name) {
        self.make[index(flavor)](name.as_str());
    }

    /// Opens a typed sender, says so, and sends all values.
    pub fn send(&self, flavor: Flavor, name: &str) {
        self.send[index(flavor)](name);
    }

    /// Opens a typed receiver, says so, and expects all values and the end of the stream.
    pub fn receive(&self, flavor: Flavor, name: &str) {
        self.receive[index(flavor)](name);
    }
}

const FLAVORS: [Flavor; 3] = [Flavor::Spsc, Flavor::Mpmc, Flavor::Broadcast];

fn index(flavor: Flavor) -> usize {
    FLAVORS.iter().position(|known| *known == flavor).expect("one of them")
}

/// Returns the flavor with this Debug form.
pub fn flavor_of(word: &str) -> Flavor {
    let found = FLAVORS.into_iter().find(|f| format!("{f:?}") == word);
    found.unwrap_or_else(|| panic!("no such flavor: {word}"))
}

/// Returns the kind of this name.
pub fn kind_of(word: &str) -> Kind {
    let found = kinds().into_iter().find(|kind| kind.word == word);
    found.unwrap_or_else(|| panic!("no such kind: {word}"))
}

fn make<F: AnyFlavor, T: Message + ?Sized>(name: &str) {
    drop(Options::named(name).capacity(4).create::<F::Sender<T>>().expect("create"));
}

fn send<F: AnyFlavor, T: Sample + ?Sized>(name: &str) {
    let mut tx: F::Sender<T> = Options::named(name).capacity(8).open().expect("open");
    print_line("open");
    for n in 0..COUNT {
        T::with(n, &mut |sample| tx.send_timeout(sample, LONG).expect("a receiver"));
    }
}

fn receive<F: AnyFlavor, T: Sample + ?Sized>(name: &str) {
    let mut rx: F::Receiver<T> = Options::named(name).capacity(8).open().expect("open");
    print_line("open");
    for n in 0..COUNT {
        let got = rx.recv_boxed_timeout(LONG).expect("a message");
        T::with(n, &mut |sample| assert_eq!(got.as_bytes(), sample.as_bytes()));
    }
    assert_eq!(rx.recv_boxed_timeout(LONG).err(), Some(RecvError::Disconnected));
}

#[sysvring::message]
#[repr(C, align(64))]
struct CacheLine([u64; 8]);

#[sysvring::message]
struct Line {
    number: little_endian::U64,
    file: little_endian::U16,
    text: [u8],
}

#[sysvring::message]
struct Table {
    columns: u32,
    rows: u32,
    cells: [u32],
}

macro_rules! samples {
    ($($word:literal: $ty:ty, $n:ident, $see:ident => $sample:expr;)*) => {
        $(impl Sample for $ty {
            fn with($n: u64, $see: &mut dyn FnMut(&Self)) {
                $sample
            }
        })*

        /// Returns all kinds.
        pub fn kinds() -> Vec<Kind> {
            vec![$(Kind::of::<$ty>($word)),*]
        }
    };
}

samples! {
    "nothing": (), _n, see => see(&());
    "byte": u8, n, see => see(&(n as u8));
    "odd": [u8; 3], n, see => see(&[n as u8, !n as u8, (n >> 8) as u8]);
    "number": u64, n, see => see(&(n << 32 | n));
    "numbers": [u64; 3], n, see => see(&[n, !n, n << 7]);
    "aligned": CacheLine, n, see => see(&CacheLine(std::array::from_fn(|i| n + i as u64)));
    "large": [u64; 8_192], n, see => see(&std::array::from_fn(|i| n << 16 | i as u64));
    "bytes": [u8], n, see => see(&vec![n as u8; n as usize % 100]);
    "text": str, n, see => see(&"aß→🦀".repeat(n as usize % 9));
    "words": [u32], n, see => see(&vec![n as u32; n as usize % 9]);
    "line": Line, n, see => {
        let header = [&n.to_le_bytes()[..], &[77, 0]].concat();
        let bytes = [header, b"abcdefghijklm".repeat(n as usize % 9)].concat();
        see(Line::ref_from_bytes(&bytes).expect("at least a header"))
    };
    "table": Table, n, see => {
        let words: Vec<u32> = (0..2 + n as u32 % 9).map(|i| i + n as u32).collect();
        see(Table::ref_from_bytes(words.as_bytes()).expect("at least a header"))
    };
}

//! Any bytes as a message of a type for which not all bytes are valid. The receiver gets the value
//! that was sent, or `Invalid` with its position, or `Corrupt` for a length that no slot has, and
//! the next message arrives unaffected.
//!
//! The input: a byte that selects the type, one for the way to receive, then the bytes of the
//! message. For types of variable length a half-word more, the length that the slot claims.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sysvring::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use sysvring::{Fault, Message, Options, RecvError};
use sysvring_support::handle::{
    AnyFlavor, AnyGuard, AnyHandle, AnyReceiver, AnySender, Broadcast, Mpmc, Spsc,
};
use sysvring_support::raw_ipc::{Segment, at, remove_segment};

use crate::input::Input;
use crate::time::within;

const TOO_LONG: Duration = Duration::from_secs(2);
/// The slot size of types of variable length.
const SLOT_SIZE: usize = 40;
const CAPACITY: u64 = 4;

/// An enum without fields.
#[sysvring::message]
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "used as bytes only")]
enum Color {
    Red = 1,
    Green = 2,
    Blue = 9,
}

/// An enum with fields.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(u8)]
#[allow(dead_code, reason = "used as bytes only")]
enum Event {
    Pressed(bool) = 0,
    Painted(Color) = 1,
    Counted(u8) = 7,
}

impl sysvring::Message for Event {}

/// A struct of the above.
#[sysvring::message]
#[derive(Clone, Copy)]
struct Nested {
    sign: char,
    event: Event,
    flags: [bool; 2],
    number: u64,
}

/// A struct that ends in a slice.
#[sysvring::message]
struct Line {
    color: Color,
    last: bool,
    signs: [[Color; 2]],
}

const EVENT: Event = Event::Painted(Color::Green);
const NESTED: Nested = Nested { sign: 'x', event: EVENT, flags: [true, false], number: 7 };

fn is_flag(byte: u8) -> bool {
    byte <= 1
}

fn is_color(byte: u8) -> bool {
    matches!(byte, 1 | 2 | 9)
}

fn is_sign(bytes: &[u8]) -> bool {
    bytes.try_into().is_ok_and(|four| char::from_u32(u32::from_ne_bytes(four)).is_some())
}

fn is_event(bytes: &[u8]) -> bool {
    match bytes[0] {
        0 => is_flag(bytes[1]),
        1 => is_color(bytes[1]),
        tag => tag == 7,
    }
}

fn is_nested(bytes: &[u8]) -> bool {
    is_sign(&bytes[..4]) && is_event(&bytes[4..6]) && bytes[6..8].iter().all(|byte| is_flag(*byte))
}

fn is_line(bytes: &[u8]) -> bool {
    bytes.len() >= 2
        && bytes.len().is_multiple_of(2)
        && is_color(bytes[0])
        && is_flag(bytes[1])
        && bytes[2..].iter().all(|byte| is_color(*byte))
}

/// The target.
pub fn messages(data: &[u8]) {
    thread_local! {
        static WORLDS: RefCell<[Option<Box<dyn World>>; KINDS.len()]> =
            const { RefCell::new([const { None }; KINDS.len()]) };
    }
    within(TOO_LONG, || {
        let mut input = Input::new(data);
        let kind = usize::from(input.byte()) % KINDS.len();
        WORLDS.with_borrow_mut(|worlds| {
            let world = worlds[kind].get_or_insert_with(KINDS[kind]);
            // After `Corrupt`, the channel cannot be used any more.
            if !world.deliver(&mut input) {
                worlds[kind] = None;
            }
        });
    });
}

/// A channel of some type.
trait World {
    /// Delivers the message of the input. Returns whether the channel can still be used.
    fn deliver(&mut self, input: &mut Input<'_>) -> bool;
}

const KINDS: [fn() -> Box<dyn World>; 21] = [
    || sized::<Spsc, bool>(true, |b| is_flag(b[0])),
    || sized::<Spsc, char>('x', is_sign),
    || sized::<Spsc, Color>(Color::Red, |b| is_color(b[0])),
    || sized::<Spsc, Event>(EVENT, is_event),
    || sized::<Spsc, Nested>(NESTED, is_nested),
    || sized::<Spsc, [bool; 11]>([true; 11], |b| b.iter().all(|b| is_flag(*b))),
    || sized::<Spsc, [Nested; 9]>([NESTED; 9], |b| b.chunks(16).all(is_nested)),
    || sized::<Mpmc, Nested>(NESTED, is_nested),
    || sized::<Mpmc, [char; 3]>(['x'; 3], |b| b.chunks(4).all(is_sign)),
    || sized::<Mpmc, u128>(1, |_| true),
    || ending_in_a_slice::<Spsc, str>(b"text", |b| std::str::from_utf8(b).is_ok()),
    || ending_in_a_slice::<Spsc, [bool]>(&[1, 0, 1], |b| b.iter().all(|b| is_flag(*b))),
    || ending_in_a_slice::<Spsc, Line>(&[1, 0, 9, 2], is_line),
    || ending_in_a_slice::<Spsc, [u8]>(b"bytes", |_| true),
    || ending_in_a_slice::<Mpmc, str>(b"text", |b| std::str::from_utf8(b).is_ok()),
    || ending_in_a_slice::<Mpmc, Line>(&[1, 0, 9, 2], is_line),
    || ending_in_a_slice::<Mpmc, [bool]>(&[1, 0, 1], |b| b.iter().all(|b| is_flag(*b))),
    || ending_in_a_slice::<Mpmc, [u8]>(b"bytes", |_| true),
    || sized::<Broadcast, Nested>(NESTED, is_nested),
    || ending_in_a_slice::<Broadcast, str>(b"text", |b| std::str::from_utf8(b).is_ok()),
    || ending_in_a_slice::<Broadcast, Line>(&[1, 0, 9, 2], is_line),
];

/// A channel, and its segment accessed without the library.
struct Channel<F: AnyFlavor, T: Message + ?Sized, M> {
    tx: F::Sender<T>,
    rx: F::Receiver<T>,
    /// A value of the type, to send.
    good: M,
    /// Returns whether bytes are a valid value of the type, without asking the library.
    is_valid: fn(&[u8]) -> bool,
    /// The number of messages sent so far.
    sent: u64,
    slots: Slots,
}

impl<F: AnyFlavor, T: Message + ?Sized, M> Channel<F, T, M> {
    fn open(
        options: Options,
        payload_at: usize,
        good: M,
        is_valid: fn(&[u8]) -> bool,
    ) -> Channel<F, T, M> {
        let options = options.capacity(CAPACITY as usize);
        let tx: F::Sender<T> = options.create().expect("a new channel");
        let rx = Options::id(tx.id()).attach().expect("its other side");
        let slots = Slots::of(&tx.stat().expect("stat"), payload_at);
        Channel { tx, rx, good, is_valid, sent: 0, slots }
    }

    /// Sends two messages, and returns the position of the first.
    fn send_two(&mut self, message: fn(&M) -> &T) -> u64 {
        for _ in 0..2 {
            self.tx.try_send(message(&self.good)).expect("there is a free slot");
        }
        self.sent += 2;
        self.sent - 2
    }

    /// Receives the bytes of the next message.
    fn boxed(&mut self) -> Result<Vec<u8>, RecvError> {
        self.rx.try_recv_boxed().map(|message| message.as_bytes().to_vec())
    }

    /// Receives the bytes of the next message in place.
    fn lent(&mut self) -> Result<Vec<u8>, RecvError> {
        self.rx.try_recv_ref()?.read(|message| message.as_bytes().to_vec())
    }
}

/// The slots, accessed without the library. Dropping it removes the segment; the set is removed by
/// the last member.
struct Slots {
    segment: Segment,
    at: usize,
    payload_at: usize,
    stride: usize,
    slot_size: usize,
}

impl Drop for Slots {
    fn drop(&mut self) {
        // The last member may have removed it.
        let _ = remove_segment(self.segment.id);
    }
}

impl Slots {
    fn of(stat: &sysvring::Stat, payload_at: usize) -> Slots {
        let segment = Segment::attach(stat.id.segment()).expect("the channel's segment");
        let at = segment.u32(at::HEADER_SIZE).load(Relaxed) as usize;
        Slots { segment, at, payload_at, stride: stat.stride, slot_size: stat.slot_size }
    }

    /// Returns the offset of the payload of a position.
    fn payload(&self, position: u64) -> usize {
        self.at + (position % CAPACITY) as usize * self.stride + self.payload_at
    }
}

fn sized<F: AnyFlavor, T: Message + 'static>(
    good: T,
    is_valid: fn(&[u8]) -> bool,
) -> Box<dyn World> {
    let payload_at = 8usize.next_multiple_of(align_of::<T>());
    Box::new(Channel::<F, T, T>::open(Options::private(), payload_at, good, is_valid))
}

impl<F: AnyFlavor, T: Message> World for Channel<F, T, T> {
    fn deliver(&mut self, input: &mut Input<'_>) -> bool {
        let way = input.byte();
        let position = self.send_two(|good| good);
        let good = self.good.as_bytes().to_vec();
        let mut bytes = good.clone();
        let given = input.bytes(bytes.len());
        bytes[..given.len()].copy_from_slice(given);
        self.slots.segment.write(self.slots.payload(position), &bytes);
        let valid = (self.is_valid)(&bytes);
        if way % 4 == 3 {
            let mut messages = Vec::new();
            let taken = self.rx.try_recv_batch(&mut messages, 2);
            let taken_bytes: Vec<&[u8]> = messages.iter().map(IntoBytes::as_bytes).collect();
            match (taken, valid) {
                (Ok(2), true) => assert!(taken_bytes == [&bytes[..], &good]),
                // The invalid one was left out, and the valid one after it was received.
                (Ok(1), false) => assert!(taken_bytes == [&good[..]]),
                (Err(RecvError::Invalid { position: at }), false) => {
                    assert!(messages.is_empty());
                    assert_eq!(at, position);
                    assert_eq!(self.boxed(), Ok(good));
                }
                (other, _) => panic!("{bytes:?}, valid: {valid}, but the result is {other:?}"),
            }
            return true;
        }
        let got = match way % 4 {
            0 => self.rx.try_recv().map(|message| message.as_bytes().to_vec()),
            1 => self.boxed(),
            _ => self.lent(),
        };
        assert_eq!(got, if valid { Ok(bytes) } else { Err(RecvError::Invalid { position }) });
        let next = self.rx.try_recv().map(|message| message.as_bytes().to_vec());
        assert_eq!(next, Ok(good), "at {}", position + 1);
        true
    }
}

/// The bytes of a value of a type that ends in a slice and has an alignment of 1.
struct Value<T: ?Sized>(&'static [u8], PhantomData<fn(&T)>);

impl<T: Message + ?Sized> Value<T> {
    fn get(&self) -> &T {
        T::try_ref_from_bytes(self.0).unwrap_or_else(|_| panic!("{:?} is not a value", self.0))
    }
}

fn ending_in_a_slice<F: AnyFlavor, T: Message + ?Sized + 'static>(
    good: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
) -> Box<dyn World> {
    let options = Options::private().slot_size(SLOT_SIZE);
    let good = Value::<T>(good, PhantomData);
    Box::new(Channel::<F, T, Value<T>>::open(options, 16, good, is_valid))
}

impl<F: AnyFlavor, T: Message + ?Sized> World for Channel<F, T, Value<T>> {
    fn deliver(&mut self, input: &mut Input<'_>) -> bool {
        let way = input.byte();
        // Mostly a length that fits.
        let length = match way & 0xc0 {
            0xc0 => u64::from(input.half()) << (way & 0x30),
            _ => u64::from(input.half()) % (SLOT_SIZE as u64 + 1),
        };
        let position = self.send_two(Value::get);
        let at = self.slots.payload(position);
        let mut bytes = vec![0; SLOT_SIZE];
        let given = input.bytes(SLOT_SIZE);
        bytes[..given.len()].copy_from_slice(given);
        self.slots.segment.write(at, &bytes);
        self.slots.segment.write(at - 8, &length.to_le_bytes());
        let got = match way % 2 {
            0 => self.boxed(),
            _ => self.lent(),
        };
        if length > self.slots.slot_size as u64 {
            let is_corrupt = matches!(got, Err(RecvError::Fault(Fault::Corrupt { .. })));
            assert!(is_corrupt, "{length} bytes, but the result is {got:?}");
            // The fault is permanent.
            assert_eq!(self.boxed(), got);
            assert_eq!(self.lent(), got);
            return false;
        }
        bytes.truncate(length as usize);
        let valid = (self.is_valid)(&bytes);
        assert_eq!(got, if valid { Ok(bytes) } else { Err(RecvError::Invalid { position }) });
        assert_eq!(self.boxed().as_deref(), Ok(self.good.0));
        true
    }
}

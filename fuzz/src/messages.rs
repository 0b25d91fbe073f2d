//! Any bytes as a message of a type with bytes that are none: what is received is the value that was
//! sent, or `Invalid` at its position, or `Corrupt` for a length that no slot has; the message behind
//! it comes as if nothing had been.
//!
//! The input: a byte that picks the type, one for the way to receive, then the bytes of the message.
//! Of types of variable length a half-word more, the length that is claimed.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use sysvring::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use sysvring::{ChannelId, Fault, Message, Options, RecvError, mpmc, spsc};

use crate::input::Input;
use crate::raw::{Segment, remove_segment};
use crate::time::within;

const TOO_LONG: Duration = Duration::from_secs(2);
/// Of types of variable length.
const SLOT_SIZE: usize = 40;
const CAPACITY: u64 = 4;

/// An enum without fields.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(u8)]
#[allow(dead_code, reason = "looked at as bytes only")]
enum Color {
    Red = 1,
    Green = 2,
    Blue = 9,
}

/// An enum with fields.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(u8)]
#[allow(dead_code, reason = "looked at as bytes only")]
enum Event {
    Pressed(bool) = 0,
    Painted(Color) = 1,
    Counted(u8) = 7,
}

/// A struct of these.
#[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
struct Nested {
    sign: char,
    event: Event,
    flags: [bool; 2],
    number: u64,
}

/// One that ends in a slice.
#[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
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
            // After `Corrupt` there is nothing to go on with.
            if !world.deliver(&mut input) {
                worlds[kind] = None;
            }
        });
    });
}

/// A channel of some type.
trait World {
    /// Delivers the message of the input; whether the channel is still good.
    fn deliver(&mut self, input: &mut Input<'_>) -> bool;
}

const KINDS: [fn() -> Box<dyn World>; 18] = [
    || sized::<bool, One<bool>>(true, |b| is_flag(b[0])),
    || sized::<char, One<char>>('x', is_sign),
    || sized::<Color, One<Color>>(Color::Red, |b| is_color(b[0])),
    || sized::<Event, One<Event>>(EVENT, is_event),
    || sized::<Nested, One<Nested>>(NESTED, is_nested),
    || sized::<[bool; 11], One<[bool; 11]>>([true; 11], |b| b.iter().all(|b| is_flag(*b))),
    || sized::<[Nested; 9], One<[Nested; 9]>>([NESTED; 9], |b| b.chunks(16).all(is_nested)),
    || sized::<Nested, Many<Nested>>(NESTED, is_nested),
    || sized::<[char; 3], Many<[char; 3]>>(['x'; 3], |b| b.chunks(4).all(is_sign)),
    || sized::<u128, Many<u128>>(1, |_| true),
    || ending_in_a_slice::<str, One<str>>(b"text", |b| std::str::from_utf8(b).is_ok()),
    || ending_in_a_slice::<[bool], One<[bool]>>(&[1, 0, 1], |b| b.iter().all(|b| is_flag(*b))),
    || ending_in_a_slice::<Line, One<Line>>(&[1, 0, 9, 2], is_line),
    || ending_in_a_slice::<[u8], One<[u8]>>(b"bytes", |_| true),
    || ending_in_a_slice::<str, Many<str>>(b"text", |b| std::str::from_utf8(b).is_ok()),
    || ending_in_a_slice::<Line, Many<Line>>(&[1, 0, 9, 2], is_line),
    || ending_in_a_slice::<[bool], Many<[bool]>>(&[1, 0, 1], |b| b.iter().all(|b| is_flag(*b))),
    || ending_in_a_slice::<[u8], Many<[u8]>>(b"bytes", |_| true),
];

/// Both ends of a one-to-one channel.
type One<T> = (spsc::Sender<T>, spsc::Receiver<T>);
/// Both ends of a many-to-many channel.
type Many<T> = (mpmc::Sender<T>, mpmc::Receiver<T>);

/// What both kinds of ends can do.
trait Ends<T: Message + ?Sized>: Sized {
    fn open(options: impl Fn(Option<ChannelId>) -> Options) -> Self;
    fn id(&self) -> ChannelId;
    fn send(&mut self, message: &T);
    /// The bytes of the next message.
    fn boxed(&mut self) -> Result<Vec<u8>, RecvError>;
    fn lent(&mut self) -> Result<Vec<u8>, RecvError>;
}

/// What they can do with messages of a fixed size.
trait SizedEnds<T: Message>: Ends<T> {
    fn value(&mut self) -> Result<T, RecvError>;
    fn batch(&mut self, messages: &mut Vec<T>) -> Result<usize, RecvError>;
}

macro_rules! ends {
    ($ends:ident, $module:ident) => {
        impl<T: Message + ?Sized> Ends<T> for $ends<T> {
            fn open(options: impl Fn(Option<ChannelId>) -> Options) -> Self {
                let tx: $module::Sender<T> = options(None).create().expect("a new channel");
                let rx = options(Some(tx.id())).attach().expect("its other side");
                (tx, rx)
            }

            fn id(&self) -> ChannelId {
                self.0.id()
            }

            fn send(&mut self, message: &T) {
                self.0.try_send(message).expect("there is room");
            }

            fn boxed(&mut self) -> Result<Vec<u8>, RecvError> {
                self.1.try_recv_boxed().map(|message| message.as_bytes().to_vec())
            }

            fn lent(&mut self) -> Result<Vec<u8>, RecvError> {
                self.1.try_recv_ref().map(|message| message.as_bytes().to_vec())
            }
        }

        impl<T: Message> SizedEnds<T> for $ends<T> {
            fn value(&mut self) -> Result<T, RecvError> {
                self.1.try_recv()
            }

            fn batch(&mut self, messages: &mut Vec<T>) -> Result<usize, RecvError> {
                self.1.try_recv_batch(messages, 2)
            }
        }
    };
}

ends!(One, spsc);
ends!(Many, mpmc);

/// A channel, and its segment by hand.
struct Channel<E, M> {
    ends: E,
    /// A value of the type, to send.
    good: M,
    /// Whether bytes are a value of the type, by another judge than the library.
    is_valid: fn(&[u8]) -> bool,
    /// The messages sent so far.
    sent: u64,
    ground: Ground,
}

/// The segment by hand. Dropped, it goes; its set went with the members.
struct Ground {
    segment: Segment,
    slots_at: usize,
    payload_at: usize,
    stride: usize,
    slot_size: usize,
}

impl Drop for Ground {
    fn drop(&mut self) {
        remove_segment(self.segment.id);
    }
}

impl Ground {
    fn new(id: ChannelId, payload_at: usize) -> Ground {
        let stat = sysvring::stat(id).expect("stat");
        let segment = Segment::attach(id.segment()).expect("it is there");
        // The slots end where the segment does.
        let slots_at = stat.segment.size as usize - CAPACITY as usize * stat.stride;
        Ground { segment, slots_at, payload_at, stride: stat.stride, slot_size: stat.slot_size }
    }

    /// Where the payload of a position lies.
    fn payload(&self, position: u64) -> usize {
        self.slots_at + (position % CAPACITY) as usize * self.stride + self.payload_at
    }
}

fn options(id: Option<ChannelId>) -> Options {
    match id {
        Some(id) => Options::id(id),
        None => Options::private().capacity(CAPACITY as usize),
    }
}

fn sized<T, E>(good: T, is_valid: fn(&[u8]) -> bool) -> Box<dyn World>
where
    T: Message + 'static,
    E: SizedEnds<T> + 'static,
{
    let ends = E::open(options);
    let ground = Ground::new(ends.id(), 8usize.next_multiple_of(align_of::<T>()));
    Box::new(Channel { ends, good, is_valid, sent: 0, ground })
}

impl<T: Message, E: SizedEnds<T>> World for Channel<E, T> {
    fn deliver(&mut self, input: &mut Input<'_>) -> bool {
        let way = input.byte();
        self.ends.send(&self.good);
        self.ends.send(&self.good);
        let (position, next) = (self.sent, self.sent + 1);
        self.sent += 2;
        let mut bytes = self.good.as_bytes().to_vec();
        let given = input.bytes(bytes.len());
        bytes[..given.len()].copy_from_slice(given);
        self.ground.segment.write(self.ground.payload(position), &bytes);
        let valid = (self.is_valid)(&bytes);
        let good = self.good.as_bytes();
        if way % 4 == 3 {
            let mut messages = Vec::new();
            let taken = self.ends.batch(&mut messages);
            let taken_bytes: Vec<&[u8]> = messages.iter().map(IntoBytes::as_bytes).collect();
            match (taken, valid) {
                (Ok(2), true) => assert!(taken_bytes == [&bytes[..], good]),
                // The invalid one was left out, with the good one behind it.
                (Ok(1), false) => {
                    assert!(taken_bytes == [good]);
                    return true;
                }
                (Err(RecvError::Invalid { position: at }), false) => {
                    assert!(messages.is_empty());
                    assert_eq!(at, position);
                    assert!(self.ends.boxed().as_deref() == Ok(good));
                }
                (other, _) => panic!("{bytes:?}, valid: {valid}, and it is {other:?}"),
            }
            return true;
        }
        let got = match way % 4 {
            0 => self.ends.value().map(|message| message.as_bytes().to_vec()),
            1 => self.ends.boxed(),
            _ => self.ends.lent(),
        };
        assert_eq!(got, if valid { Ok(bytes) } else { Err(RecvError::Invalid { position }) });
        let behind = self.ends.value().map(|message| message.as_bytes().to_vec());
        assert_eq!(behind.as_deref(), Ok(self.good.as_bytes()), "at {next}");
        true
    }
}

/// The bytes of a value of a type without a size, and of no alignment.
struct Value<T: ?Sized>(&'static [u8], PhantomData<fn(&T)>);

impl<T: Message + ?Sized> Value<T> {
    fn get(&self) -> &T {
        T::try_ref_from_bytes(self.0).unwrap_or_else(|_| panic!("{:?} is no value", self.0))
    }
}

fn ending_in_a_slice<T, E>(good: &'static [u8], is_valid: fn(&[u8]) -> bool) -> Box<dyn World>
where
    T: Message + ?Sized + 'static,
    E: Ends<T> + 'static,
{
    let ends = E::open(|id| options(id).slot_size(SLOT_SIZE));
    let ground = Ground::new(ends.id(), 16);
    let good = Value::<T>(good, PhantomData);
    Box::new(Channel { ends, good, is_valid, sent: 0, ground })
}

impl<T: Message + ?Sized, E: Ends<T>> World for Channel<E, Value<T>> {
    fn deliver(&mut self, input: &mut Input<'_>) -> bool {
        let way = input.byte();
        // Mostly a length that fits.
        let length = match way & 0xc0 {
            0xc0 => u64::from(input.half()) << (way & 0x30),
            _ => u64::from(input.half()) % (SLOT_SIZE as u64 + 1),
        };
        self.ends.send(self.good.get());
        self.ends.send(self.good.get());
        let position = self.sent;
        self.sent += 2;
        let at = self.ground.payload(position);
        let mut bytes = vec![0; SLOT_SIZE];
        let given = input.bytes(SLOT_SIZE);
        bytes[..given.len()].copy_from_slice(given);
        self.ground.segment.write(at, &bytes);
        self.ground.segment.write(at - 8, &length.to_le_bytes());
        let got = match way % 2 {
            0 => self.ends.boxed(),
            _ => self.ends.lent(),
        };
        if length > self.ground.slot_size as u64 {
            let corrupt = |result: &Result<_, _>| {
                matches!(result, Err(RecvError::Fault(Fault::Corrupt { .. })))
            };
            assert!(corrupt(&got), "{length} bytes, and it is {got:?}");
            // It stays so.
            assert_eq!(self.ends.boxed(), got);
            assert_eq!(self.ends.lent(), got);
            return false;
        }
        bytes.truncate(length as usize);
        let valid = (self.is_valid)(&bytes);
        assert_eq!(got, if valid { Ok(bytes) } else { Err(RecvError::Invalid { position }) });
        assert_eq!(self.ends.boxed().as_deref(), Ok(self.good.0));
        true
    }
}

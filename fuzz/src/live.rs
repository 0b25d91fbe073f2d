//! Somebody writes into the segment and sets semaphores while members are at work: each call gives a
//! message, an error with a name or a timeout; never a panic, never a hang; and a handle that said
//! why it stopped says the same again.
//!
//! The input: a byte that picks one of sixteen channels, then steps: a byte that says what is done,
//! and what that needs. Channels stay open from one input to the next. Before each input their bytes
//! and semaphores are put back to what they were, and their members come anew, so that an input does
//! the same whatever came before it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use sysvring::{ChannelId, Fault, Handle, Lifetime, Message, Options, Wait, mpmc, spsc};

use crate::exercise::checked;
use crate::input::Input;
use crate::ops::{Receiving, Sending, Step};
use crate::raw::{Segment, Set, remove_segment};
use crate::time::within;

/// Of opening, which nobody holds up here.
const TIMEOUT: Duration = Duration::from_millis(50);
/// All calls of an input together.
const TOO_LONG: Duration = Duration::from_secs(2);
/// Most steps of an input.
const STEPS: usize = 48;

const CAPACITY: usize = 4;
const SLOT_SIZE: usize = 24;
const MEMBERS: usize = 4;
/// As many semaphores as a set has here, at most.
const SEMAPHORES: usize = 8 + MEMBERS;
/// Where the slots begin.
const SLOTS: usize = 4096;
/// What the header uses of that.
const HEADER: usize = 1024 + MEMBERS * 128;

/// The target.
pub fn live(data: &[u8]) {
    thread_local! {
        static WORLDS: RefCell<[Option<Box<dyn World>>; 16]> = const { RefCell::new([const { None }; 16]) };
    }
    within(TOO_LONG, || {
        let mut input = Input::new(data);
        let kind = Kind::read(input.byte());
        WORLDS.with_borrow_mut(|worlds| {
            let world = &mut worlds[kind.number];
            if world.as_mut().is_some_and(|world| !world.reset()) {
                *world = None;
            }
            world.get_or_insert_with(|| kind.build()).play(&mut input);
        });
    });
}

/// One of the channels.
#[derive(Clone, Copy, Debug)]
struct Kind {
    number: usize,
    /// Many to many.
    many: bool,
    /// Messages of variable length.
    text: bool,
    /// It has a key, and its segment is asked after.
    keyed: bool,
    wait: Wait,
}

impl Kind {
    fn read(byte: u8) -> Kind {
        let is = |bit: u8| byte & bit != 0;
        Kind {
            number: usize::from(byte % 16),
            many: is(1),
            text: is(2),
            keyed: is(4),
            wait: if is(8) { Wait::Park } else { Wait::Balanced },
        }
    }

    fn build(self) -> Box<dyn World> {
        match (self.many, self.text) {
            (false, false) => Channel::<u64, spsc::Sender<_>, spsc::Receiver<_>>::build(self),
            (false, true) => Channel::<[u8], spsc::Sender<_>, spsc::Receiver<_>>::build(self),
            (true, false) => Channel::<u64, mpmc::Sender<_>, mpmc::Receiver<_>>::build(self),
            (true, true) => Channel::<[u8], mpmc::Sender<_>, mpmc::Receiver<_>>::build(self),
        }
    }

    /// Some key of this process that nobody has, for a key of each kind.
    fn key(self) -> i32 {
        0x4700_0000 | (std::process::id() as i32 & 0x000f_ffff) << 4 | self.number as i32
    }

    fn options(self) -> Options {
        let options = match self.keyed {
            true => Options::key(self.key()).lifetime(Lifetime::LastMember),
            false => Options::private(),
        };
        let options = if self.text { options.slot_size(SLOT_SIZE) } else { options };
        let options = if self.many { options.max_members(MEMBERS) } else { options };
        options.capacity(CAPACITY)
    }
}

/// A channel with a member on each side.
trait World {
    /// Puts everything back; false if that cannot be.
    fn reset(&mut self) -> bool;
    fn play(&mut self, input: &mut Input<'_>);
}

struct Channel<T: ?Sized, Tx, Rx> {
    kind: Kind,
    id: ChannelId,
    tx: Option<Tx>,
    rx: Option<Rx>,
    ground: Ground,
    message: PhantomData<fn(&T)>,
}

/// The objects by hand, and what they were at first. Dropped, they go.
struct Ground {
    segment: Segment,
    set: Set,
    stride: usize,
    mode: Option<u32>,
    bytes: Vec<u8>,
    values: [u16; SEMAPHORES],
}

impl Ground {
    fn put_memory_back(&self) {
        self.segment.restore(&self.bytes);
    }

    fn put_back(&self) {
        self.put_memory_back();
        self.set.set_values(&self.values);
    }

    /// Whether nobody removed anything.
    fn is_there(&self) -> bool {
        self.segment.mode() == self.mode && self.set.values() == Some(self.values)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        remove_segment(self.segment.id);
        self.set.remove();
    }
}

impl Ground {
    /// Writes to the segment or sets a semaphore; what, the input says.
    fn meddle(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        match what % 8 {
            // Anywhere in the header.
            0..3 => {
                let at = usize::from(input.half()) % HEADER;
                self.segment.write(at, input.bytes(usize::from(what / 32) + 1));
            }
            // A whole word: of a slot, or one of the header's that members write.
            3 => self.segment.write(SLOTS + self.slot(input), &word(input).to_le_bytes()),
            4 => {
                let at = [256, 384, 512, 640, 768, 896][usize::from(input.byte() % 6)];
                self.segment.write(at, &(input.byte() as i8 as i64).to_le_bytes());
            }
            // Anywhere in a slot: most of all its length, where it has one.
            5 => {
                let at = SLOTS + self.slot(input) + usize::from(input.byte() % 40);
                self.segment.write(at, input.bytes(usize::from(what / 32) + 1));
            }
            6 => self.segment.write(SLOTS + self.slot(input) + 8, &[input.byte()]),
            // The last of them: `ipcrm`.
            _ => match what {
                247 => remove_segment(self.segment.id),
                255 => self.set.remove(),
                _ => {
                    let semaphore = u16::from(input.byte()) % SEMAPHORES as u16;
                    self.set.set_value(semaphore, input.half() & 0x7fff);
                }
            },
        }
    }

    fn slot(&self, input: &mut Input<'_>) -> usize {
        usize::from(input.byte()) % CAPACITY * self.stride
    }
}

/// A state word: any phase, some lap near those there are, some owner.
fn word(input: &mut Input<'_>) -> u64 {
    let (low, lap) = (input.half(), input.byte() as i8);
    (lap as i64 as u64) << 16 | u64::from(low)
}

impl<T, Tx, Rx> Channel<T, Tx, Rx>
where
    T: Message + ?Sized + 'static,
    Tx: Sending<T> + 'static,
    Rx: Receiving<T> + 'static,
{
    fn build(kind: Kind) -> Box<dyn World> {
        let mut tx: Tx = kind.options().create().expect("a new channel");
        let stat = tx.stat().expect("stat");
        let mut ground = Ground {
            segment: Segment::attach(stat.id.segment()).expect("it is there"),
            set: Set { id: stat.set.expect("a set").id },
            stride: stat.stride,
            mode: None,
            bytes: Vec::new(),
            values: [0; SEMAPHORES],
        };
        let id = stat.id;
        let mut rx: Rx = Options::id(id).open_timeout(TIMEOUT).attach().expect("its other side");
        // Once round the ring, and two messages in it.
        for n in 0..7 {
            assert_eq!(tx.send(0, n, &mut || ()), Some(Ok(())));
            if n < 5 {
                assert_eq!(rx.receive(0, &mut || ()), Some(Ok(())));
            }
        }
        ground.mode = ground.segment.mode();
        ground.bytes = ground.segment.bytes();
        ground.values = ground.set.values().expect("values");
        let mut channel =
            Channel { kind, id, tx: Some(tx), rx: Some(rx), ground, message: PhantomData };
        // Its members came in another way than those of every later input.
        assert!(channel.reset(), "a new channel cannot be joined anew");
        Box::new(channel)
    }

    fn join<H: Handle>(&self) -> Option<H> {
        let options = Options::id(self.id).open_timeout(TIMEOUT).wait(self.kind.wait);
        checked(options.prefault(false).attach())
    }
}

impl<T, Tx, Rx> World for Channel<T, Tx, Rx>
where
    T: Message + ?Sized + 'static,
    Tx: Sending<T> + 'static,
    Rx: Receiving<T> + 'static,
{
    fn reset(&mut self) -> bool {
        // One after the other: the channel is never without members.
        self.ground.put_back();
        self.tx = None;
        self.ground.put_memory_back();
        self.tx = self.join();
        self.rx = None;
        self.ground.put_memory_back();
        self.rx = self.join();
        self.ground.put_back();
        self.tx.is_some() && self.rx.is_some() && self.ground.is_there()
    }

    fn play(&mut self, input: &mut Input<'_>) {
        let (Some(tx), Some(rx)) = (&mut self.tx, &mut self.rx) else { return };
        let ground = &mut self.ground;
        let (mut sender, mut receiver) = (Stopped(None), Stopped(None));
        for n in 0..STEPS {
            if input.is_empty() {
                break;
            }
            let (what, way) = {
                let byte = input.byte();
                (byte % 8, byte / 8)
            };
            match what {
                0..3 => {
                    let step = tx.send(way, n as u64, &mut || ground.meddle(input));
                    sender.check(step, Side::Sends);
                }
                3..6 => {
                    let step = rx.receive(way, &mut || ground.meddle(input));
                    receiver.check(step, Side::Receives);
                }
                _ => ground.meddle(input),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sends,
    Receives,
}

/// Why a handle stopped, if it did.
struct Stopped(Option<Fault>);

impl Stopped {
    /// What stopped says so again, except a receiver of a removed channel, who may find more.
    fn check(&mut self, step: Step, side: Side) {
        let Some(result) = step else { return };
        if let Some(fault) = self.0 {
            assert_eq!(result, Err(fault), "it had stopped");
        }
        if let Err(fault) = result
            && (fault != Fault::Removed || side == Side::Sends)
        {
            self.0 = Some(fault);
        }
    }
}

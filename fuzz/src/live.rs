//! A corrupting writer writes into the segment and sets semaphores while members work: each call
//! returns a message, a specific error or a timeout. It never panics and never blocks for ever, and
//! a handle that reported why it stopped reports the same again.
//!
//! The input: a byte that selects one of 24 channels, then steps: a byte that selects what is
//! done, and its parameters. Channels stay open from one input to the next. Before each input their
//! bytes and semaphores are restored and their members replaced, so that the effect of an input
//! does not depend on those before it.

use std::cell::RefCell;
use std::time::Duration;

use sysvring::{ChannelId, Fault, Flavor, Handle, Lifetime, Options, Role, Wait};
use sysvring_support::handle::{AnyFlavor, AnyHandle, Broadcast, Mpmc, Spsc};
use sysvring_support::raw_ipc::{self, Segment, at};

use crate::exercise::checked;
use crate::input::Input;
use crate::ops::{self, Sample, Step};
use crate::time::within;

/// The timeout of opening, which no other process delays here.
const TIMEOUT: Duration = Duration::from_millis(50);
/// The maximum time of an input.
const TOO_LONG: Duration = Duration::from_secs(2);
/// The maximum number of steps of an input.
const STEPS: usize = 48;

const CAPACITY: usize = 4;
const SLOT_SIZE: usize = 24;
const MEMBERS: usize = 4;
/// The maximum number of semaphores of a set here.
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT + MEMBERS;
/// The number of bytes of the segment that the header uses.
const HEADER: usize = at::MEMBERS + MEMBERS * at::MEMBER;
/// The offset of the progress table of a broadcast channel, and half the size of a record.
const PROGRESS: usize = (HEADER + MEMBERS * 8).next_multiple_of(128);
const HALF_RECORD: usize = 128;

/// The target.
pub fn live(data: &[u8]) {
    thread_local! {
        static WORLDS: RefCell<[Option<Box<dyn World>>; 24]> =
            const { RefCell::new([const { None }; 24]) };
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
    flavor: Flavor,
    /// Whether messages differ in length.
    text: bool,
    /// Whether it has a key. Its handles then check whether the segment was removed.
    keyed: bool,
    wait: Wait,
}

impl Kind {
    fn read(byte: u8) -> Kind {
        let is = |bit: u8| byte & bit != 0;
        if byte >= 0xc0 {
            return Kind {
                number: 16 + usize::from(byte % 8),
                flavor: Flavor::Broadcast,
                text: is(2),
                keyed: is(4),
                wait: if is(1) { Wait::Park } else { Wait::Balanced },
            };
        }
        Kind {
            number: usize::from(byte % 16),
            flavor: if is(1) { Flavor::Mpmc } else { Flavor::Spsc },
            text: is(2),
            keyed: is(4),
            wait: if is(8) { Wait::Park } else { Wait::Balanced },
        }
    }

    fn build(self) -> Box<dyn World> {
        match (self.flavor, self.text) {
            (Flavor::Spsc, false) => Channel::<Spsc, u64>::build(self),
            (Flavor::Spsc, true) => Channel::<Spsc, [u8]>::build(self),
            (Flavor::Mpmc, false) => Channel::<Mpmc, u64>::build(self),
            (Flavor::Mpmc, true) => Channel::<Mpmc, [u8]>::build(self),
            (_, false) => Channel::<Broadcast, u64>::build(self),
            (_, true) => Channel::<Broadcast, [u8]>::build(self),
        }
    }

    /// Returns a key of this process and this kind.
    fn key(self) -> i32 {
        let (base, number) =
            (0x4700_0000 + ((self.number as i32 / 16) << 24), self.number as i32 % 16);
        base | (std::process::id() as i32 & 0x000f_ffff) << 4 | number
    }

    fn options(self) -> Options {
        let options = match self.keyed {
            true => Options::key(self.key()).lifetime(Lifetime::LastMember),
            false => Options::private(),
        };
        let options = if self.text { options.slot_size(SLOT_SIZE) } else { options };
        let options = match self.flavor {
            Flavor::Spsc => options,
            _ => options.max_members(MEMBERS),
        };
        options.capacity(CAPACITY)
    }
}

/// A channel with a member on each side.
trait World {
    /// Restores everything. Returns false if that is impossible.
    fn reset(&mut self) -> bool;
    fn play(&mut self, input: &mut Input<'_>);
}

struct Channel<F: AnyFlavor, T: Sample + ?Sized> {
    kind: Kind,
    id: ChannelId,
    tx: Option<F::Sender<T>>,
    rx: Option<F::Receiver<T>>,
    objects: Objects,
}

/// The segment and the set, accessed without the library, and their first state. Dropping it
/// removes both.
struct Objects {
    segment: Segment,
    set: i32,
    stride: usize,
    /// Whether it has a progress table.
    is_broadcast: bool,
    mode: Option<u32>,
    words: Vec<u64>,
    values: Vec<u16>,
}

impl Drop for Objects {
    fn drop(&mut self) {
        // The input may have removed them.
        let _ = raw_ipc::remove_segment(self.segment.id);
        let _ = raw_ipc::remove_set(self.set);
    }
}

impl Objects {
    fn of(stat: &sysvring::Stat) -> Objects {
        let set = stat.set.as_ref().expect("a set").id;
        let segment = Segment::attach(stat.id.segment()).expect("the channel's segment");
        let (words, values) = (segment.words(), raw_ipc::values(set));
        let (stride, is_broadcast) = (stat.stride, stat.flavor == Flavor::Broadcast);
        let mut objects = Objects { segment, set, stride, is_broadcast, mode: None, words, values };
        objects.mode = objects.mode();
        objects
    }

    /// Returns the mode with the kernel's bits, one of which marks a removed segment.
    fn mode(&self) -> Option<u32> {
        let stat = raw_ipc::segment_stat(self.segment.id).ok();
        stat.map(|stat| stat.shm_perm.mode.into())
    }

    fn restore_memory(&self) {
        self.segment.restore(&self.words);
    }

    fn restore(&self) {
        self.restore_memory();
        let _ = raw_ipc::set_values(self.set, &self.values);
    }

    /// Returns whether neither was removed.
    fn exist(&self) -> bool {
        self.mode() == self.mode && raw_ipc::try_values(self.set).is_ok_and(|v| v == self.values)
    }

    /// Writes to the segment or sets a semaphore, as the input selects.
    fn meddle(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        match what % 8 {
            // Anywhere in the header.
            0..3 => {
                let header = match self.is_broadcast {
                    true => PROGRESS + 2 * MEMBERS * HALF_RECORD,
                    false => HEADER,
                };
                let at = usize::from(input.half()) % header;
                self.segment.write(at, input.bytes(usize::from(what / 32) + 1));
            }
            // The state of a slot.
            3 => self.segment.write(at::SLOTS + self.slot(input), &word(input).to_le_bytes()),
            // The header's structures that members write are 128 bytes apart. Behind the slots is
            // the table of origins, if there is one.
            4 => {
                let nth = usize::from(input.byte());
                let at = match nth % 7 {
                    6 if self.is_broadcast => PROGRESS + HALF_RECORD * (nth / 7 % (2 * MEMBERS)),
                    6 => at::SLOTS + CAPACITY * self.stride + 8,
                    nth => at::TAIL + 128 * nth,
                };
                self.segment.write(at, &(input.byte() as i8 as i64).to_le_bytes());
            }
            // Anywhere in a slot. The length, if it has one, is hit most often.
            5 => {
                let at = at::SLOTS + self.slot(input) + usize::from(input.byte() % 40);
                self.segment.write(at, input.bytes(usize::from(what / 32) + 1));
            }
            6 => self.segment.write(at::SLOTS + self.slot(input) + 8, &[input.byte()]),
            _ => match what {
                247 => _ = raw_ipc::remove_segment(self.segment.id),
                255 => _ = raw_ipc::remove_set(self.set),
                _ => {
                    let semaphore = usize::from(input.byte()) % SEMAPHORES;
                    // An SPSC channel has fewer of them.
                    let value = i32::from(input.half() & 0x7fff);
                    let _ = raw_ipc::set_value(self.set, semaphore, value);
                }
            },
        }
    }

    fn slot(&self, input: &mut Input<'_>) -> usize {
        usize::from(input.byte()) % CAPACITY * self.stride
    }
}

/// Returns a slot state with any phase, any owner, and a lap near those in use.
fn word(input: &mut Input<'_>) -> u64 {
    let (low, lap) = (input.half(), input.byte() as i8);
    (lap as i64 as u64) << 16 | u64::from(low)
}

impl<F: AnyFlavor, T: Sample + ?Sized + 'static> Channel<F, T> {
    fn build(kind: Kind) -> Box<dyn World> {
        let mut tx: F::Sender<T> = kind.options().create().expect("a new channel");
        let id = tx.id();
        let mut rx: F::Receiver<T> =
            Options::id(id).open_timeout(TIMEOUT).attach().expect("its other side");
        // Once around the ring, and two messages in it.
        for n in 0..7 {
            assert_eq!(ops::send(&mut tx, 0, n, &mut || ()), Some(Ok(())));
            if n < 5 {
                assert_eq!(ops::receive(&mut rx, 0, &mut || ()), Some(Ok(())));
            }
        }
        let objects = Objects::of(&tx.stat().expect("stat"));
        let mut channel = Channel::<F, T> { kind, id, tx: Some(tx), rx: Some(rx), objects };
        // These members joined in another way than those of every later input.
        assert!(channel.reset(), "a new channel cannot be joined again");
        Box::new(channel)
    }

    fn join<H: Handle>(&self) -> Option<H> {
        let options = Options::id(self.id).open_timeout(TIMEOUT).wait(self.kind.wait);
        checked(options.prefault(false).attach())
    }
}

impl<F: AnyFlavor, T: Sample + ?Sized + 'static> World for Channel<F, T> {
    fn reset(&mut self) -> bool {
        // One after the other, because a channel without members would be removed.
        self.objects.restore();
        self.tx = None;
        self.objects.restore_memory();
        self.tx = self.join();
        self.rx = None;
        self.objects.restore_memory();
        self.rx = self.join();
        self.objects.restore();
        self.tx.is_some() && self.rx.is_some() && self.objects.exist()
    }

    fn play(&mut self, input: &mut Input<'_>) {
        let (Some(tx), Some(rx)) = (&mut self.tx, &mut self.rx) else { return };
        let objects = &mut self.objects;
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
                    let step = ops::send(tx, way, n as u64, &mut || objects.meddle(input));
                    sender.check(step, Role::Sender);
                }
                3..6 => {
                    let step = ops::receive(rx, way, &mut || objects.meddle(input));
                    receiver.check(step, Role::Receiver);
                }
                _ => objects.meddle(input),
            }
        }
    }
}

/// Why a handle stopped, if it did.
struct Stopped(Option<Fault>);

impl Stopped {
    /// Checks that a stopped handle reports the same fault again. A receiver of a removed channel
    /// is excepted, because it may find more messages.
    fn check(&mut self, step: Step, role: Role) {
        let Some(result) = step else { return };
        if let Some(fault) = self.0 {
            assert_eq!(result, Err(fault), "it had stopped");
        }
        if let Err(fault) = result
            && (fault != Fault::Removed || role == Role::Sender)
        {
            self.0 = Some(fault);
        }
    }
}

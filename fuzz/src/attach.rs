//! Whatever a segment and a set contain, a process that opens or inspects them gets a specific
//! error, or a handle that works or reports a fault. It never panics and never blocks for ever, and
//! objects that are not a channel stay as they are.
//!
//! The input: a byte of flags ([`Plan`]), a byte and a half-word of sizes, a list of values for the
//! set, then patches of a real channel, or the bytes of a segment that never was one.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use sysvring::{Address, ChannelId, Flavor, Handle, Message, Observer, Options, Wait};
use sysvring_support::handle::{AnyFlavor, AnyHandle, Broadcast, Mpmc, Spsc};
use sysvring_support::raw_ipc::{self, Segment, at};

use crate::exercise::{self, checked};
use crate::input::Input;
use crate::sim_kernel;
use crate::time::within;

/// The timeout of opening, which no other process delays here.
const TIMEOUT: Duration = Duration::from_micros(200);
/// The maximum time of an input, on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(8);

/// The number of semaphores of an SPSC channel.
const SPSC: usize = raw_ipc::FIRST_SEAT + 2;
/// The number of semaphores of an MPMC or broadcast channel.
const MPMC: usize = raw_ipc::FIRST_SEAT + MEMBERS;
const MEMBERS: usize = 6;
/// The numbers of semaphores that a channel's set may have.
const SEMAPHORES: std::ops::RangeInclusive<usize> =
    raw_ipc::FIRST_SEAT + 2..=raw_ipc::FIRST_SEAT + 254;

/// The target.
pub fn attach(data: &[u8]) {
    joins(data);
}

/// Does the same, and returns whether a handle could attach to what the input made.
pub fn joins(data: &[u8]) -> bool {
    // One input at a time, so that objects that are left behind are this input's.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let joined = Cell::new(false);
    within(TOO_LONG, || joined.set(once(data)));
    joined.get()
}

fn once(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let plan = Plan::read(&mut input);
    match (plan.text, plan.flavor) {
        (false, Flavor::Spsc) => run::<Spsc, u64>(&plan, input, &7),
        (false, Flavor::Mpmc) => run::<Mpmc, u64>(&plan, input, &7),
        (false, _) => run::<Broadcast, u64>(&plan, input, &7),
        (true, Flavor::Spsc) => run::<Spsc, [u8]>(&plan, input, b"any"),
        (true, Flavor::Mpmc) => run::<Mpmc, [u8]>(&plan, input, b"any"),
        (true, _) => run::<Broadcast, [u8]>(&plan, input, b"any"),
    }
}

/// The objects to make, and what is done with them.
#[derive(Debug)]
struct Plan {
    /// Whether the library makes a channel, which is then patched. Otherwise, objects are made
    /// without it.
    real: bool,
    segment: bool,
    segment_marked: bool,
    set: bool,
    set_marked: bool,
    /// Whether the set's identifier and the nonce are corrected in the header.
    bound: bool,
    /// Whether handles that were opened before stay open.
    live: bool,
    /// Whether messages differ in length.
    text: bool,
    /// Whether neither object has a key.
    private: bool,
    flavor: Flavor,
    wait: Wait,
    /// Whether the channel is inspected again after everything was opened.
    inspects_again: bool,
    /// Whether a handle is opened with the options of a new channel rather than with none.
    asks: bool,
    by_id: bool,
    by_key: bool,
    semaphores: usize,
    bytes: usize,
    values: Vec<(usize, i32)>,
}

impl Plan {
    fn read(input: &mut Input<'_>) -> Plan {
        let (flags, sizes) = (input.byte(), input.byte());
        let is = |bit: u8| flags & bit != 0;
        // A number of semaphores takes all bits.
        let less = if sizes < 192 { sizes } else { 0 };
        Plan {
            real: is(1),
            segment: is(2),
            segment_marked: is(4),
            set: is(8),
            set_marked: is(16),
            bound: is(32),
            live: is(64),
            text: is(128),
            private: sizes & 1 != 0,
            flavor: match (less & 128 != 0, sizes & 2 != 0) {
                (true, _) => Flavor::Broadcast,
                (false, true) => Flavor::Mpmc,
                (false, false) => Flavor::Spsc,
            },
            wait: if less & 4 != 0 { Wait::Park } else { Wait::Balanced },
            inspects_again: less & 8 == 0,
            asks: less & 16 == 0,
            by_id: less & 32 == 0,
            by_key: less & 64 == 0,
            // Mostly the right number.
            semaphores: match sizes {
                192.. => usize::from(sizes - 191) * 5,
                _ if sizes & (2 | 128) != 0 => MPMC,
                _ => SPSC,
            },
            // A larger segment has only more slots.
            bytes: usize::from(input.half() % 8192).max(1),
            values: {
                let count = input.byte() % 12;
                let value = |input: &mut Input<'_>| {
                    (usize::from(input.byte() % 18), (input.half() & 0x7fff).into())
                };
                (0..count).map(|_| value(input)).collect()
            },
        }
    }
}

impl Plan {
    /// Returns the options of a channel that the library makes here.
    fn ask(&self, options: Options) -> Options {
        let options = if self.text { options.slot_size(24) } else { options };
        let options = match self.flavor {
            Flavor::Spsc => options,
            _ => options.max_members(MEMBERS),
        };
        options.capacity(4)
    }
}

/// The objects that the input made. Dropping it removes them, and what the library made under the
/// key.
struct Objects {
    key: i32,
    segment: Option<Segment>,
    set: Option<i32>,
}

impl Drop for Objects {
    fn drop(&mut self) {
        let segment = self.segment.take().map(|segment| segment.id);
        for id in segment.into_iter().chain(marked_segment(self.key)) {
            let _ = raw_ipc::remove_segment(id);
        }
        for id in self.set.into_iter().chain(marked_set(self.key)) {
            let _ = raw_ipc::remove_set(id);
        }
    }
}

/// Returns the identifier of the key's segment, if it has the mark.
fn marked_segment(key: i32) -> Option<i32> {
    let is_marked = |id: &i32| {
        let stat = raw_ipc::segment_stat(*id);
        stat.is_ok_and(|stat| raw_ipc::is_marked(stat.shm_perm.mode.into()))
    };
    raw_ipc::segment_of(key).filter(is_marked)
}

/// Returns the identifier of the key's set, if it has the mark.
fn marked_set(key: i32) -> Option<i32> {
    let is_marked = |id: &i32| {
        let stat = raw_ipc::set_stat(*id);
        stat.is_ok_and(|stat| raw_ipc::is_marked(stat.sem_perm.mode.into()))
    };
    raw_ipc::set_of(key).filter(is_marked)
}

fn is_free(key: i32) -> bool {
    (raw_ipc::segment_of(key), raw_ipc::set_of(key)) == (None, None)
}

/// Returns a key without a segment or a set.
fn free_key() -> i32 {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed) & 0xf;
        let key = 0x4600_0000 | (std::process::id() as i32 & 0x000f_ffff) << 4 | n;
        if is_free(key) {
            return key;
        }
    }
}

/// Returns the permission bits of an object that is made without the library.
fn mode(marked: bool) -> u32 {
    if marked { raw_ipc::MARKED } else { 0o600 }
}

fn run<F: AnyFlavor, T: Message + ?Sized>(plan: &Plan, mut input: Input<'_>, message: &T) -> bool {
    let mut objects = Objects { key: free_key(), segment: None, set: None };
    let key = objects.key;
    let mut live: Option<(F::Sender<T>, F::Receiver<T>)> = None;
    if plan.real {
        let options = if plan.private { Options::private() } else { Options::key(key) };
        let options = plan.ask(options).open_timeout(TIMEOUT).wait(plan.wait);
        let mut tx: F::Sender<T> = options.create().expect("a new channel");
        let id = tx.id();
        objects.segment = Some(Segment::attach(id.segment()).expect("the channel's segment"));
        objects.set = tx.stat().expect("stat").set.map(|set| set.id);
        exercise::send(&mut tx, message);
        if plan.live || plan.private {
            let options = Options::id(id).open_timeout(TIMEOUT).wait(plan.wait);
            live = Some((tx, options.attach().expect("its other side")));
        }
    } else {
        let key = if plan.private { libc::IPC_PRIVATE } else { key };
        if plan.segment {
            let made = raw_ipc::create_segment(key, plan.bytes, mode(plan.segment_marked));
            let made = Segment::attach(made.expect("a new segment"));
            objects.segment = Some(made.expect("a new segment"));
        }
        if plan.set {
            let made = raw_ipc::create_set(key, plan.semaphores, mode(plan.set_marked));
            objects.set = Some(made.expect("a new set"));
        }
    }
    if let Some(segment) = &objects.segment {
        write(plan, segment, objects.set, &mut input);
    }
    if let Some(set) = objects.set {
        set_values(set, &plan.values);
    }

    let foreign = Foreign::of(plan, &objects);
    let id = objects.segment.as_ref().and_then(identifier);
    inspect(key, id);
    if let Some((tx, rx)) = &mut live {
        exercise::send(tx, message);
        exercise::receive(rx);
    }
    drop(live);
    let address = |options: Options| options.open_timeout(TIMEOUT).wait(plan.wait);
    let by_key = || address(Options::key(key));
    let by_id = |id| join::<F, T>(|| address(Options::id(id)), true, message);
    let asking = || if plan.asks { plan.ask(by_key()) } else { by_key() };
    let joined =
        [plan.by_id && id.is_some_and(by_id), plan.by_key && join::<F, T>(by_key, true, message)];
    if joined.contains(&true) {
        check_binding(key, objects.segment.as_ref());
    }
    let opened = [joined[0], joined[1], join::<F, T>(asking, false, message)];
    if plan.inspects_again {
        inspect(key, id);
    }
    // Removing waits 10 seconds for a lifecycle semaphore that was set although no process holds
    // it; with the simulated kernel, that takes no time.
    let is_locked = |set| raw_ipc::value(set, raw_ipc::LIFECYCLE).ok() != Some(0);
    if sim_kernel::is_model() || !marked_set(key).is_some_and(is_locked) {
        checked(sysvring::remove(Address::Key(key)));
    }
    foreign.check(&objects, opened);
    drop(objects);
    assert!(is_free(key), "something is left of {plan:?}");
    joined.contains(&true)
}

/// Sets these semaphores, if the set has them.
fn set_values(set: i32, values: &[(usize, i32)]) {
    for &(semaphore, value) in values {
        let _ = raw_ipc::set_value(set, semaphore, value);
    }
}

/// Writes the bytes of the segment.
fn write(plan: &Plan, segment: &Segment, set: Option<i32>, input: &mut Input<'_>) {
    if plan.real {
        while !input.is_empty() {
            let (offset, len) = (input.half(), input.byte());
            // The header and little else, because most of a segment is slots and gaps.
            segment.write(usize::from(offset % 4352), input.bytes(usize::from(len % 16) + 1));
        }
    } else {
        segment.write(0, input.bytes(usize::MAX));
    }
    if let Some(set) = set.filter(|_| plan.bound) {
        segment.write(at::SET, &set.to_le_bytes());
        if let Some(nonce) = word(segment, at::NONCE) {
            let halves = [nonce & 0x7fff, nonce >> 15 & 0x7fff].map(|half| half as i32);
            let halves = [raw_ipc::NONCE_LOW, raw_ipc::NONCE_HIGH].into_iter().zip(halves);
            set_values(set, &halves.collect::<Vec<_>>());
        }
    }
}

/// Returns the word at an offset, if the segment is long enough.
fn word(segment: &Segment, at: usize) -> Option<u32> {
    (at + 4 <= segment.len()).then(|| segment.u32(at).load(Ordering::Relaxed))
}

/// Returns the identifier by which a segment that looks like a channel would be attached.
fn identifier(segment: &Segment) -> Option<ChannelId> {
    let nonce = word(segment, at::NONCE)?;
    format!("{}:{nonce:08x}", segment.id).parse().ok()
}

/// Checks that the key's set is the one that the segment names. A handle that joined has checked
/// it.
fn check_binding(key: i32, segment: Option<&Segment>) {
    let segment = segment.filter(|segment| marked_segment(key) == Some(segment.id));
    if let (Some(segment), Some(set)) = (segment, marked_set(key)) {
        let half = |n| raw_ipc::value(set, n).ok().map(|half| half as u32);
        let kept = half(raw_ipc::NONCE_LOW).zip(half(raw_ipc::NONCE_HIGH));
        let kept = kept.map(|(low, high)| low | high << 15);
        assert_eq!(word(segment, at::SET), Some(set as u32), "joined with another set");
        assert_eq!(word(segment, at::NONCE), kept, "joined with another set");
    }
}

/// Objects that are not a channel, and must stay as they are.
struct Foreign {
    segment: Option<Vec<u8>>,
    values: Option<Vec<u16>>,
}

impl Foreign {
    fn of(plan: &Plan, objects: &Objects) -> Foreign {
        let by_hand = !plan.real;
        let segment = objects.segment.as_ref().filter(|_| by_hand && !plan.segment_marked);
        let is_set = by_hand && (!plan.set_marked || !SEMAPHORES.contains(&plan.semaphores));
        Foreign {
            segment: segment.map(bytes).filter(|bytes| !bytes.starts_with(b"SYSVRING")),
            values: objects.set.filter(|_| is_set).map(raw_ipc::values),
        }
    }

    fn check(&self, objects: &Objects, opened: [bool; 3]) {
        if let (Some(before), Some(segment)) = (&self.segment, &objects.segment) {
            let mode = raw_ipc::segment_stat(segment.id).map(|stat| stat.shm_perm.mode);
            // The kernel's bit for a removed segment that is still attached.
            let exists = mode.is_ok_and(|mode| mode & 0o1000 == 0);
            assert!(exists, "a segment that is not a channel was removed");
            assert!(*before == bytes(segment), "a segment that is not a channel was written to");
            assert!(!opened[0], "a segment that is not a channel was joined");
        }
        if let (Some(before), Some(set)) = (&self.values, objects.set) {
            let values = raw_ipc::try_values(set).ok();
            assert_eq!(Some(before), values.as_ref(), "a set of no channel was changed");
        }
    }
}

fn bytes(segment: &Segment) -> Vec<u8> {
    segment.read(0..segment.len())
}

/// Inspects the channel in all ways.
fn inspect(key: i32, id: Option<ChannelId>) {
    for address in [Some(Address::Key(key)), id.map(Address::Id)].into_iter().flatten() {
        if let Some(observer) = checked(Observer::open(address.clone()))
            && let Some(stat) = checked(observer.stat())
        {
            assert!(stat.depth <= stat.capacity as u64 && !stat.to_string().is_empty());
            assert!(stat.capacity as u64 * stat.stride as u64 <= stat.segment.size);
        }
        checked(sysvring::stat(address));
    }
    for stat in checked(sysvring::list()).into_iter().flatten() {
        assert!(!stat.to_string().is_empty());
    }
}

/// Opens both sides and exercises them. Returns whether either could be opened.
fn join<F: AnyFlavor, T: Message + ?Sized>(
    options: impl Fn() -> Options,
    only: bool,
    message: &T,
) -> bool {
    let mut rx: Option<F::Receiver<T>> = open(&options, only);
    rx.iter_mut().for_each(exercise::receive);
    let mut tx: Option<F::Sender<T>> = open(&options, only);
    tx.iter_mut().for_each(|tx| exercise::send(tx, message));
    rx.iter_mut().for_each(exercise::receive);
    rx.is_some() || tx.is_some()
}

/// Opens a handle, or with `only` attaches one to an existing channel.
fn open<H: Handle>(options: impl Fn() -> Options, only: bool) -> Option<H> {
    checked(if only { options().attach() } else { options().open() })
}

//! Whatever lies in a segment and a set: who opens or looks gets an error with a name, or a handle
//! that works or says so; never a panic, never a hang; and what is not a channel stays as it is.
//!
//! The input: a byte of flags ([`Plan`]), a byte and a half-word of sizes, a list of values for the
//! set, then patches over a real channel, or the bytes of a segment that never was one.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use sysvring::{Address, ChannelId, Message, Observer, Options, Wait, mpmc, spsc};

use crate::exercise::{Uses, checked};
use crate::input::Input;
use crate::raw::{Segment, Set, is_free, marked_segment, remove_segment};
use crate::sim_kernel;
use crate::time::within;

/// Of another process' creating, joining and removing, of which there is none.
const TIMEOUT: Duration = Duration::from_micros(200);
/// All calls together, on a machine that does other things too.
const TOO_LONG: Duration = Duration::from_secs(8);

/// Semaphores of a one-to-one channel: two seats and eight more. Of a many-to-many channel, as many
/// more as it has members.
const ONE_TO_ONE: u16 = 10;
const MANY: u16 = 8 + MEMBERS as u16;
const MEMBERS: usize = 6;
/// Semaphores that a set of a channel may have.
const SEMAPHORES: std::ops::RangeInclusive<u16> = 10..=262;

/// The target.
pub fn attach(data: &[u8]) {
    joins(data);
}

/// The same; whether somebody could attach to what the input laid there.
pub fn joins(data: &[u8]) -> bool {
    // One key at a time: what is left behind is then known to be this input's.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let joined = Cell::new(false);
    within(TOO_LONG, || joined.set(once(data)));
    joined.get()
}

fn once(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let plan = Plan::read(&mut input);
    match (plan.text, plan.many) {
        (false, false) => run::<u64, spsc::Sender<_>, spsc::Receiver<_>>(&plan, input, &7),
        (false, true) => run::<u64, mpmc::Sender<_>, mpmc::Receiver<_>>(&plan, input, &7),
        (true, false) => run::<[u8], spsc::Sender<_>, spsc::Receiver<_>>(&plan, input, b"any"),
        (true, true) => run::<[u8], mpmc::Sender<_>, mpmc::Receiver<_>>(&plan, input, b"any"),
    }
}

/// What is to be there.
#[derive(Debug)]
struct Plan {
    /// A channel that the crate made, patched; else objects made by hand.
    real: bool,
    segment: bool,
    segment_marked: bool,
    set: bool,
    set_marked: bool,
    /// Identifier and nonce in the header are made right after all.
    bound: bool,
    /// Handles that were opened before live on.
    live: bool,
    /// Messages of variable length.
    text: bool,
    /// Neither has a key.
    private: bool,
    /// Many to many.
    many: bool,
    wait: Wait,
    /// After everything was opened.
    looks_again: bool,
    /// Who opens asks for what a new channel here would have; else for nothing.
    asks: bool,
    by_id: bool,
    by_key: bool,
    semaphores: u16,
    bytes: usize,
    values: Vec<(u16, u16)>,
}

impl Plan {
    fn read(input: &mut Input<'_>) -> Plan {
        let (flags, sizes) = (input.byte(), input.byte());
        let is = |bit: u8| flags & bit != 0;
        // A number of semaphores needs them all.
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
            many: sizes & 2 != 0,
            wait: if less & 4 != 0 { Wait::Park } else { Wait::Balanced },
            looks_again: less & 8 == 0,
            asks: less & 16 == 0,
            by_id: less & 32 == 0,
            by_key: less & 64 == 0,
            // Mostly the right number.
            semaphores: match sizes {
                192.. => u16::from(sizes - 191) * 5,
                _ if sizes & 2 != 0 => MANY,
                _ => ONE_TO_ONE,
            },
            // Of a larger one there are only more slots.
            bytes: usize::from(input.half() % 8192).max(1),
            values: {
                let count = input.byte() % 12;
                (0..count).map(|_| (u16::from(input.byte() % 12), input.half() & 0x7fff)).collect()
            },
        }
    }
}

impl Plan {
    /// The options of a channel that the crate makes here.
    fn ask(&self, options: Options) -> Options {
        let options = if self.text { options.slot_size(24) } else { options };
        let options = if self.many { options.max_members(MEMBERS) } else { options };
        options.capacity(4)
    }
}

/// What the input made, taken away at its end.
struct Ground {
    key: i32,
    segment: Option<Segment>,
    set: Option<Set>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take() {
            remove_segment(segment.id);
        }
        if let Some(set) = self.set {
            set.remove();
        }
        // What the crate itself made there.
        if let Some(id) = marked_segment(self.key) {
            remove_segment(id);
        }
        if let Some(set) = Set::marked(self.key) {
            set.remove();
        }
    }
}

/// A key without a segment or a set.
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

fn run<T, Tx, Rx>(plan: &Plan, mut input: Input<'_>, message: &T) -> bool
where
    T: Message + ?Sized,
    Tx: Uses<T>,
    Rx: Uses<T>,
{
    let mut ground = Ground { key: free_key(), segment: None, set: None };
    let key = ground.key;
    let mut live: Option<(Tx, Rx)> = None;
    if plan.real {
        let options = if plan.private { Options::private() } else { Options::key(key) };
        let options = if plan.text { options.slot_size(24) } else { options };
        let options = if plan.many { options.max_members(MEMBERS) } else { options };
        let mut tx: Tx = options
            .capacity(4)
            .open_timeout(TIMEOUT)
            .wait(plan.wait)
            .create()
            .expect("a new channel");
        let id = tx.id();
        ground.segment = Some(Segment::attach(id.segment()).expect("it is there"));
        ground.set = tx.stat().expect("stat").set.map(|set| Set { id: set.id });
        tx.use_up(message);
        if plan.live || plan.private {
            let rx = Options::id(id)
                .open_timeout(TIMEOUT)
                .wait(plan.wait)
                .attach()
                .expect("its other side");
            live = Some((tx, rx));
        }
    } else {
        let key = if plan.private { libc::IPC_PRIVATE } else { key };
        if plan.segment {
            let made = Segment::make(key, plan.bytes, plan.segment_marked);
            ground.segment = Some(made.expect("a new segment"));
        }
        if plan.set {
            let made = Set::make(key, plan.semaphores, plan.set_marked);
            ground.set = Some(made.expect("a new set"));
        }
    }
    if let Some(segment) = &ground.segment {
        lay(plan, segment, ground.set, &mut input);
    }
    if let Some(set) = ground.set {
        plan.values.iter().for_each(|&(n, value)| set.set_value(n, value));
    }

    let foreign = Foreign::of(plan, &ground);
    let id = ground.segment.as_ref().and_then(identifier);
    look(key, id);
    if let Some((tx, rx)) = &mut live {
        tx.use_up(message);
        rx.use_up(message);
    }
    drop(live);
    let address = |options: Options| options.open_timeout(TIMEOUT).wait(plan.wait);
    let by_key = || address(Options::key(key));
    let by_id = |id| join::<T, Tx, Rx>(|| address(Options::id(id)), true, message);
    let asking = || if plan.asks { plan.ask(by_key()) } else { by_key() };
    let joined = [
        plan.by_id && id.is_some_and(by_id),
        plan.by_key && join::<T, Tx, Rx>(by_key, true, message),
    ];
    if joined.contains(&true) {
        check_binding(key, ground.segment.as_ref());
    }
    let opened = [joined[0], joined[1], join::<T, Tx, Rx>(asking, false, message)];
    if plan.looks_again {
        look(key, id);
    }
    // A lifecycle semaphore that was set, and that nobody holds, makes removing wait for 10 seconds:
    // nothing by the model's clock.
    if sim_kernel::is_model() || Set::marked(key).is_none_or(|set| set.value(0) == Some(0)) {
        checked(sysvring::remove(Address::Key(key)));
    }
    foreign.check(&ground, opened);
    drop(ground);
    assert!(is_free(key), "something is left of {plan:?}");
    joined.contains(&true)
}

/// The bytes of the segment.
fn lay(plan: &Plan, segment: &Segment, set: Option<Set>, input: &mut Input<'_>) {
    if plan.real {
        while !input.is_empty() {
            let (offset, len) = (input.half(), input.byte());
            // Most of it is slots and gaps: the header's bytes are wanted more often.
            segment.write(usize::from(offset % 4352), input.bytes(usize::from(len % 16) + 1));
        }
    } else {
        segment.write(0, input.bytes(usize::MAX));
    }
    if let Some(set) = set.filter(|_| plan.bound) {
        segment.write(80, &set.id.to_le_bytes());
        if let Some(nonce) = segment.word(84) {
            set.set_value(4, (nonce & 0x7fff) as u16);
            set.set_value(5, (nonce >> 15 & 0x7fff) as u16);
        }
    }
}

/// The identifier by which a segment that looks like a channel would be attached.
fn identifier(segment: &Segment) -> Option<ChannelId> {
    let nonce = segment.word(84)?;
    format!("{}:{nonce:08x}", segment.id).parse().ok()
}

/// Whoever joined made sure that the set of the key is the one that the segment names.
fn check_binding(key: i32, segment: Option<&Segment>) {
    let segment = segment.filter(|segment| marked_segment(key) == Some(segment.id));
    if let (Some(segment), Some(set)) = (segment, Set::marked(key)) {
        let nonce = |n| set.value(n).map(|half| half as u32);
        let kept = nonce(4).zip(nonce(5)).map(|(low, high)| low | high << 15);
        assert_eq!(segment.word(80), Some(set.id as u32), "joined beside its set");
        assert_eq!(segment.word(84), kept, "joined beside its set");
    }
}

/// What is nobody's business and must stay.
struct Foreign {
    segment: Option<Vec<u8>>,
    set: Option<Vec<Option<i32>>>,
}

impl Foreign {
    fn of(plan: &Plan, ground: &Ground) -> Foreign {
        let by_hand = !plan.real;
        let segment = ground.segment.as_ref().filter(|_| by_hand && !plan.segment_marked);
        let values = |set: Set| (0..plan.semaphores).map(|n| set.value(n)).collect();
        Foreign {
            segment: segment.map(Segment::bytes).filter(|bytes| !bytes.starts_with(b"SYSVRING")),
            set: ground
                .set
                .filter(|_| by_hand && (!plan.set_marked || !SEMAPHORES.contains(&plan.semaphores)))
                .map(values),
        }
    }

    fn check(&self, ground: &Ground, opened: [bool; 3]) {
        if let (Some(before), Some(segment)) = (&self.segment, &ground.segment) {
            assert!(segment.is_there(), "a segment that is no channel was removed");
            assert!(*before == segment.bytes(), "a segment that is no channel was written to");
            assert!(!opened[0], "a segment that is no channel was joined");
        }
        if let (Some(before), Some(set)) = (&self.set, ground.set) {
            let now: Vec<_> = (0..before.len() as u16).map(|n| set.value(n)).collect();
            assert_eq!(*before, now, "a set that is no channel's was changed");
        }
    }
}

/// Looks in all ways.
fn look(key: i32, id: Option<ChannelId>) {
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

/// Opens both sides and uses them; whether one of them could be opened.
fn join<T, Tx, Rx>(options: impl Fn() -> Options, only: bool, message: &T) -> bool
where
    T: Message + ?Sized,
    Tx: Uses<T>,
    Rx: Uses<T>,
{
    let mut rx: Option<Rx> = checked(if only { options().attach() } else { options().open() });
    if let Some(rx) = &mut rx {
        rx.use_up(message);
    }
    let mut tx: Option<Tx> = checked(if only { options().attach() } else { options().open() });
    if let Some(tx) = &mut tx {
        tx.use_up(message);
    }
    if let Some(rx) = &mut rx {
        rx.use_up(message);
    }
    rx.is_some() || tx.is_some()
}

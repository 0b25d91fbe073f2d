//! Every byte of the header's fields with other values, every bit and every pair of bits flipped:
//! before a channel is opened, and under handles that use it.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use sysvring_support::memory::Memory;
use sysvring_support::tests;

use crate::ends::{CAPACITY, Ends, Many, OneToOne, Outcome, SEATS, SHORT, is_documented, timed};
use crate::ground::{Key, Neighbours, Sample};
use crate::page;
use crate::scale::scale;

tests![
    one_to_one_before_it_is_opened,
    one_to_one_in_use,
    many_to_many_before_it_is_opened,
    many_to_many_in_use,
];

fn one_to_one_before_it_is_opened() {
    before_it_is_opened::<OneToOne>();
}

fn one_to_one_in_use() {
    in_use::<OneToOne>();
}

fn many_to_many_before_it_is_opened() {
    before_it_is_opened::<Many>();
}

fn many_to_many_in_use() {
    in_use::<Many>();
}

/// Where the bytes of all fields lie, members' lines included, by the page of the layout.
pub fn bytes(many: bool) -> Vec<usize> {
    let mut bytes = Vec::new();
    for structure in page::structures() {
        let fields = structure.fields.iter().filter(|field| match structure.name.as_str() {
            // The others there are structures of their own.
            "Header" => ["name", "tail", "head", "credit"].contains(&field.name.as_str()),
            _ => true,
        });
        let fields: Vec<_> = fields.collect();
        let places = match structure.name.as_str() {
            "Member" if many => (0..SEATS).map(|n| structure.at[0] + n * structure.bytes).collect(),
            _ => structure.at.clone(),
        };
        for at in places {
            for field in &fields {
                let is_word = structure.name == "Header" && field.name != "name";
                let len = if is_word { 8 } else { field.bytes };
                bytes.extend(at + field.offset..at + field.offset + len);
            }
        }
    }
    bytes
}

/// Fields that say what a channel is. With any other value it is none, or not the one asked for. The seats
/// are not among them: of a deserted channel their number is believed, and the set made anew.
const TELLING: [&str; 12] = [
    "magic",
    "version",
    "header_size",
    "flavor",
    "capacity",
    "slot_size",
    "stride",
    "shape",
    "align",
    "size",
    "element",
    "total",
];

/// Where these lie.
fn telling_bytes() -> Vec<Range<usize>> {
    let identity = page::find("Identity");
    let find = |name| {
        let field = identity.field(name);
        let start = identity.at[0] + field.offset;
        start..start + field.bytes
    };
    TELLING.into_iter().map(find).collect()
}

/// Bits to flip: in one byte, or one bit in each of two, or two of one.
#[derive(Clone, Copy, Debug)]
struct Change {
    first: (usize, u8),
    second: Option<(usize, u8)>,
}

impl Change {
    fn apply(self, memory: &Memory) {
        for (at, mask) in [Some(self.first), self.second].into_iter().flatten() {
            memory.u8(at).fetch_xor(mask, Relaxed);
        }
    }

    fn touches(self, bytes: &Range<usize>) -> bool {
        [Some(self.first), self.second].into_iter().flatten().any(|(at, _)| bytes.contains(&at))
    }

    /// Takes back what nobody wrote over.
    fn take_back(self, memory: &Memory, before: [u8; 2]) {
        for (changed, before) in [Some(self.first), self.second].into_iter().zip(before) {
            if let Some((at, mask)) = changed {
                let _ = memory.u8(at).compare_exchange(before ^ mask, before, Relaxed, Relaxed);
            }
        }
    }

    /// What lies there.
    fn bytes(self, memory: &Memory) -> [u8; 2] {
        [Some(self.first), self.second].map(|c| c.map_or(0, |(at, _)| memory.u8(at).load(Relaxed)))
    }
}

/// The changes of single bytes: all values, or every bit and the extremes.
fn values(bytes: &[usize]) -> Vec<Change> {
    let masks = |at: usize| {
        let all = 1..=255u8;
        let some = (0..8).map(|bit| 1 << bit).chain([0x55, 0xff]);
        let masks: Vec<u8> = if scale().all_values() { all.collect() } else { some.collect() };
        masks.into_iter().map(move |mask| Change { first: (at, mask), second: None })
    };
    bytes.iter().flat_map(|at| masks(*at)).collect()
}

/// Every so manieth pair of bits.
fn pairs(bytes: &[usize]) -> impl Iterator<Item = Change> + '_ {
    let bits = bytes.len() * 8;
    let bit = |n: usize| (bytes[n / 8], 1u8 << (n % 8));
    let all = (0..bits).flat_map(move |i| (i + 1..bits).map(move |j| (i, j)));
    all.step_by(scale().every as usize).map(move |(i, j)| match (bit(i), bit(j)) {
        ((at, one), (also, other)) if at == also => {
            Change { first: (at, one | other), second: None }
        }
        (first, second) => Change { first, second: Some(second) },
    })
}

/// What came of all changes.
#[derive(Default, Debug)]
struct Tally {
    works: u64,
    refused: u64,
    odd: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Works => &mut self.works,
            Outcome::Refused => &mut self.refused,
            Outcome::Odd => &mut self.odd,
        } += 1;
    }

    fn tell(&self, what: &str, bytes: usize) {
        let Tally { works, refused, odd } = self;
        let all = works + refused + odd;
        println!(
            "header {what}, {bytes} bytes of fields: {all} changes, {works} work, {refused} are \
             refused, {odd} are late news"
        );
        assert!(*works > 0 && *refused > 0, "nothing was seen");
    }
}

/// A deserted channel under the key, once round its ring, with a message in it.
fn sample<E: Ends>(key: &Key) -> Sample {
    key.clear();
    let mut ends = open::<E>(key, true).expect("a new channel");
    assert_eq!(ends.poke(), Outcome::Works);
    drop(ends);
    Sample::of(key)
}

fn open<E: Ends>(key: &Key, receiver_first: bool) -> Result<E, sysvring::Error> {
    let options = || E::options(key.options().capacity(CAPACITY)).open_timeout(SHORT);
    E::open(&options, receiver_first)
}

/// As before, with what is there: capacity and seats are the header's.
fn join<E: Ends>(key: &Key, receiver_first: bool) -> Result<E, sysvring::Error> {
    E::open(&|| key.options().open_timeout(SHORT), receiver_first)
}

/// Runs a case that says whether it was late; a busy machine is late once.
fn in_time(change: Change, mut case: impl FnMut() -> (Outcome, bool)) -> Outcome {
    for _ in 0..3 {
        let (outcome, late) = case();
        if !late {
            return outcome;
        }
    }
    panic!("{change:?}: late, again and again")
}

fn before_it_is_opened<E: Ends>() {
    let (key, neighbours) = (Key::new(), Neighbours::new());
    let mut sample = sample::<E>(&key);
    let bytes = bytes(E::MANY);
    let identity = page::find("Identity");
    let identity = identity.at[0]..identity.at[0] + identity.bytes;
    let telling = telling_bytes();
    let mut tally = Tally::default();
    let changes = values(&bytes).into_iter().chain(pairs(&bytes));
    for (n, change) in changes.enumerate() {
        let outcome = in_time(change, || {
            change.apply(&sample.memory);
            let single = change.second.is_none();
            if single {
                // To look does no harm.
                match sysvring::stat(key.address()) {
                    Ok(stat) => assert!(!stat.to_string().is_empty()),
                    Err(error) => assert!(is_documented(&error), "{change:?}: {error:?}"),
                }
            }
            let (ends, mut late) = timed(2 * SHORT, || join::<E>(&key, n % 2 == 0));
            let outcome = match ends {
                Err(error) => {
                    assert!(is_documented(&error), "{change:?}: {error:?}");
                    Outcome::Refused
                }
                Ok(mut ends) => {
                    let (outcome, was_late) =
                        if single { ends.converse() } else { timed(SHORT, || ends.poke()) };
                    let ((), left_late) = timed(SHORT, || drop(ends));
                    late |= was_late || left_late;
                    outcome
                }
            };
            if !sample.put_back(&key) {
                // A set that has not the seats the header says was made anew.
                assert!(change.touches(&identity), "{change:?}: another channel is there");
                sample = self::sample::<E>(&key);
            }
            (outcome, late)
        });
        if telling.iter().any(|field| change.touches(field)) {
            assert_eq!(outcome, Outcome::Refused, "{change:?}");
        }
        tally.add(outcome);
        if n % 1_000 == 0 {
            neighbours.must_be_untouched();
        }
    }
    neighbours.must_be_untouched();
    tally.tell("before it is opened", bytes.len());
}

fn in_use<E: Ends>() {
    let (key, neighbours) = (Key::new(), Neighbours::new());
    let mut sample = sample::<E>(&key);
    let mut handles: Option<E> = None;
    let bytes = bytes(E::MANY);
    let mut tally = Tally::default();
    let changes = values(&bytes).into_iter().chain(pairs(&bytes));
    for (n, change) in changes.enumerate() {
        let outcome = in_time(change, || {
            let mut ends = handles
                .take()
                .unwrap_or_else(|| join::<E>(&key, n % 2 == 0).expect("all was put back"));
            let before = change.bytes(&sample.memory);
            change.apply(&sample.memory);
            let (mut outcome, mut late) = timed(SHORT, || ends.poke());
            if change.second.is_none() && outcome == Outcome::Works {
                let (conversed, was_late) = ends.converse();
                (outcome, late) = (conversed, late || was_late);
            }
            change.take_back(&sample.memory, before);
            let works = outcome == Outcome::Works && ends.poke() == Outcome::Works;
            if works {
                handles = Some(ends);
            } else {
                // What stopped stays so, and what was acknowledged by mistake is gone: others come.
                sample.put_memory_back();
                let ((), left_late) = timed(SHORT, || drop(ends));
                late |= left_late;
                if !sample.put_back(&key) {
                    sample = self::sample::<E>(&key);
                }
            }
            (outcome, late)
        });
        tally.add(outcome);
        if n % 1_000 == 0 {
            neighbours.must_be_untouched();
        }
    }
    neighbours.must_be_untouched();
    tally.tell("in use", bytes.len());
}

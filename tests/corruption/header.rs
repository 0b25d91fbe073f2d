//! Every byte of the header's fields gets other values, and every bit and every pair of bits is
//! flipped: before a channel is opened, and while handles use it.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use sysvring::Flavor;
use sysvring_support::handle::{AnyFlavor, Broadcast, Mpmc, Spsc};
use sysvring_support::raw_ipc::{Key, Segment};
use sysvring_support::test;

use crate::endpoints::{Endpoints, Outcome, SEATS, SHORT, is_documented, options, timed};
use crate::objects::{Neighbours, Sample};
use crate::page;
use crate::scale::scale;

#[test]
fn spsc_before_opening() {
    before_it_is_opened::<Spsc>();
}

#[test]
fn spsc_in_use() {
    in_use::<Spsc>();
}

#[test]
fn mpmc_before_opening() {
    before_it_is_opened::<Mpmc>();
}

#[test]
fn mpmc_in_use() {
    in_use::<Mpmc>();
}

#[test]
fn broadcast_before_opening() {
    before_it_is_opened::<Broadcast>();
}

#[test]
fn broadcast_in_use() {
    in_use::<Broadcast>();
}

/// Returns the offsets of all fields' bytes, members' lines, progress records and the structure included,
/// according to the layout document.
pub fn bytes(flavor: Flavor, seats: usize) -> Vec<usize> {
    let mut bytes = Vec::new();
    for structure in page::structures() {
        let fields = structure.fields.iter().filter(|field| match structure.name.as_str() {
            // The other fields there are separate structures.
            "Header" => ["name", "tail", "head", "credit"].contains(&field.name.as_str()),
            _ => true,
        });
        let fields: Vec<_> = fields.collect();
        let places = match structure.name.as_str() {
            "Member" if flavor != Flavor::Spsc => {
                (0..seats).map(|n| structure.at[0] + n * structure.bytes).collect()
            }
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
    if flavor == Flavor::Broadcast {
        let (record, first) = (page::progress(), page::progress_at(seats));
        for (seat, field) in (0..seats).flat_map(|n| record.fields.iter().map(move |f| (n, f))) {
            let at = first + seat * record.bytes + field.offset;
            bytes.extend(at..at + field.bytes);
        }
    }
    bytes.extend(structure(flavor, seats));
    bytes
}

/// Returns where the text of the structure is, `u64`.
fn structure(flavor: Flavor, seats: usize) -> Range<usize> {
    let seats = if flavor == Flavor::Spsc { 2 } else { seats };
    let at = page::text_at(flavor == Flavor::Broadcast, seats);
    at..at + 3
}

/// The fields that identify a channel. With any other value it is not a channel, or not the
/// requested one. The number of seats is not among them: for a channel without members it is taken
/// as it is, and the set is made anew.
const IDENTIFYING: [&str; 12] = [
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

/// Returns where these fields and the structure are. The length of its text is not among them: a channel of
/// length 0 does not describe itself, and is joined by the layout of its messages.
fn identifying_bytes(flavor: Flavor, seats: usize) -> Vec<Range<usize>> {
    let identity = page::find("Identity");
    let find = |name| {
        let field = identity.field(name);
        let start = identity.at[0] + field.offset;
        start..start + field.bytes
    };
    IDENTIFYING.into_iter().map(find).chain([structure(flavor, seats)]).collect()
}

/// A pair of bytes and the bits to flip in each: in one byte, or one bit in each of two, or two
/// bits of one.
#[derive(Clone, Copy, Debug)]
struct Change {
    first: (usize, u8),
    second: Option<(usize, u8)>,
}

impl Change {
    fn apply(self, segment: &Segment) {
        for (at, mask) in [Some(self.first), self.second].into_iter().flatten() {
            segment.u8(at).fetch_xor(mask, Relaxed);
        }
    }

    fn touches(self, bytes: &Range<usize>) -> bool {
        [Some(self.first), self.second].into_iter().flatten().any(|(at, _)| bytes.contains(&at))
    }

    /// Undoes the change in bytes that no process has overwritten.
    fn revert(self, segment: &Segment, before: [u8; 2]) {
        for (changed, before) in [Some(self.first), self.second].into_iter().zip(before) {
            if let Some((at, mask)) = changed {
                let _ = segment.u8(at).compare_exchange(before ^ mask, before, Relaxed, Relaxed);
            }
        }
    }

    /// Returns the bytes.
    fn bytes(self, segment: &Segment) -> [u8; 2] {
        [Some(self.first), self.second].map(|c| c.map_or(0, |(at, _)| segment.u8(at).load(Relaxed)))
    }
}

/// Returns the changes of single bytes: all values, or every bit and the extremes.
fn values(bytes: &[usize]) -> Vec<Change> {
    let masks = |at: usize| {
        let all = 1..=255u8;
        let some = (0..8).map(|bit| 1 << bit).chain([0x55, 0xff]);
        let masks: Vec<u8> = if scale().all_values() { all.collect() } else { some.collect() };
        masks.into_iter().map(move |mask| Change { first: (at, mask), second: None })
    };
    bytes.iter().flat_map(|at| masks(*at)).collect()
}

/// Returns pairs of bits, spaced by the scale's `every`.
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

/// The outcomes of all changes.
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

    fn print(&self, what: &str, bytes: usize) {
        let Tally { works, refused, odd } = self;
        let all = works + refused + odd;
        println!(
            "header {what}, {bytes} bytes of fields: {all} changes, {works} work, {refused} are \
             refused, {odd} report late"
        );
        assert!(*works > 0 && *refused > 0, "nothing was tested");
    }
}

/// Makes a channel without members under the key; its ring has wrapped around and holds a message.
fn sample<F: AnyFlavor>(key: &Key) -> Sample {
    key.clear();
    let mut ends = open::<F>(key, true).expect("a new channel");
    assert_eq!(ends.poke(), Outcome::Works);
    drop(ends);
    Sample::of(key)
}

fn open<F: AnyFlavor>(key: &Key, receiver_first: bool) -> Result<Endpoints<F>, sysvring::Error> {
    Endpoints::open(|| options::<F>(key.options()).open_timeout(SHORT), receiver_first)
}

/// Opens the channel as before, if it exists; capacity and seats are the header's.
fn join<F: AnyFlavor>(key: &Key, receiver_first: bool) -> Result<Endpoints<F>, sysvring::Error> {
    Endpoints::open(|| key.options().open_timeout(SHORT), receiver_first)
}

/// Runs a case that returns whether it was late. Up to two late runs are tolerated, for busy hosts.
fn in_time(change: Change, mut case: impl FnMut() -> (Outcome, bool)) -> Outcome {
    for _ in 0..3 {
        let (outcome, late) = case();
        if !late {
            return outcome;
        }
    }
    panic!("{change:?}: late in every run")
}

fn before_it_is_opened<F: AnyFlavor>() {
    let (key, neighbours) = (Key::new(), Neighbours::new());
    let mut sample = sample::<F>(&key);
    let bytes = bytes(F::FLAVOR, SEATS);
    let identity = page::find("Identity");
    let identity = identity.at[0]..identity.at[0] + identity.bytes;
    let identifying = identifying_bytes(F::FLAVOR, SEATS);
    let mut tally = Tally::default();
    let changes = values(&bytes).into_iter().chain(pairs(&bytes));
    for (n, change) in changes.enumerate() {
        let outcome = in_time(change, || {
            change.apply(&sample.segment);
            let single = change.second.is_none();
            if single {
                // Inspecting a channel has no effect on it.
                match sysvring::stat(key.address()) {
                    Ok(stat) => assert!(!stat.to_string().is_empty()),
                    Err(error) => assert!(is_documented(&error), "{change:?}: {error:?}"),
                }
            }
            let (ends, mut late) = timed(2 * SHORT, || join::<F>(&key, n % 2 == 0));
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
            if !sample.restore(&key) {
                // A set whose size differs from the header's number of seats was made anew.
                assert!(change.touches(&identity), "{change:?}: another channel exists");
                sample = self::sample::<F>(&key);
            }
            (outcome, late)
        });
        if identifying.iter().any(|field| change.touches(field)) {
            assert_eq!(outcome, Outcome::Refused, "{change:?}");
        }
        tally.add(outcome);
        if n % 1_000 == 0 {
            neighbours.must_be_untouched();
        }
    }
    neighbours.must_be_untouched();
    tally.print("before it is opened", bytes.len());
}

fn in_use<F: AnyFlavor>() {
    let (key, neighbours) = (Key::new(), Neighbours::new());
    let mut sample = sample::<F>(&key);
    let mut handles: Option<Endpoints<F>> = None;
    let bytes = bytes(F::FLAVOR, SEATS);
    let mut tally = Tally::default();
    let changes = values(&bytes).into_iter().chain(pairs(&bytes));
    for (n, change) in changes.enumerate() {
        let outcome = in_time(change, || {
            let mut ends = handles
                .take()
                .unwrap_or_else(|| join::<F>(&key, n % 2 == 0).expect("the channel was restored"));
            let before = change.bytes(&sample.segment);
            change.apply(&sample.segment);
            let (mut outcome, mut late) = timed(SHORT, || ends.poke());
            if change.second.is_none() && outcome == Outcome::Works {
                let (conversed, was_late) = ends.converse();
                (outcome, late) = (conversed, late || was_late);
            }
            change.revert(&sample.segment, before);
            let works = outcome == Outcome::Works && ends.poke() == Outcome::Works;
            if works {
                handles = Some(ends);
            } else {
                // A stopped handle stays stopped, and a message that was acknowledged by mistake is
                // lost, so new handles are opened.
                sample.restore_memory();
                let ((), left_late) = timed(SHORT, || drop(ends));
                late |= left_late;
                if !sample.restore(&key) {
                    sample = self::sample::<F>(&key);
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
    tally.print("in use", bytes.len());
}

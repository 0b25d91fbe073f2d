//! What the messages contain, and how full the ring is at the start.

/// The number of slots of every channel here.
pub const CAPACITY: u64 = 8;

/// A message that contains its number, or its position, and contradicts itself if it is torn.
pub type Message = [u64; 6];

/// Returns the message with this number.
pub fn message(number: u64) -> Message {
    let mut word = number;
    let mut message = [number; 6];
    for next in &mut message[1..] {
        word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        *next = word;
    }
    message
}

/// The content of the ring when the victim starts: `fill` messages from position `base` on.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub name: &'static str,
    pub base: u64,
    pub fill: u64,
}

const fn state(name: &'static str, base: u64, fill: u64) -> State {
    State { name, base, fill }
}

/// The position at which the lap in a slot's word wraps around to zero.
const LAPS_END: u64 = CAPACITY << 48;

pub const EMPTY: State = state("empty", 0, 0);
pub const ONE: State = state("one", 0, 1);
pub const MIDDLE: State = state("middle", 0, CAPACITY / 2);
pub const ALMOST: State = state("one slot left", 3, CAPACITY - 1);
pub const FULL: State = state("full", 0, CAPACITY);
/// The messages, and those that follow, wrap around the end of the ring.
pub const WRAPPED: State = state("wrapped", CAPACITY - 2, CAPACITY / 2);
pub const WRAPPED_EMPTY: State = state("empty at the wrap", CAPACITY - 1, 0);
pub const WRAPPED_FULL: State = state("full, wrapped", CAPACITY + 3, CAPACITY);
/// The lap in the word wraps around among the messages.
pub const LAST_LAP: State = state("last lap", LAPS_END - 2, CAPACITY / 2);
pub const LAST_LAP_EMPTY: State = state("empty, last lap", LAPS_END - 1, 0);
pub const LAST_LAP_FULL: State = state("full, last lap", LAPS_END - 3, CAPACITY);
/// The position itself wraps around among the messages.
pub const LAST_POSITIONS: State = state("last positions", u64::MAX - 1, CAPACITY / 2);
pub const LAST_POSITIONS_EMPTY: State = state("empty, last positions", u64::MAX, 0);

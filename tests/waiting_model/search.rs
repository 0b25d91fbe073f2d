//! Searches all orders of steps, deaths and timeouts, breadth first, so that a counterexample is a
//! shortest one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::protocol::{Change, Setting};
use crate::state::{Life, State, Step};

/// What happened between two states.
#[derive(Clone, Copy)]
enum Event {
    Start,
    Sender(usize),
    StoreOf(usize),
    Thread(usize),
    TimeIsOver(usize),
    Withdraws(usize),
    Joiner(usize),
    SeatTaken(usize),
    MemberKilled(usize),
    SendersKilled,
}

/// The result of a search.
#[derive(Debug)]
pub enum Verdict {
    /// The number of states; there is no fault in any of them.
    Holds(usize),
    /// The steps to a state in which a thread stays parked although there is work.
    Fails(Vec<String>),
}

/// All states that were found, each with its predecessor.
struct Found {
    numbers: HashMap<State, u32, BuildHasherDefault<Quick>>,
    states: Vec<(State, u32, Event)>,
}

impl Found {
    fn put(&mut self, state: State, from: u32, event: Event) {
        if let Entry::Vacant(entry) = self.numbers.entry(state) {
            entry.insert(self.states.len() as u32);
            self.states.push((state, from, event));
        }
    }

    fn way_to(&self, mut number: u32) -> Vec<String> {
        let mut way = Vec::new();
        loop {
            let (_, from, event) = self.states[number as usize];
            let before = &self.states[from as usize].0;
            way.push(match event {
                Event::Start => {
                    way.reverse();
                    return way;
                }
                Event::Thread(thread) => {
                    format!("thread {thread} {:?}", before.threads[thread].step)
                }
                Event::Sender(sender) => {
                    format!("sender {sender} {:?}", before.senders[sender].step)
                }
                Event::Joiner(seat) => format!("joiner {seat} {:?}", before.members[seat].life),
                Event::StoreOf(sender) => format!("the store of sender {sender} becomes visible"),
                Event::TimeIsOver(thread) => format!("the timeout of thread {thread} expires"),
                Event::Withdraws(seat) => format!("member {seat} withdraws its request"),
                Event::SeatTaken(seat) => format!("a new process takes seat {seat}"),
                Event::MemberKilled(seat) => format!("member {seat} is killed"),
                Event::SendersKilled => "the senders are killed".to_owned(),
            });
            number = from;
        }
    }
}

/// A hash that takes few instructions, because states are small and numerous.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table uses both the high and the low bits.
        self.0 ^ self.0 >> 32
    }
}

/// Searches all reachable states.
pub fn search(setting: &Setting) -> Verdict {
    let mut found = Found { numbers: HashMap::default(), states: Vec::new() };
    found.put(setting.start(), 0, Event::Start);
    let mut at = 0;
    while let Some(&(state, ..)) = found.states.get(at) {
        let mut next = Next { state, from: at as u32, found: &mut found, stands_still: true };
        next.steps(setting);
        next.timeouts(setting);
        next.withdrawals(setting);
        next.deaths(setting);
        if next.stands_still && is_fault(&state) {
            return Verdict::Fails(found.way_to(at as u32));
        }
        at += 1;
    }
    Verdict::Holds(found.states.len())
}

/// Returns whether there is work while a thread is parked.
fn is_fault(state: &State) -> bool {
    state.has_any() && state.threads.iter().any(|thread| thread.step == Step::S5Sleep)
}

/// The successors of a state.
struct Next<'a> {
    state: State,
    from: u32,
    found: &'a mut Found,
    /// Nothing proceeds by itself: deaths, timeouts, successors and calls of `recv` need not
    /// happen.
    stands_still: bool,
}

impl Next<'_> {
    fn put(&mut self, state: State, event: Event) {
        self.found.put(state, self.from, event);
    }

    /// Adds the steps that are certain to happen eventually.
    fn steps(&mut self, setting: &Setting) {
        let state = self.state;
        for sender in 0..setting.senders {
            if let Some(next) = setting.send(state, sender) {
                self.stands_still = false;
                self.put(next, Event::Sender(sender));
            }
            if state.senders[sender].buffered {
                self.stands_still = false;
                let mut next = state;
                next.make_visible(sender);
                self.put(next, Event::StoreOf(sender));
            }
        }
        for thread in 0..setting.all_threads() {
            if let Some(next) = setting.receive(state, thread) {
                self.stands_still &= state.threads[thread].step == Step::Away;
                self.put(next, Event::Thread(thread));
            }
        }
        for seat in 0..setting.threads.len() {
            if let Some(next) = setting.join(state, seat) {
                self.stands_still = false;
                self.put(next, Event::Joiner(seat));
            }
        }
    }

    fn timeouts(&mut self, setting: &Setting) {
        for thread in 0..setting.all_threads() {
            if let Some(next) = setting.time_out(self.state, thread) {
                self.put(next, Event::TimeIsOver(thread));
            }
        }
    }

    /// A receiver that asked for fences is in a stream.
    fn withdrawals(&mut self, setting: &Setting) {
        let state = self.state;
        for thread in 0..setting.all_threads() {
            let seat = setting.seat_of(thread);
            if state.threads[thread].step == Step::Look && state.members[seat].asks {
                let mut next = State { asked: false, ..state };
                next.members[seat].asks = setting.has(Change::WithdrawsAndRemembers);
                self.put(next, Event::Withdraws(seat));
            }
        }
    }

    fn deaths(&mut self, setting: &Setting) {
        let state = self.state;
        let posts = !setting.has(Change::DeathsDoNotPost);
        for seat in 0..setting.threads.len() {
            let is_dead = state.members[seat].life == Life::Dead;
            if !is_dead && state.kills > 0 {
                let mut next = State { kills: state.kills - 1, ..state };
                next.kill(seat, setting.threads_of(seat), posts);
                self.put(next, Event::MemberKilled(seat));
            }
            if is_dead && state.successors > 0 {
                let mut next = State { successors: state.successors - 1, ..state };
                next.members[seat].life = Life::Seated;
                self.put(next, Event::SeatTaken(seat));
            }
        }
        if state.kills > 0 && state.senders.iter().any(|sender| sender.is_busy()) {
            let mut next = State { kills: state.kills - 1, ..state };
            next.kill_senders(posts);
            self.put(next, Event::SendersKilled);
        }
    }
}

//! A member that resigned because it may not leave: is its seat freed, once, and never that of a
//! successor, whichever process vacates it, whenever its process ends, and at whatever step the process dies
//! that vacates it?
//!
//! The waiting table and the steps of vacating are the shipped ones (`liveness/resignation.rs`). The
//! set is simulated, with what the kernel undoes at the end of each process.

use std::convert::Infallible;
use std::sync::Arc;

use super::harness::{Job, all_of, check_bounded, check_deaths_bounded};
use crate::flavor::Flavor;
use crate::liveness::{
    DIED, Departure, FINISHED, LIFECYCLE, SENDERS, Seat, Semaphores, Standing, USERS,
    next_incarnation, seat_sem, token_of,
};
use crate::role::Side;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::sync::crash_point::{crash_at, step};
use crate::wait::{Holder, Table};

#[cfg(loom)]
use loom::sync::Mutex;
#[cfg(not(loom))]
use std::sync::Mutex;

const SENDER: Seat = Seat { number: 0, side: Side::Senders };
/// The semaphores up to that of the seat.
const COUNT: usize = 13;
const BOUND: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Old,
    Vacates,
    Successor,
    Last,
}

/// One change of a semaphore, and what its undo adds.
#[derive(Clone, Copy, Debug)]
struct Change(u16, i32, i32);

#[derive(Debug, Default)]
struct State {
    values: [i32; COUNT],
    undo: [[i32; COUNT]; 4],
}

/// An SPSC channel's seat of the sender, and the set.
#[derive(Debug)]
struct Channel {
    words: [AtomicU64; 1],
    /// What the old member writes last, as a plain store of its progress.
    progress: AtomicU64,
    set: Mutex<State>,
}

impl Semaphores for Channel {
    type Error = Infallible;

    fn value(&self, sem: u16) -> Result<i32, Infallible> {
        step();
        Ok(self.set.lock().unwrap().values[usize::from(sem)])
    }

    fn set(&self, sem: u16, value: i32) -> Result<(), Infallible> {
        step();
        let mut state = self.set.lock().unwrap();
        state.values[usize::from(sem)] = value;
        state.undo.iter_mut().for_each(|undo| undo[usize::from(sem)] = 0);
        Ok(())
    }
}

impl Channel {
    fn new() -> Arc<Channel> {
        let set = Mutex::new(State::default());
        Arc::new(Channel { words: [AtomicU64::new(0)], progress: AtomicU64::new(0), set })
    }

    fn table(&self) -> Table<'_> {
        Table(&self.words)
    }

    fn value_of(&self, sem: u16) -> i32 {
        self.value(sem).unwrap()
    }

    /// Makes all of the changes if these semaphores are 0, and none would become negative.
    fn op(&self, process: Process, zeros: &[u16], changes: &[Change]) -> bool {
        step();
        let mut state = self.set.lock().unwrap();
        let mut values = state.values;
        let are_zero = zeros.iter().all(|&sem| values[usize::from(sem)] == 0);
        changes.iter().for_each(|&Change(sem, by, _)| values[usize::from(sem)] += by);
        let is_possible = are_zero && values.iter().all(|&value| value >= 0);
        if is_possible {
            state.values = values;
            for &Change(sem, _, undo) in changes {
                state.undo[process as usize][usize::from(sem)] += undo;
            }
        }
        is_possible
    }

    /// Ends a process.
    fn end(&self, process: Process) {
        let mut state = self.set.lock().unwrap();
        let undo = std::mem::take(&mut state.undo[process as usize]);
        for (value, by) in state.values.iter_mut().zip(undo) {
            *value = (*value + by).max(0);
        }
    }

    /// Takes the seat and returns the token, as the first sender or as the successor of a dead one.
    fn join(&self, process: Process, last: &[u32]) -> Option<i32> {
        let standing = Standing::Member(Side::Senders);
        let token = i32::from(token_of(standing, next_incarnation(last[0])));
        let seat = seat_sem(0);
        let common = [
            Change(seat, token, -token),
            Change(USERS, 1, -1),
            Change(SENDERS, 1, -1),
            Change(DIED, 0, 1),
        ];
        let heir = [&common[..], &[Change(DIED, -1, 0)]].concat();
        let joins = |zeros: &[u16], changes: &[Change]| self.op(process, zeros, changes);
        let is_seated =
            joins(&[LIFECYCLE, seat, DIED], &common) || joins(&[LIFECYCLE, seat], &heir);
        is_seated.then_some(token)
    }

    /// Gives back a seat that was not signed, as `ChannelSemaphores::withdraw`.
    fn withdraw(&self, process: Process, token: i32) {
        let seat = seat_sem(0);
        let users = Change(USERS, -1, 1);
        let is_own = self.value_of(seat) == token
            && self.op(
                process,
                &[],
                &[Change(seat, -token, token), users, Change(SENDERS, -1, 1), Change(DIED, 0, -1)],
            );
        if !is_own {
            assert!(self.op(process, &[], &[users]), "{process:?} is counted");
        }
    }

    /// Leaves as far as it may.
    fn resign(&self, holder: Holder) {
        self.progress.store(1, Relaxed);
        assert!(self.table().resign(holder, Departure::Finish));
    }

    /// Joins, resigns and ends.
    fn come_and_go(&self, process: Process) {
        let last = self.table().incarnations();
        if let Some(token) = self.join(process, &last) {
            match self.table().sign(SENDER, &last) {
                Some(holder) => self.resign(holder),
                None => self.withdraw(process, token),
            }
        }
        self.end(process);
    }

    /// Frees the seat of a member that resigned.
    fn vacate(&self, process: Process) {
        let table = self.table();
        if table.resigned(0).is_none()
            || !self.op(process, &[LIFECYCLE], &[Change(LIFECYCLE, 1, -1)])
        {
            return;
        }
        for resigned in table.all_resigned() {
            let progress = self.progress.load(Relaxed);
            assert_eq!(progress, 1, "what it did is seen before it is gone");
            resigned.vacate(Flavor::Spsc, self).unwrap();
            table.settle(resigned);
        }
        self.op(process, &[], &[Change(LIFECYCLE, -1, 1)]);
    }

    /// Joins if the seat is free, and returns its token. Nobody takes the seat away.
    fn succeed(&self) -> Option<i32> {
        let last = self.table().incarnations();
        let token = self.join(Process::Successor, &last)?;
        if self.table().sign(SENDER, &last).is_none() {
            self.withdraw(Process::Successor, token);
            return None;
        }
        self.is_seated(token);
        Some(token)
    }

    fn is_seated(&self, token: i32) {
        let values = [seat_sem(0), USERS, SENDERS, DIED].map(|sem| self.value_of(sem));
        // The old member is a user until it ends.
        let [seat, users, senders, died] = values;
        assert!(users >= 1 && [seat, senders, died] == [token, 1, 0], "{values:?}");
    }

    /// Checks what is left when all but the successor have ended.
    fn verify(&self, successor: Option<i32>) {
        self.vacate(Process::Last);
        let ends = [LIFECYCLE, USERS].map(|sem| self.value_of(sem));
        assert_eq!(ends, [0, i32::from(successor.is_some())]);
        match successor {
            Some(token) => self.is_seated(token),
            None => {
                let values = [seat_sem(0), SENDERS, DIED, FINISHED].map(|sem| self.value_of(sem));
                assert_eq!(values, [0, 0, 0, 1]);
            }
        }
    }
}

/// Runs the old member, a process that vacates and dies at this step, and a successor. Returns
/// whether that process died.
fn vacate_and_die(step: u32) -> bool {
    let channel = Channel::new();
    let last = channel.table().incarnations();
    channel.join(Process::Old, &last).expect("the first");
    let old = channel.table().sign(SENDER, &last).expect("the only one");
    let jobs: [Step; 3] = [
        |channel, _, old| {
            channel.resign(old.expect("signed"));
            channel.end(Process::Old);
            (false, None)
        },
        |channel, step, _| {
            let died = crash_at(step, || channel.vacate(Process::Vacates)).is_none();
            channel.end(Process::Vacates);
            (died, None)
        },
        |channel, _, _| (false, channel.succeed()),
    ];
    let results = run(&channel, jobs, step, Some(old));
    channel.verify(results.iter().find_map(|(_, successor)| *successor));
    results.iter().any(|(died, _)| *died)
}

/// What a thread does with the channel, the step to die at, and the old member.
type Step = fn(&Channel, u32, Option<Holder>) -> (bool, Option<i32>);

/// Runs each job in a thread.
fn run(
    channel: &Arc<Channel>,
    jobs: [Step; 3],
    step: u32,
    old: Option<Holder>,
) -> Vec<(bool, Option<i32>)> {
    let jobs = jobs.map(|job| {
        let channel = channel.clone();
        Box::new(move || job(&channel, step, old)) as Job<(bool, Option<i32>)>
    });
    all_of(jobs.into())
}

#[test]
fn a_seat_is_vacated_at_any_step() {
    check_deaths_bounded("a seat is vacated at any step", BOUND, vacate_and_die);
}

/// The old member takes the seat after its successor has read the incarnation.
#[test]
fn a_successor_that_comes_too_early_harms_nobody() {
    check_bounded("a successor that comes too early harms nobody", BOUND, || {
        let channel = Channel::new();
        let results = run(
            &channel,
            [
                |channel, _, _| {
                    channel.come_and_go(Process::Old);
                    (false, None)
                },
                |channel, _, _| {
                    channel.vacate(Process::Vacates);
                    (false, None)
                },
                |channel, _, _| (false, channel.succeed()),
            ],
            0,
            None,
        );
        let successor = results.iter().find_map(|(_, successor)| *successor);
        // If the successor had the seat first, the old member never did.
        channel.vacate(Process::Last);
        match successor {
            Some(token) => channel.is_seated(token),
            None => assert_eq!([seat_sem(0), USERS].map(|sem| channel.value_of(sem)), [0, 0]),
        }
    });
}

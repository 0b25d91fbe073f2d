//! One victim, from its start to what its survivors find.

use sysvring_support::raw_ipc::{self, Object, remove_queue};
use sysvring_support::shared_counters::now_ns;
use sysvring_support::single_step::{Stepper, Stop};

use crate::steps::common_checks::objects;
use crate::steps::messages::State;
use crate::steps::operations::Operation;
use crate::steps::peer::{Peer, order};
use crate::steps::report::{Shared, victim};
use crate::steps::scenario::{Other, Scenario, is_asleep};
use crate::steps::trace::Trace;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Moment, Times, Violation, no};

/// Returns whether a process sleeps in the kernel.
fn is_in_kernel(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// Where the victim is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After this number of instructions of its operation.
    After(usize),
    /// While it sleeps in the kernel.
    Asleep,
}

/// How the victim reaches that point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// It runs to the last landmark before the point.
    Run,
    /// It is stepped through every instruction.
    Step,
}

/// The maximum number of instructions, more than any operation takes. Beyond it, the victim is in a
/// loop.
const TOO_LONG: usize = 1_000_000;

/// One operation in one of its cases.
pub struct Case<'a> {
    pub operation: &'a Operation,
    pub scenario: Scenario,
    /// What was in the kernel's tables before.
    pub before: Vec<Object>,
    pub times: Times,
    /// The number of victims that diverged from the recorded trace and ended too early.
    pub diverged: usize,
}

/// A victim at the start of its operation, and its peer.
pub struct Pair {
    pub victim: Stepper,
    pub peer: Option<Peer>,
}

impl<'a> Case<'a> {
    pub fn new(operation: &'a Operation, case: (State, Other), shared: Shared) -> Case<'a> {
        // A key for this process's channels; the eight keys after it are also used.
        let key = 0x4b00_0000 | (std::process::id() as i32 & 0xf_ffff) << 4;
        let scenario = operation.scenario(case, key, shared);
        Case {
            operation,
            scenario,
            before: objects(scenario.has_queues),
            times: Times::default(),
            diverged: 0,
        }
    }

    pub fn name(&self) -> String {
        format!(
            "{} ({}, other side {:?})",
            self.operation.name(),
            self.scenario.state.name,
            self.scenario.other
        )
    }

    /// Makes the channel and starts the two processes.
    pub fn start(&mut self) -> Result<Pair, Violation> {
        self.scenario.prepare();
        // A peer of its own side joins after the victim has its slots and messages in flight.
        let late = self.scenario.other.is_beside();
        let mut peer = if late { None } else { Peer::start(&self.scenario) };
        let (operation, scenario) = (self.operation, &self.scenario);
        let victim = match Stepper::start(|| operation.run_as_victim(scenario)) {
            Ok(victim) => victim,
            Err(stop) => {
                return no(
                    Kind::Unusable,
                    format!("the victim did not get to its start: {stop:?}"),
                );
            }
        };
        if late {
            peer = Peer::start(scenario);
        } else if let Some(peer) = &peer {
            // The victim's joining has woken it.
            peer.settle(scenario);
        }
        Ok(Pair { victim, peer })
    }

    /// Starts a victim and steps it to its end. Returns its trace.
    pub fn record(&mut self) -> Result<Trace, Violation> {
        let mut pair = self.start()?;
        let trace = self.record_from(&mut pair)?;
        let shared = &self.scenario.shared;
        if shared.victim.get() != victim::SUCCEEDED {
            return no(Kind::Unusable, format!("the victim fails: {}", shared.victim_text.get()));
        }
        self.kill(pair)?;
        Ok(trace)
    }

    /// Steps a victim to its end. Returns its trace.
    pub fn record_from(&self, pair: &mut Pair) -> Result<Trace, Violation> {
        let mut trace = Trace::default();
        let asleep = &mut self.asleep();
        loop {
            trace.push(pair.victim.place());
            if trace.len() > TOO_LONG {
                return no(
                    Kind::Unusable,
                    format!("the operation does not end within {TOO_LONG} instructions"),
                );
            }
            let mut stop = pair.victim.step(asleep);
            while stop == Stop::Asleep {
                trace.sleeps = true;
                self.wake(pair);
                stop = pair.victim.wait(asleep);
            }
            match stop {
                Stop::There => {}
                Stop::Marked => return Ok(trace),
                stop => {
                    return no(
                        Kind::Unusable,
                        format!("after {} instructions: {stop:?}", trace.len()),
                    );
                }
            }
        }
    }

    /// Starts a victim and kills it at a point of its trace.
    pub fn kill_at(&mut self, trace: &Trace, point: Point) -> Result<(), Violation> {
        // A victim that runs to a landmark arrives earlier than one that is stepped, and may take
        // another branch.
        for approach in [Approach::Run, Approach::Step] {
            let mut pair = self.start()?;
            let there = self.bring(&mut pair, trace, point, approach)?;
            self.kill(pair)?;
            if there {
                return Ok(());
            }
        }
        self.diverged += 1;
        Ok(())
    }

    /// Brings the victim to a point of its trace. Returns false if it reaches its end instead.
    pub fn bring(
        &self,
        pair: &mut Pair,
        trace: &Trace,
        point: Point,
        approach: Approach,
    ) -> Result<bool, Violation> {
        let asleep = &mut self.asleep();
        let (mut at, mut stop) = match (point, approach) {
            (Point::Asleep, _) => (0, pair.victim.run(asleep)),
            (Point::After(_), Approach::Step) => (0, Stop::There),
            (Point::After(n), Approach::Run) => match trace.landmark(n) {
                Some((0, _)) => (0, Stop::There),
                Some((landmark, place)) => (landmark, pair.victim.run_to(place, asleep)),
                None => (trace.len(), pair.victim.run(asleep)),
            },
        };
        let mut last = None;
        loop {
            stop = match stop {
                Stop::Asleep if point == Point::Asleep => return Ok(true),
                Stop::Asleep => {
                    self.wake(pair);
                    pair.victim.wait(asleep)
                }
                Stop::There => {
                    let place = pair.victim.place();
                    at += usize::from(last.replace(place).is_some_and(|last| last != place));
                    if point == Point::After(at) {
                        return Ok(true);
                    }
                    pair.victim.step(asleep)
                }
                Stop::Marked => return Ok(point == Point::After(trace.len())),
                stop => return no(Kind::Unusable, format!("before the crash point: {stop:?}")),
            }
        }
    }

    /// Kills the victim where it is, and checks what it leaves.
    pub fn kill(&mut self, pair: Pair) -> Result<(), Violation> {
        let begun = now_ns();
        pair.victim.kill();
        let moment = Moment::since(begun, pair.peer.as_ref());
        self.survive(pair.peer, moment)
    }

    /// Checks the channel now that the victim is gone.
    pub fn survive(&mut self, peer: Option<Peer>, moment: Moment) -> Result<(), Violation> {
        let mut survivor = Survivor::new(&self.scenario, &self.before, moment);
        let result = survivor.check(self.operation.after, peer);
        self.times.take(survivor.times);
        result
    }

    /// Returns whether the victim sleeps, according to the kernel.
    pub fn asleep(&self) -> impl FnMut() -> bool + use<> {
        let (other, side) = (self.scenario.other, self.scenario.side);
        let set = raw_ipc::set_of(self.scenario.key).filter(|_| other == Other::Late);
        let scenario = self.scenario;
        let waits = move |set| match scenario.has_queues {
            true => scenario.is_armed(side) && is_in_kernel(scenario.shared.victim_pid.get()),
            false => is_asleep(set, side),
        };
        move || set.is_some_and(waits)
    }

    pub fn wake(&self, pair: &Pair) {
        pair.peer.as_ref().expect("a late peer").order(&self.scenario, order::WAKE);
    }

    /// After a violation, removes whatever is left, so that the next case starts from a clean
    /// state.
    pub fn clean_up(&self) {
        for key in self.scenario.key..self.scenario.key + 8 {
            let removed = raw_ipc::segment_of(key).map_or(Ok(()), raw_ipc::remove_segment);
            removed.expect("IPC_RMID");
            raw_ipc::set_of(key).map_or(Ok(()), raw_ipc::remove_set).expect("IPC_RMID");
        }
        if self.scenario.has_queues {
            raw_ipc::queues().unwrap_or_default().iter().for_each(|name| remove_queue(name));
        }
        // The next check reports what this cannot remove.
        let _ = sysvring::reap();
    }
}

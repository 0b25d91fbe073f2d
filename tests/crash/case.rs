//! One victim, from its start to what its survivors find.

use sysvring_support::board::now_ns;
use sysvring_support::step::{Stepper, Stop};

use crate::steps::kernel;
use crate::steps::many;
use crate::steps::messages::State;
use crate::steps::operations::Operation;
use crate::steps::peer::{Peer, order};
use crate::steps::report::{Board, victim};
use crate::steps::scenario::{Flavor, Other, Scene};
use crate::steps::trace::Way;
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Moment, Times, Violation, no};

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
pub enum Pace {
    /// It runs to the last landmark before the point.
    Run,
    /// It is stepped through every instruction.
    Walk,
}

/// The maximum number of instructions, more than any operation takes. Beyond it, the victim is in a
/// loop.
const TOO_LONG: usize = 1_000_000;

/// One operation in one of its cases.
pub struct Case<'a> {
    pub operation: &'a Operation,
    pub scene: Scene,
    /// What was in the kernel's tables before.
    pub before: Vec<String>,
    pub times: Times,
    /// The number of victims that diverged from the recorded trace and ended too early.
    pub strayed: usize,
}

/// A victim at the start of its operation, and its peer.
pub struct Pair {
    pub victim: Stepper,
    pub peer: Option<Peer>,
}

impl<'a> Case<'a> {
    pub fn new(operation: &'a Operation, case: (State, Other), board: Board) -> Case<'a> {
        // A key for this process's channels; the eight keys after it are also used.
        let key = 0x4b00_0000 | (std::process::id() as i32 & 0xf_ffff) << 4;
        let scene = operation.scene(case, key, board);
        Case { operation, scene, before: kernel::marked(), times: Times::default(), strayed: 0 }
    }

    pub fn name(&self) -> String {
        format!(
            "{} ({}, other side {:?})",
            self.operation.name, self.scene.state.name, self.scene.other
        )
    }

    /// Makes the channel and starts the two processes.
    pub fn start(&mut self) -> Result<Pair, Violation> {
        self.scene.prepare();
        // A fellow joins after the victim has its slots and messages in flight.
        let late = self.scene.other == Other::Fellow;
        let mut peer = if late { None } else { Peer::start(&self.scene) };
        let (operation, scene) = (self.operation, &self.scene);
        let victim = match Stepper::start(|| operation.run_as_victim(scene)) {
            Ok(victim) => victim,
            Err(stop) => {
                return no(Kind::Broken, format!("the victim did not get to its start: {stop:?}"));
            }
        };
        if late {
            peer = Peer::start(scene);
        } else if let Some(peer) = &peer {
            // The victim's joining has woken it.
            peer.settle(scene);
        }
        Ok(Pair { victim, peer })
    }

    /// Starts a victim and walks it to its end. Returns its trace.
    pub fn record(&mut self) -> Result<Way, Violation> {
        let mut pair = self.start()?;
        let way = self.record_from(&mut pair)?;
        let board = &self.scene.board;
        if board.victim.get() != victim::SUCCEEDED {
            return no(Kind::Broken, format!("the victim fails: {}", board.victim_text.get()));
        }
        self.kill(pair)?;
        Ok(way)
    }

    /// Walks a victim to its end. Returns its trace.
    pub fn record_from(&self, pair: &mut Pair) -> Result<Way, Violation> {
        let mut way = Way::default();
        let asleep = &mut self.asleep();
        loop {
            way.push(pair.victim.place());
            if way.len() > TOO_LONG {
                return no(
                    Kind::Broken,
                    format!("the operation does not end within {TOO_LONG} instructions"),
                );
            }
            let mut stop = pair.victim.step(asleep);
            while stop == Stop::Asleep {
                way.sleeps = true;
                self.wake(pair);
                stop = pair.victim.wait(asleep);
            }
            match stop {
                Stop::There => {}
                Stop::Marked => return Ok(way),
                stop => {
                    return no(Kind::Broken, format!("after {} instructions: {stop:?}", way.len()));
                }
            }
        }
    }

    /// Starts a victim and kills it at a point of its trace.
    pub fn kill_at(&mut self, way: &Way, point: Point) -> Result<(), Violation> {
        // A victim that runs to a landmark arrives earlier than one that is stepped, and may take
        // another branch.
        for pace in [Pace::Run, Pace::Walk] {
            let mut pair = self.start()?;
            let there = self.bring(&mut pair, way, point, pace)?;
            self.kill(pair)?;
            if there {
                return Ok(());
            }
        }
        self.strayed += 1;
        Ok(())
    }

    /// Brings the victim to a point of its trace. Returns false if it reaches its end instead.
    pub fn bring(
        &self,
        pair: &mut Pair,
        way: &Way,
        point: Point,
        pace: Pace,
    ) -> Result<bool, Violation> {
        let asleep = &mut self.asleep();
        let (mut at, mut stop) = match (point, pace) {
            (Point::Asleep, _) => (0, pair.victim.run(asleep)),
            (Point::After(_), Pace::Walk) => (0, Stop::There),
            (Point::After(n), Pace::Run) => match way.landmark(n) {
                Some((0, _)) => (0, Stop::There),
                Some((landmark, place)) => (landmark, pair.victim.run_to(place, asleep)),
                None => (way.len(), pair.victim.run(asleep)),
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
                Stop::Marked => return Ok(point == Point::After(way.len())),
                stop => return no(Kind::Broken, format!("before the crash point: {stop:?}")),
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
        if self.scene.flavor == Flavor::Many {
            let mut survivor = many::verify::Survivor::new(&self.scene, &self.before, moment);
            let result = survivor.check(self.operation.after, peer);
            self.times.take(survivor.times);
            return result;
        }
        let mut survivor = Survivor::new(&self.scene, &self.before, moment);
        let result = survivor.check(self.operation.after, peer);
        self.times.take(survivor.times);
        result
    }

    /// Returns whether the victim sleeps, according to the kernel.
    pub fn asleep(&self) -> impl FnMut() -> bool + use<> {
        let (other, side) = (self.scene.other, self.scene.side);
        let set = kernel::set(self.scene.key).filter(|_| other == Other::Late);
        move || set.is_some_and(|set| kernel::asleep(set, side))
    }

    pub fn wake(&self, pair: &Pair) {
        pair.peer.as_ref().expect("a late peer").order(&self.scene, order::WAKE);
    }

    /// After a violation, removes whatever is left, so that the next case starts from a clean
    /// state.
    pub fn clean_up(&self) {
        for key in self.scene.key..self.scene.key + 8 {
            if let Some(segment) = kernel::segment(key) {
                kernel::remove_segment(segment);
            }
            if let Some(set) = kernel::set(key) {
                kernel::remove_set(set);
            }
        }
        // The next check reports what this cannot remove.
        let _ = sysvring::reap();
    }
}

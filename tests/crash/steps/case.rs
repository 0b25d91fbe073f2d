//! One victim, from its birth to what its survivors find.

use sysvring_support::board::now_ns;
use sysvring_support::step::{Stepper, Stop};

use crate::steps::board::{Board, victim};
use crate::steps::kernel;
use crate::steps::load::State;
use crate::steps::many;
use crate::steps::operations::Operation;
use crate::steps::peer::{Peer, order};
use crate::steps::scene::{Flavor, Other, Scene};
use crate::steps::verify::Survivor;
use crate::steps::violation::{Kind, Moment, Times, Violation, no};
use crate::steps::way::Way;

/// Where the victim is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After so many instructions of its operation.
    After(usize),
    /// While it sleeps in the kernel.
    Asleep,
}

/// How the victim gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In one go to the last landmark.
    Run,
    /// Instruction by instruction.
    Walk,
}

/// Longer ways than any operation's: something goes round in circles.
const TOO_LONG: usize = 1_000_000;

/// One operation in one of its cases.
pub struct Case<'a> {
    pub operation: &'a Operation,
    pub scene: Scene,
    /// What was in the kernel's tables before.
    pub before: Vec<String>,
    pub times: Times,
    /// Victims that took another way and came to its end too early.
    pub strayed: usize,
}

/// A victim at the start of its operation, and its peer.
pub struct Pair {
    pub victim: Stepper,
    pub peer: Option<Peer>,
}

impl<'a> Case<'a> {
    pub fn new(operation: &'a Operation, case: (State, Other), board: Board) -> Case<'a> {
        // A key for this process' channels, and eight behind it.
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

    /// Makes the channel and starts the two.
    pub fn start(&mut self) -> Result<Pair, Violation> {
        self.scene.prepare();
        // A fellow comes when the victim has all in hand.
        let late = self.scene.other == Other::Fellow;
        let mut peer = if late { None } else { Peer::start(&self.scene) };
        let (operation, scene) = (self.operation, &self.scene);
        let victim = match Stepper::start(|| operation.suffer(scene)) {
            Ok(victim) => victim,
            Err(stop) => {
                return no(Kind::Broken, format!("the victim did not get to its start: {stop:?}"));
            }
        };
        if late {
            peer = Peer::start(scene);
        } else if let Some(peer) = &peer {
            // It was woken by the victim's coming.
            peer.settle(scene);
        }
        Ok(Pair { victim, peer })
    }

    /// A victim that is walked to its end: its way.
    pub fn record(&mut self) -> Result<Way, Violation> {
        let mut pair = self.start()?;
        let way = self.record_from(&mut pair)?;
        let board = &self.scene.board;
        if board.victim.get() != victim::SUCCEEDED {
            return no(Kind::Broken, format!("it fails: {}", board.victim_text.get()));
        }
        self.kill(pair)?;
        Ok(way)
    }

    /// Walks a victim to its end: its way.
    pub fn record_from(&self, pair: &mut Pair) -> Result<Way, Violation> {
        let mut way = Way::default();
        let asleep = &mut self.asleep();
        loop {
            way.push(pair.victim.place());
            if way.len() > TOO_LONG {
                return no(
                    Kind::Broken,
                    format!("its end does not come in {TOO_LONG} instructions"),
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

    /// A victim that is killed at a point of its way.
    pub fn kill_at(&mut self, way: &Way, point: Point) -> Result<(), Violation> {
        // Who runs to a landmark is earlier there than who walked, and may meet other things.
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

    /// Brings the victim to a point of its way. False when it comes to the end instead.
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
                stop => return no(Kind::Broken, format!("on its way: {stop:?}")),
            }
        }
    }

    /// Kills the victim where it is, and looks at what it leaves.
    pub fn kill(&mut self, pair: Pair) -> Result<(), Violation> {
        let begun = now_ns();
        pair.victim.kill();
        let moment = Moment::since(begun, pair.peer.as_ref());
        self.survive(pair.peer, moment)
    }

    /// Looks at what is there now that the victim is gone.
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

    /// Whether the victim sleeps, asked of the kernel.
    pub fn asleep(&self) -> impl FnMut() -> bool + use<> {
        let (other, side) = (self.scene.other, self.scene.side);
        let set = kernel::set(self.scene.key).filter(|_| other == Other::Late);
        move || set.is_some_and(|set| kernel::asleep(set, side))
    }

    pub fn wake(&self, pair: &Pair) {
        pair.peer.as_ref().expect("a late peer").order(&self.scene, order::WAKE);
    }

    /// After a violation: takes away whatever is left, so that the next case starts well.
    pub fn clean_up(&self) {
        for key in self.scene.key..self.scene.key + 8 {
            if let Some(segment) = kernel::segment(key) {
                kernel::remove_segment(segment);
            }
            if let Some(set) = kernel::set(key) {
                kernel::remove_set(set);
            }
        }
        // What it cannot remove is found by the next check.
        let _ = sysvring::reap();
    }
}

//! The operations of victims, in the table that all tests of this suite use.

mod life;
pub mod many;
mod moving;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Lifetime, Redelivery, mpmc};
use sysvring_support::step;

use crate::steps::controls::Raw;
use crate::steps::kernel::Side;
use crate::steps::ledger::VICTIM;
use crate::steps::messages::{Load, State, load};
use crate::steps::peer::Peer;
use crate::steps::report::{Board, victim};
use crate::steps::scenario::{Before, Flavor, Other, Scene};
use crate::steps::verify::Survivor;
use crate::steps::violation::Violation;

/// What the victim has when its operation begins.
pub enum End {
    Nothing,
    Sender(Sender<Load>),
    Receiver(Receiver<Load>),
    ManySender(mpmc::Sender<Load>),
    ManyReceiver(mpmc::Receiver<Load>),
    /// A claimed slot.
    Lent(mpmc::Loan<'static, Load>),
    /// Unacknowledged messages.
    Held(Vec<mpmc::Guard<'static, Load>>),
    /// No handle at all.
    Raw(Raw),
}

/// The same, with everything that can be prepared before the walk.
pub struct Hands {
    pub end: End,
    /// The next messages to send.
    pub loads: Vec<Load>,
    pub got: Vec<Load>,
}

impl Hands {
    fn new(end: End) -> Hands {
        let next = match &end {
            End::Sender(tx) => tx.position(),
            End::ManySender(_) | End::Lent(_) => VICTIM,
            _ => 0,
        };
        let loads = (0..4).map(|n| load(next.wrapping_add(n))).collect();
        Hands { end, loads, got: Vec::with_capacity(8) }
    }

    fn tx(&mut self) -> &mut Sender<Load> {
        let End::Sender(tx) = &mut self.end else { panic!("the victim is not a sender") };
        tx
    }

    fn many_tx(&self) -> &mpmc::Sender<Load> {
        let End::ManySender(tx) = &self.end else { panic!("the victim is not a sender") };
        tx
    }

    fn many_rx(&self) -> &mpmc::Receiver<Load> {
        let End::ManyReceiver(rx) = &self.end else { panic!("the victim is not a receiver") };
        rx
    }

    fn rx(&mut self) -> &mut Receiver<Load> {
        let End::Receiver(rx) = &mut self.end else { panic!("the victim is not a receiver") };
        rx
    }
}

/// What must hold once the victim is dead.
#[derive(Clone, Copy)]
pub enum After {
    /// The peer wakes, the stream is consistent, and the channel can be used and removed.
    Stream,
    /// The same, but the peer may not have noticed that the victim joined. Then a survivor can
    /// serve it.
    Coming,
    /// The channel, which ends with its last member, is consistent or gone.
    Gone,
    /// What `reap` removes is gone after the next `reap`.
    Reap,
    /// The channel of the peer is consistent or removed, and the next one can be opened.
    Removed,
    /// The channel of the peer is consistent or removed, and what is left can be removed.
    RemovedAgain,
    /// MPMC: the check is what a survivor finds that does no recovery.
    Unrepaired,
    /// The check is this function.
    By(fn(&mut Survivor<'_>, Option<Peer>) -> Result<(), Violation>),
}

/// An operation, and the cases in which it is walked.
pub struct Operation {
    pub name: &'static str,
    pub flavor: Flavor,
    /// The victim's side; its peer has the other one.
    pub side: Side,
    pub before: Before,
    pub lifetime: Lifetime,
    /// MPMC: what becomes of a dead receiver's messages.
    pub redelivery: Redelivery,
    pub setup: fn(&Scene) -> End,
    /// The part that is walked. Returns the text of an error.
    pub act: fn(&Scene, &mut Hands) -> Result<(), String>,
    pub after: After,
    pub cases: &'static [(State, Other)],
}

/// The defaults for operations on an existing channel.
pub const OPERATION: Operation = Operation {
    name: "",
    flavor: Flavor::One,
    side: Side::Sender,
    before: Before::Channel,
    lifetime: Lifetime::Kept,
    redelivery: Redelivery::UpTo(16),
    setup: nothing,
    act: |_, _| Ok(()),
    after: After::Stream,
    cases: &[],
};

fn nothing(_: &Scene) -> End {
    End::Nothing
}

fn sender(scene: &Scene) -> End {
    End::Sender(scene.sender())
}

fn receiver(scene: &Scene) -> End {
    End::Receiver(scene.receiver())
}

/// Returns all operations.
pub fn all() -> Vec<Operation> {
    let mut all = moving::operations();
    all.extend(life::operations());
    all.extend(many::operations());
    all
}

/// Returns the operation of this name.
pub fn find(name: &str) -> Operation {
    find_in(all(), name)
}

fn find_in(all: Vec<Operation>, name: &str) -> Operation {
    all.into_iter()
        .find(|o| o.name == name)
        .unwrap_or_else(|| panic!("there is no operation {name}"))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Operation {
    /// Returns the cases to walk. Unoptimised traces are ten to twenty times as long, so there only
    /// some cases are walked.
    pub fn walked(&self) -> impl Iterator<Item = (State, Other)> + use<> {
        let every = if cfg!(debug_assertions) { 4 } else { 1 };
        self.cases.iter().copied().step_by(every)
    }

    /// Returns a scene of a case.
    pub fn scene(&self, (state, other): (State, Other), key: i32, board: Board) -> Scene {
        let Operation { flavor, side, before, lifetime, redelivery, .. } = *self;
        let segment = -1;
        Scene { flavor, key, board, state, other, before, lifetime, redelivery, side, segment }
    }

    /// Runs the victim.
    pub fn run_as_victim(&self, scene: &Scene) {
        let mut hands = Hands::new((self.setup)(scene));
        step::mark();
        let result = (self.act)(scene, &mut hands);
        match result {
            Ok(()) => scene.board.victim.set(victim::SUCCEEDED),
            Err(text) => {
                scene.board.victim_text.set(&text);
                scene.board.victim.set(victim::FAILED);
            }
        }
        if scene.board.traced.get() != 0 {
            step::mark();
        }
    }
}

//! The operations of victims, in the table that all tests of this suite use.

mod finishing;
mod in_sets;
mod lifecycle;
mod receiving;
mod recovery;
mod sending;
mod untyped;

pub use in_sets::{InSet, recv_by_waits, send_by_waits};
pub use receiving::{letters_are_complete, receive_all};

use sysvring::{Lifetime, Redelivery, mpmc};
use sysvring_support::single_step;

use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::ledger::VICTIM;
use crate::steps::messages::{Message, State, message};
use crate::steps::peer::Peer;
use crate::steps::raw_member::Raw;
use crate::steps::report::{Shared, victim};
use crate::steps::scenario::{Before, Other, Scenario};
use crate::steps::verify::Survivor;
use crate::steps::violation::Violation;

/// The handle that the victim has.
pub enum Handle {
    Nothing,
    Tx(Tx),
    Rx(Rx),
    /// An untyped sender, and what it sends.
    UntypedTx(sysvring::untyped::Sender, Message),
    UntypedRx(sysvring::untyped::Receiver),
    /// A claimed slot.
    Loan(mpmc::Loan<'static, Message>),
    /// Unacknowledged messages.
    Guards(Vec<mpmc::Guard<'static, Message>>),
    /// A receiver in a wait set.
    InSet(Box<InSet>),
    /// No handle at all.
    Raw(Raw),
}

/// What the victim has, with everything that can be prepared before its operation.
pub struct Victim {
    pub handle: Handle,
    /// The next messages to send.
    pub messages: Vec<Message>,
    pub got: Vec<Message>,
}

impl Victim {
    fn new(handle: Handle) -> Victim {
        let next = match &handle {
            Handle::Tx(tx) => tx.position().unwrap_or(VICTIM),
            _ => VICTIM,
        };
        let messages = (0..4).map(|n| message(next.wrapping_add(n))).collect();
        Victim { handle, messages, got: Vec::with_capacity(8) }
    }

    fn tx(&mut self) -> &mut Tx {
        let Handle::Tx(tx) = &mut self.handle else { panic!("the victim is not a sender") };
        tx
    }

    fn rx(&mut self) -> &mut Rx {
        let Handle::Rx(rx) = &mut self.handle else { panic!("the victim is not a receiver") };
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
    /// The check is this function.
    By(fn(&mut Survivor<'_>, Option<Peer>) -> Result<(), Violation>),
}

/// The part of an operation during which the victim dies. Returns the text of an error.
pub type Act = fn(&Scenario, &mut Victim) -> Result<(), String>;

pub type Cases = &'static [(State, Other)];

/// An operation, and the cases in which the victim dies.
#[derive(Clone, Copy)]
pub struct Operation {
    /// The call, and what is special about it.
    pub call: &'static str,
    pub flavor: Flavor,
    /// The victim's side; its peer has the other one.
    pub side: Side,
    pub before: Before,
    pub lifetime: Lifetime,
    /// What becomes of messages that are not acknowledged.
    pub redelivery: Redelivery,
    /// Whether it makes message queues.
    pub has_queues: bool,
    pub setup: fn(&Scenario) -> Handle,
    pub act: Act,
    pub after: After,
    pub cases: Cases,
}

/// The defaults for operations on an existing channel.
pub const OPERATION: Operation = Operation {
    call: "",
    flavor: Flavor::Spsc,
    side: Side::Sender,
    before: Before::Channel,
    lifetime: Lifetime::Kept,
    redelivery: Redelivery::Unlimited,
    has_queues: false,
    setup: |_| Handle::Nothing,
    act: |_, _| Ok(()),
    after: After::Stream,
    cases: &[],
};

/// Opens a handle of the victim's side. In half of the states of MPMC channels, survivors do not
/// get the victim's seat: they check whether its holder is dead when they encounter what it left.
/// In the others, its next holder cleans up.
fn seated(scenario: &Scenario) -> Handle {
    let _company = company(scenario);
    reach(scenario, How::Open).expect("a seat")
}

/// Takes the seats that the victim is not to get.
fn company(scenario: &Scenario) -> Vec<Handle> {
    let apart = scenario.flavor == Flavor::Mpmc && scenario.state.base != 0;
    let open = |_| reach(scenario, How::Open).expect("a seat");
    (0..if apart { 2 } else { 0 }).map(open).collect()
}

fn reach(scenario: &Scenario, how: How) -> Result<Handle, sysvring::Error> {
    match scenario.side {
        Side::Sender => scenario.tx(how).map(Handle::Tx),
        Side::Receiver => scenario.rx(how).map(Handle::Rx),
    }
}

/// Returns all operations.
pub fn all() -> Vec<Operation> {
    let of = |flavor| {
        [
            sending::operations(flavor),
            receiving::operations(flavor),
            lifecycle::operations(flavor),
            finishing::operations(flavor),
            in_sets::operations(flavor),
            untyped::operations(flavor),
        ]
    };
    let mut all = [of(Flavor::Spsc), of(Flavor::Mpmc)].concat().concat();
    all.extend(recovery::operations());
    all
}

/// Returns the operation of this name.
pub fn find(name: &str) -> Operation {
    find_in(all(), name)
}

fn find_in(all: Vec<Operation>, name: &str) -> Operation {
    let found = all.into_iter().find(|operation| operation.name() == name);
    found.unwrap_or_else(|| panic!("there is no operation {name}"))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Operation {
    pub fn name(&self) -> String {
        match self.flavor {
            Flavor::Spsc => self.call.into(),
            Flavor::Mpmc => format!("mpmc_{}", self.call),
        }
    }

    /// Returns the cases to try: only some without optimisation, where traces are ten to twenty times
    /// as long.
    pub fn cases_to_try(&self) -> impl Iterator<Item = (State, Other)> + use<> {
        let every = if cfg!(debug_assertions) { 4 } else { 1 };
        self.cases.iter().copied().step_by(every)
    }

    /// Returns the scenario of a case.
    pub fn scenario(&self, (state, other): (State, Other), key: i32, shared: Shared) -> Scenario {
        let Operation { flavor, side, before, lifetime, redelivery, .. } = *self;
        Scenario {
            flavor,
            key,
            shared,
            state,
            other,
            before,
            lifetime,
            redelivery,
            side,
            segment: -1,
            has_queues: self.has_queues || other.is_armed(),
        }
    }

    /// Runs the victim.
    pub fn run_as_victim(&self, scenario: &Scenario) {
        scenario.shared.victim_pid.set(std::process::id().into());
        let mut own = Victim::new((self.setup)(scenario));
        single_step::mark();
        let result = (self.act)(scenario, &mut own);
        match result {
            Ok(()) => scenario.shared.victim.set(victim::SUCCEEDED),
            Err(text) => {
                scenario.shared.victim_text.set(&text);
                scenario.shared.victim.set(victim::FAILED);
            }
        }
        if scenario.shared.traced.get() != 0 {
            single_step::mark();
        }
    }
}

//! One vocabulary for everything that can be done to a channel, for tests that try it in any order.
//!
//! An [`Op`] is decoded from three bytes, so that a property test and a fuzzer use the same ones.
//! [`run`] makes a [`World`] execute them one after another. An [`Oracle`], a plain queue that
//! records the owner of each message, decides for every answer whether it is possible. Worlds are a
//! ring on the heap, handles in this process ([`here`]) and handles in processes that are killed
//! ([`processes`]).

pub mod here;
pub mod members;
mod oracle;
pub mod processes;
mod raw;
mod words;

pub use oracle::{Holds, Oracle, Rules, Slot};
pub use sysvring::Flavor;

/// What a member does. `sysvring::Role` may get more variants, which a test must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Receiver,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Sender => Side::Receiver,
            Side::Receiver => Side::Sender,
        }
    }
}

/// One operation. A number selects a member among those that its side has at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Join(Side),
    Leave(Side, u8),
    /// A sender finishes.
    Finish(u8),
    /// A member dies, in a world that supports it at this step of sending or receiving.
    Die(Side, u8, u8),
    /// A member of that side makes this call. If there is none, one joins instead.
    Call(Side, u8, Call),
}

/// What one member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub what: What,
    /// A number of messages, or an index.
    pub n: u8,
    /// Whether the call has a timeout of zero instead of its `try_` form, so that it does a
    /// liveness check.
    pub timed: bool,
}

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Send,
    SendBatch,
    Loan,
    Commit,
    Abandon,
    Flush,
    Receive,
    ReceiveInto,
    ReceiveBoxed,
    ReceiveBatch,
    Lend,
    Acknowledge,
    /// Without an acknowledgement.
    Return,
    Look,
    Deaths,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// A loan at this position, if the position is known.
    Lent(Option<u64>),
    /// The number of messages sent of a batch, and why not more were sent.
    Sent(u64, Option<No>),
    Message {
        number: u64,
        position: Option<u64>,
        deliveries: Option<u8>,
    },
    Messages(Vec<u64>),
    View(View),
    /// The seats of the dead members.
    Deaths(Vec<u64>),
    No(No),
}

/// Why a call had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// The channel was full or empty, or the timeout expired.
    Nothing,
    /// A living member holds the slot.
    Behind,
    Disconnected,
    NoSeat,
}

/// What a member sees of its channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub len: u64,
    /// Depth, redelivered, dropped, discarded as poison, whether the stream is open (0), finished or
    /// ended, and the lost senders, if the channel has a header.
    pub counts: Option<[u64; 6]>,
    /// For each seat: 0 never taken, 1 a sender, 2 a receiver, 3 left, 4 died.
    pub seats: Vec<u64>,
}

impl Call {
    /// Returns the number of messages of a batch.
    pub fn many(&self) -> u64 {
        u64::from(self.n % 12)
    }

    /// Returns an index below `of`.
    pub fn which(&self, of: usize) -> usize {
        usize::from(self.n) % of.max(1)
    }
}

impl From<[u8; 3]> for Op {
    fn from([kind, who, n]: [u8; 3]) -> Op {
        use Side::{Receiver, Sender};

        let (timed, who) = (who & 0x80 != 0, who & 0x7f);
        let call = |side, what| Op::Call(side, who, Call { what, n, timed });
        match kind % 72 {
            0..=9 => call(Sender, What::Send),
            10..=17 => call(Receiver, What::Receive),
            18..=21 => call(Sender, What::SendBatch),
            22..=25 => call(Receiver, What::ReceiveBatch),
            26..=31 => call(Receiver, What::Lend),
            32..=35 => call(Receiver, What::Acknowledge),
            36..=40 => call(Sender, What::Loan),
            41..=44 => call(Sender, What::Commit),
            45..=46 => call(Sender, What::Abandon),
            47..=48 => call(Receiver, What::ReceiveInto),
            49..=50 => call(Receiver, What::ReceiveBoxed),
            51 => call(Receiver, What::Return),
            52..=53 => call(Sender, What::Flush),
            54 => call(Sender, What::Look),
            55 => call(Receiver, What::Look),
            56 => call(Sender, What::Deaths),
            57 => call(Receiver, What::Deaths),
            58..=60 => Op::Join(Sender),
            61..=63 => Op::Join(Receiver),
            64 => Op::Leave(Sender, who),
            65 => Op::Finish(who),
            66..=67 => Op::Leave(Receiver, who),
            68..=69 => Op::Die(Sender, who, n),
            _ => Op::Die(Receiver, who, n),
        }
    }
}

/// Something that executes operations. The caller assigns the numbers of members.
pub trait World {
    /// Returns [`Answer::Done`], or why the member could not join.
    fn join(&mut self, id: u32, side: Side) -> Answer;

    /// `number` is the message to send, or the first of them.
    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer;

    /// Makes a member return everything and leave.
    fn leave(&mut self, id: u32);

    /// Makes a sender return everything and finish. Members of a bare ring do not know of each
    /// other, so it is the same.
    fn finish(&mut self, id: u32) {
        self.leave(id);
    }

    /// Makes a member die with its messages in flight. With `during`, it dies at that step of this
    /// call, if the world supports it, and the result tells how far the call got.
    fn die(&mut self, id: u32, during: Option<(u32, Call, u64)>) -> Progress;

    /// Returns whether members can die in this world.
    fn is_mortal(&self) -> bool;

    /// Returns the slots of an MPMC ring, if they can be seen, in the order of their indices.
    fn inside(&self) -> Option<Inside> {
        None
    }
}

/// What an MPMC ring holds, with positions counted from its first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    pub slots: Vec<Slot>,
    /// Where a new sender starts.
    pub hint: u64,
}

/// How far a call got that ended in a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The call had no visible effect.
    None,
    /// It claimed a slot or took a message.
    Begun,
    /// It sent or acknowledged the message.
    Finished,
}

/// Executes all operations, and lets the oracle check every answer. At the end, all remaining
/// messages are received.
pub fn run(world: &mut impl World, rules: Rules, ops: &[Op]) {
    let mut oracle = Oracle::new(rules);
    let mut number = 0;
    for op in ops {
        number += 100;
        match *op {
            Op::Join(side) => join(world, &mut oracle, side),
            Op::Leave(side, who) => {
                if let Some(id) = oracle.pick(side, who) {
                    world.leave(id);
                    oracle.leave(id);
                }
            }
            Op::Finish(who) => {
                if let Some(id) = oracle.pick(Side::Sender, who) {
                    world.finish(id);
                    oracle.finish(id);
                }
            }
            Op::Die(side, who, step) => {
                if let Some(id) = oracle.pick(side, who).filter(|_| world.is_mortal()) {
                    let during = oracle.last_call(id, side, step).map(|(s, c)| (s, c, number));
                    let progress = world.die(id, during);
                    oracle.die(id, during.map(|(_, call, number)| (call, number)), progress);
                    check_inside(world, &mut oracle, true);
                }
            }
            Op::Call(side, who, call) => match oracle.pick(side, who) {
                None => join(world, &mut oracle, side),
                Some(id) => {
                    if let Some(call) = oracle.possible(id, call) {
                        let answer = world.call(id, call, number);
                        oracle.check(id, call, number, &answer);
                    }
                }
            },
        }
        check_inside(world, &mut oracle, false);
    }
    drain(world, &mut oracle);
}

/// Compares the slots, if the world shows them. After a death in the middle of a call, the oracle
/// learns how far the call came.
fn check_inside(world: &impl World, oracle: &mut Oracle, died: bool) {
    if let Some(inside) = world.inside() {
        oracle.check_inside(&inside, died);
    }
}

fn join(world: &mut impl World, oracle: &mut Oracle, side: Side) {
    let id = oracle.next_id();
    let answer = world.join(id, side);
    oracle.check_join(id, side, &answer);
}

/// One receiver receives all remaining messages.
fn drain(world: &mut impl World, oracle: &mut Oracle) {
    // The last member to leave would remove a channel without a key.
    let stays = oracle.pick(Side::Receiver, 0).or(oracle.pick(Side::Sender, 0));
    for id in oracle.all().into_iter().filter(|id| Some(*id) != stays) {
        world.leave(id);
        oracle.leave(id);
    }
    if oracle.pick(Side::Receiver, 0).is_none() {
        join(world, oracle, Side::Receiver);
    }
    if let Some(id) = oracle.pick(Side::Sender, 0) {
        world.leave(id);
        oracle.leave(id);
    }
    let id = oracle.pick(Side::Receiver, 0).expect("a seat is free");
    while oracle.has_lent(id) {
        call(world, oracle, id, What::Acknowledge);
    }
    while let Answer::Message { .. } = call(world, oracle, id, What::Receive) {}
    call(world, oracle, id, What::Look);
    assert!(oracle.is_empty(), "some messages were never delivered: {oracle:?}");
    world.leave(id);
}

fn call(world: &mut impl World, oracle: &mut Oracle, id: u32, what: What) -> Answer {
    let call = Call { what, n: 0, timed: true };
    let answer = world.call(id, call, 0);
    oracle.check(id, call, 0, &answer);
    answer
}

//! What exists when the victim starts.

use std::time::Duration;

use sysvring::{Lifetime, Options};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{self, MARKED, Segment, create_segment, create_set};

use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::scenario::{Before, MEMBERS, Scenario};
use crate::steps::slots;

/// The number of messages that a dead receiver has in flight.
const HELD: u64 = 2;

/// A segment of the smallest size, and the number of semaphores of an SPSC channel.
const BYTES: usize = 8192;
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT + 2;

impl Scenario {
    /// Makes what exists when the victim starts.
    pub fn prepare(&mut self) {
        self.shared.clear();
        match self.before {
            Before::Nothing | Before::Private => {}
            Before::Channel | Before::Dead(..) | Before::Died | Before::Ended => {
                self.make_channel()
            }
            Before::WithoutSet => {
                self.make_channel();
                let set = raw_ipc::set_of(self.key).expect("a set");
                raw_ipc::remove_set(set).expect("IPC_RMID");
            }
            Before::HalfMade => {
                make_set(self.key);
                make_segment(self.key);
            }
            Before::Leftovers => {
                self.make_channel();
                self.leave_things();
            }
        }
    }

    /// Makes the channel, with its messages and what the dead members left.
    fn make_channel(&mut self) {
        let kept = self.options().lifetime(Lifetime::Kept);
        drop(Tx::reach(self.flavor, How::Create, kept).expect("a new channel"));
        self.segment = raw_ipc::segment_of(self.key).expect("a segment");
        let memory = Segment::attach(self.segment).expect("shmat");
        slots::move_to(&memory, self.flavor, self.state);
        let open = || self.tx(How::Open).expect("a sender");
        match self.before {
            Before::Dead(Side::Sender, seat) => {
                let company: Vec<Tx> = (0..seat).map(|_| open()).collect();
                self.leave_dead(|| {
                    let Tx::Mpmc(tx) = open() else { unreachable!("an MPMC channel") };
                    let loan = tx.loan().expect("a free slot");
                    for _ in 1..self.state.fill {
                        tx.try_send(&self.shared.ledger.next_old()).expect("a free slot");
                    }
                    self.wait_for_death();
                    drop(loan);
                });
                drop(company);
            }
            Before::Dead(Side::Receiver, seat) => {
                self.fill(&mut open(), self.state.fill);
                let company: Vec<Tx> = (0..seat).map(|_| open()).collect();
                self.leave_dead(|| {
                    let Ok(Rx::Mpmc(rx)) = self.rx(How::Open) else {
                        unreachable!("an MPMC channel")
                    };
                    let n = HELD.min(self.state.fill);
                    let held: Vec<_> = (0..n).map(|_| rx.recv_ref().expect("a message")).collect();
                    self.shared.ledger.orphans.set(n);
                    self.wait_for_death();
                    drop(held);
                });
                drop(company);
            }
            Before::Died => {
                self.fill(&mut open(), self.state.fill);
                self.leave_dead(|| {
                    let _tx = open();
                    self.wait_for_death();
                });
            }
            Before::Ended => {
                let mut tx = open();
                self.fill(&mut tx, self.state.fill);
                tx.finish().expect("finish");
            }
            _ => self.fill(&mut open(), self.state.fill),
        }
    }

    fn fill(&self, tx: &mut Tx, n: u64) {
        (0..n).for_each(|_| assert!(self.shared.ledger.send_old(tx), "no free slot"));
    }

    /// Leaves one of everything that `reap` removes.
    fn leave_things(&self) {
        make_set(self.key + 1);
        make_set(self.key + 2);
        make_segment(self.key + 2);
        make_segment(self.key + 3);
        // Killed members of channels that end with their last member.
        let named = |n| Options::key(self.key + n).lifetime(Lifetime::LastMember);
        for (flavor, options) in [
            (Flavor::Spsc, named(4)),
            (Flavor::Spsc, Options::private()),
            (Flavor::Mpmc, named(5).max_members(MEMBERS)),
            (Flavor::Mpmc, Options::private().max_members(MEMBERS)),
        ] {
            self.leave_dead(|| {
                let _member = Tx::reach(flavor, How::Open, options).expect("open");
                self.wait_for_death();
            });
        }
    }

    /// Starts a process that joins a channel, and kills it where it waits for death.
    fn leave_dead(&self, life: impl FnOnce()) {
        let mut member = Fork::start(life);
        while self.shared.order.get() == 0 {
            std::thread::yield_now();
        }
        member.kill_and_wait();
        self.shared.order.set(0);
    }

    fn wait_for_death(&self) {
        self.shared.order.set(1);
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Makes a set as a creator does.
fn make_set(key: i32) {
    create_set(key, SEMAPHORES, MARKED).expect("semget");
}

/// Makes a segment as a creator does. It is still all zero.
fn make_segment(key: i32) {
    create_segment(key, BYTES, MARKED).expect("shmget");
}

//! What must hold in an MPMC channel after the victim's death, as a survivor finds it.

use std::time::Duration;

use sysvring::mpmc::{Receiver, Sender};
use sysvring::{Lifetime, RecvError, SendError};
use sysvring_support::ipc;

use super::MEMBERS;
use crate::steps::account::Got;
use crate::steps::common_checks::{nothing_left, opened};
use crate::steps::kernel::{self, Memory, Side};
use crate::steps::ledger::SURVIVOR;
use crate::steps::messages::{CAPACITY, Load, load};
use crate::steps::operations::After;
use crate::steps::peer::Peer;
use crate::steps::report::peer;
use crate::steps::scenario::{Before, Other, Scene};
use crate::steps::slots;
use crate::steps::violation::{Kind, Moment, Times, Violation, no};

/// A survivor and its handles.
pub struct Survivor<'a> {
    pub scene: &'a Scene,
    /// What was in the kernel's tables before.
    pub before: &'a [String],
    moment: Moment,
    pub times: Times,
    pub tx: Option<Sender<Load>>,
    pub rx: Option<Receiver<Load>>,
    pub got: Vec<Got>,
}

impl<'a> Survivor<'a> {
    pub fn new(scene: &'a Scene, before: &'a [String], moment: Moment) -> Survivor<'a> {
        let times = Times::default();
        Survivor { scene, before, moment, times, tx: None, rx: None, got: Vec::new() }
    }

    /// Checks everything.
    pub fn check(&mut self, after: After, mut peer: Option<Peer>) -> Result<(), Violation> {
        self.semaphores(peer.as_ref())?;
        match after {
            After::Stream | After::Coming => {
                self.peer(after, &mut peer)?;
                self.channel(peer)
            }
            After::Gone => {
                if sysvring::stat(self.scene.address()).is_err() {
                    // The content of the channel was removed with it.
                    self.scene.board.many.clear();
                }
                self.channel(None)
            }
            After::Unrepaired => self.unrepaired(),
            After::Reap => self.reap(),
            After::Removed => self.removed(peer),
            After::RemovedAgain => self.removed_again(peer),
            After::By(_) => unreachable!("MPMC channels do not have this"),
        }?;
        nothing_left(self.before)
    }

    /// Checks that no dead process holds a semaphore that only living ones may hold.
    fn semaphores(&self, peer: Option<&Peer>) -> Result<(), Violation> {
        let Some(set) = kernel::set(self.scene.key) else { return Ok(()) };
        let values = ipc::values(set);
        let values = &values[..kernel::FIRST_SEAT + MEMBERS];
        let seats: u16 = values[kernel::FIRST_SEAT..].iter().sum();
        let sides = [Side::Sender, Side::Receiver].map(|side| values[side.count()]);
        let living = u16::from(peer.is_some());
        let dead = self.scene.side.count();
        let fellows = if self.scene.other == Other::Fellow { living } else { 0 };
        if values[kernel::LIFECYCLE] != 0 || seats > living || values[dead] > fellows {
            return no(Kind::Held, format!("the dead hold a semaphore: {values:?}"));
        }
        if values[kernel::USERS] != seats || sides.iter().sum::<u16>() != seats {
            return no(Kind::Held, format!("users and seats differ: {values:?}"));
        }
        Ok(())
    }

    /// Checks that a parked peer wakes and that its call returns the correct result.
    fn peer(&mut self, after: After, peer: &mut Option<Peer>) -> Result<(), Violation> {
        let Some(waiter) = peer.take_if(|_| self.scene.other.sleeps()) else { return Ok(()) };
        let scene = self.scene;
        let board = &scene.board;
        let returned = || board.peer.get() >= peer::SUCCEEDED;
        // The peer may not have noticed that the victim joined, or the victim may have left nothing
        // for it.
        let content = || match scene.other {
            Other::Fellow => match scene.side {
                Side::Sender => slots::is_full(&Memory::of(scene.segment)),
                Side::Receiver => !slots::holds_messages(&Memory::of(scene.segment)),
            },
            _ => matches!(after, After::Coming),
        };
        let settled = || returned() || (content() && waiter.is_asleep(scene));
        if !self.moment.is_followed_by(settled) {
            return no(Kind::Asleep, format!("the {:?} stays parked", waiter.side));
        }
        if !returned() {
            self.serve(&waiter)?;
            self.moment = Moment::now(Some(&waiter));
        }
        if !self.moment.is_followed_by(returned) {
            return no(Kind::Asleep, format!("the {:?} is still parked", waiter.side));
        }
        let wake = self.moment.until(board.peer_at.get());
        if self.moment.is_too_late(board.peer_at.get()) {
            return no(Kind::Asleep, format!("the {:?} was woken after {wake:?}", waiter.side));
        }
        self.times.wake = self.times.wake.max(wake);
        waiter.fork.finish();
        match board.peer.get() {
            peer::SUCCEEDED | peer::DISCONNECTED => Ok(()),
            how => no(Kind::Told, format!("the waiter got {how} {}", board.peer_text.get())),
        }
    }

    /// Does what a parked peer waits for.
    fn serve(&mut self, waiter: &Peer) -> Result<(), Violation> {
        self.open(waiter.side.other())?;
        match &self.tx {
            Some(tx) => {
                tx.try_send(&load(SURVIVOR)).or_else(|e| no(Kind::Broken, format!("sending: {e}")))
            }
            // It may be running by now. Its messages become available when it is gone.
            None => self.receive(Some(RecvError::Blocked { pid: waiter.fork.pid() })),
        }
    }

    pub fn open(&mut self, side: Side) -> Result<(), Violation> {
        let time;
        match side {
            Side::Sender if self.tx.is_none() => {
                let (tx, took) = opened(self.scene.open())?;
                (self.tx, time) = (Some(tx), took);
            }
            Side::Receiver if self.rx.is_none() => {
                let (rx, took) = opened(self.scene.open())?;
                (self.rx, time) = (Some(rx), took);
            }
            _ => return Ok(()),
        }
        self.times.open = self.times.open.max(time);
        Ok(())
    }

    /// Checks that the channel is consistent and usable, and then removes it.
    pub fn channel(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        self.open(self.scene.side)?;
        if let Some(mut peer) = peer {
            peer.fork.kill_and_wait();
        }
        self.open(self.scene.side.other())?;
        self.drain()?;
        self.account()?;
        self.usable()?;
        self.remove()
    }

    /// Receives all messages. No orphaned slot may block this.
    fn drain(&mut self) -> Result<(), Violation> {
        self.receive(None)?;
        match self.rx.as_ref().expect("open").len() {
            0 => Ok(()),
            n => no(Kind::Count, format!("{n} messages are in the ring and cannot be received")),
        }
    }

    /// Receives until the ring is empty or a living member holds the next slot.
    fn receive(&mut self, behind: Option<RecvError>) -> Result<(), Violation> {
        let rx = self.rx.as_ref().expect("open");
        loop {
            match rx.recv_ref_timeout(Duration::ZERO) {
                Ok(guard) if *guard == load(guard[0]) => self.got.push(Got {
                    number: guard[0],
                    place: guard.position().wrapping_sub(self.scene.state.base),
                    deliveries: guard.delivery_count(),
                }),
                Ok(guard) => return no(Kind::Wrong, format!("a torn message: {:x?}", *guard)),
                // A parked sender got a free slot and left.
                Err(RecvError::Timeout | RecvError::Disconnected) => return Ok(()),
                Err(error) if behind.as_ref() == Some(&error) => return Ok(()),
                Err(error) => return no(Kind::Broken, format!("receiving: {error}")),
            }
            if self.got.len() > 64 {
                return no(Kind::Count, "the number of messages exceeds what was sent");
            }
        }
    }

    /// Checks that the ring holds as many messages as it has slots, and that the slots become free
    /// again.
    pub fn usable(&self) -> Result<(), Violation> {
        let (tx, rx) = (self.tx.as_ref().expect("open"), self.rx.as_ref().expect("open"));
        for lap in 0..3 {
            for n in 0..=CAPACITY {
                match tx.try_send(&load(SURVIVOR + n)) {
                    Ok(()) if n < CAPACITY => {}
                    Err(SendError::Full) if n == CAPACITY => {}
                    other => return no(Kind::Broken, format!("lap {lap}, {n} sent: {other:?}")),
                }
            }
            for n in 0..=CAPACITY {
                match rx.try_recv() {
                    Ok(got) if n < CAPACITY && got == load(SURVIVOR + n) => {}
                    Ok(got) if n < CAPACITY => {
                        return no(Kind::Wrong, format!("lap {lap}, {n} received: {got:x?}"));
                    }
                    Err(RecvError::Empty) if n == CAPACITY => {}
                    other => {
                        return no(Kind::Broken, format!("lap {lap}, {n} received: {other:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    pub fn remove(&mut self) -> Result<(), Violation> {
        (self.tx, self.rx) = (None, None);
        if self.scene.lifetime == Lifetime::Kept && self.scene.before != Before::Private {
            sysvring::remove(self.scene.address())
                .or_else(|e| no(Kind::Left, format!("removing: {e}")))?;
        }
        Ok(())
    }

    /// Checks what a survivor receives that does no recovery.
    fn unrepaired(&mut self) -> Result<(), Violation> {
        let all = slots::drain(&Memory::of(self.scene.segment), self.scene.state.base);
        for (place, got) in (0..).zip(all) {
            if got != load(got[0]) {
                return no(Kind::Wrong, format!("a torn message: {got:x?}"));
            }
            self.got.push(Got { number: got[0], place, deliveries: 1 });
        }
        let account = self.account();
        self.remove()?;
        account
    }
}

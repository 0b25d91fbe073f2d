//! What must hold after the victim's death, as a survivor, this process, finds it.

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Lifetime, RecvError, SendError};
use sysvring_support::ipc;

use crate::steps::common_checks::{nothing_left, opened, remove_again, told_of_removal};
use crate::steps::kernel::{self, Side};
use crate::steps::messages::{CAPACITY, Load, load};
use crate::steps::operations::After;
use crate::steps::peer::Peer;
use crate::steps::report::peer;
use crate::steps::scenario::{Before, Other, Scene};
use crate::steps::violation::{Kind, Moment, Times, Violation, no};

/// A survivor and its handles.
pub struct Survivor<'a> {
    pub scene: &'a Scene,
    /// What was in the kernel's tables before.
    pub before: &'a [String],
    /// When the victim died, or when something else happened that must wake a parked waiter.
    pub moment: Moment,
    pub times: Times,
    tx: Option<Sender<Load>>,
    rx: Option<Receiver<Load>>,
}

impl<'a> Survivor<'a> {
    pub fn new(scene: &'a Scene, before: &'a [String], moment: Moment) -> Survivor<'a> {
        Survivor { scene, before, moment, times: Times::default(), tx: None, rx: None }
    }

    /// Checks everything.
    pub fn check(&mut self, after: After, mut peer: Option<Peer>) -> Result<(), Violation> {
        self.semaphores()?;
        match after {
            After::Stream | After::Coming => {
                self.peer(after, &mut peer)?;
                self.channel(peer)
            }
            After::Gone => match sysvring::stat(self.scene.address()) {
                Ok(_) => self.channel(None),
                Err(_) => self.new_channel(),
            },
            After::Reap => self.reap(),
            After::Removed => self.removed(peer),
            After::RemovedAgain => self.removed_again(peer),
            After::By(check) => check(self, peer),
            After::Unrepaired => unreachable!("only MPMC channels have this"),
        }?;
        nothing_left(self.before)
    }

    /// Checks that no dead process holds a semaphore that only living ones may hold.
    fn semaphores(&self) -> Result<(), Violation> {
        let Some(set) = kernel::set(self.scene.key) else { return Ok(()) };
        let values = ipc::values(set);
        let seats = [Side::Sender, Side::Receiver].map(|side| values[side.seat()]);
        let sides = [kernel::SENDERS, kernel::RECEIVERS].map(|n| values[n]);
        let alone = self.scene.other == Other::Nobody && values[kernel::USERS] != 0;
        if values[kernel::LIFECYCLE] != 0 || values[self.scene.side.seat()] != 0 || alone {
            return no(Kind::Held, format!("the dead hold a semaphore: {values:?}"));
        }
        if sides != seats || values[kernel::USERS] != seats.iter().sum() {
            return no(Kind::Held, format!("users and seats differ: {values:?}"));
        }
        Ok(())
    }

    /// Checks that a parked peer wakes and that its call returns the correct result.
    pub fn peer(&mut self, after: After, peer: &mut Option<Peer>) -> Result<(), Violation> {
        let Some(waiter) = peer.take_if(|_| self.scene.other == Other::Asleep) else {
            return Ok(());
        };
        let board = &self.scene.board;
        let returned = || board.peer.get() >= peer::SUCCEEDED;
        if matches!(after, After::Coming) {
            let settled = || returned() || waiter.is_asleep(self.scene);
            if !self.moment.is_followed_by(settled) {
                return no(Kind::Asleep, "the waiter neither sleeps nor returns");
            }
            if !returned() {
                self.serve()?;
                self.moment = Moment::now(Some(&waiter));
            }
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

    /// Takes the victim's seat and does what the parked peer waits for.
    fn serve(&mut self) -> Result<(), Violation> {
        self.open(self.scene.side)?;
        let board = &self.scene.board;
        if let Some(tx) = &mut self.tx {
            let next = load(tx.position());
            board.sent.begin(1);
            let sent = tx.try_send(&next);
            board.sent.end(1, sent.is_ok().into());
            return sent.or_else(|e| no(Kind::Broken, format!("sending: {e}")));
        }
        let rx = self.rx.as_mut().expect("a side");
        for _ in 0..self.scene.state.fill {
            crate::steps::peer::receive(self.scene, rx)
                .or_else(|e| no(Kind::Broken, format!("receiving: {e}")))?;
        }
        Ok(())
    }

    fn open(&mut self, side: Side) -> Result<(), Violation> {
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
    fn channel(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        // Takes the victim's seat first, while its peer is still alive.
        self.open(self.scene.side)?;
        if let Some(mut peer) = peer {
            peer.fork.kill_and_wait();
        }
        self.open(self.scene.side.other())?;
        self.stream()?;
        self.usable()?;
        self.remove()
    }

    /// Checks that the content of the channel matches what the victim and its peer reported.
    fn stream(&mut self) -> Result<(), Violation> {
        let Scene { board, state, .. } = self.scene;
        let (tx, rx) = (self.tx.as_ref().expect("open"), self.rx.as_mut().expect("open"));
        let sent = tx.position().wrapping_sub(state.base);
        let taken = rx.position().wrapping_sub(state.base);
        let inside = |n, (least, most)| least <= n && n <= most;
        if !inside(sent, board.sent.get()) || !inside(taken, board.taken.get()) || taken > sent {
            return no(
                Kind::Count,
                format!(
                    "{sent} were sent, of {:?}, and {taken} received, of {:?}",
                    board.sent.get(),
                    board.taken.get()
                ),
            );
        }
        if board.wrong.get() != 0 {
            return no(Kind::Wrong, "a message did not match its position");
        }
        if board.peer.get() == peer::DISCONNECTED
            && self.scene.side == Side::Sender
            && sent != taken
        {
            return no(Kind::Told, "the receiver got the end of the stream before all messages");
        }
        Ok(())
    }

    /// Checks that the ring holds as many messages as it has slots, and that the slots become free
    /// again.
    fn usable(&mut self) -> Result<(), Violation> {
        let (tx, rx) = (self.tx.as_mut().expect("open"), self.rx.as_mut().expect("open"));
        for lap in 0..3 {
            let there = tx.position().wrapping_sub(rx.position());
            for n in there..=CAPACITY {
                let next = load(tx.position());
                match tx.try_send(&next) {
                    Ok(()) if n < CAPACITY => {}
                    Err(SendError::Full) if n == CAPACITY => {}
                    other => return no(Kind::Broken, format!("lap {lap}, {n} sent: {other:?}")),
                }
            }
            for n in 0..=CAPACITY {
                let next = load(rx.position());
                match rx.try_recv() {
                    Ok(got) if n < CAPACITY && got == next => {}
                    Ok(got) if n < CAPACITY => {
                        return no(
                            Kind::Wrong,
                            format!("lap {lap}: {got:x?} instead of {next:x?}"),
                        );
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

    fn remove(&mut self) -> Result<(), Violation> {
        (self.tx, self.rx) = (None, None);
        if self.scene.lifetime == Lifetime::Kept && self.scene.before != Before::Private {
            sysvring::remove(self.scene.address())
                .or_else(|e| no(Kind::Left, format!("removing: {e}")))?;
        }
        Ok(())
    }

    /// Checks that nothing of the old channel exists.
    fn new_channel(&mut self) -> Result<(), Violation> {
        for side in [Side::Sender, Side::Receiver] {
            self.open(side)?;
        }
        let at = (
            self.tx.as_ref().expect("open").position(),
            self.rx.as_ref().expect("open").position(),
        );
        if at != (0, 0) {
            return no(Kind::Broken, format!("a new channel is at {at:?}"));
        }
        self.usable()?;
        self.remove()
    }

    /// Checks that one call removes what the dead left, and nothing else.
    fn reap(&mut self) -> Result<(), Violation> {
        if let Err(error) = sysvring::reap() {
            return no(Kind::Left, format!("reaping: {error}"));
        }
        match self.scene.before {
            Before::Leftovers => self.channel(None),
            _ => Ok(()),
        }
    }

    /// Checks a channel that the victim was removing, by opening it.
    fn removed(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        self.open(self.scene.side)?;
        if kernel::segment(self.scene.key) != Some(self.scene.segment) {
            told_of_removal(self.scene, peer)?;
            return self.new_channel();
        }
        // The victim did not get far: the channel is unchanged.
        match peer {
            Some(_) => self.removed_again(peer),
            None => self.channel(None),
        }
    }

    /// Checks a channel that the victim was removing, by removing it again.
    fn removed_again(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        remove_again(self.scene)?;
        told_of_removal(self.scene, peer)?;
        (self.tx, self.rx) = (None, None);
        nothing_left(self.before)?;
        self.new_channel()
    }
}

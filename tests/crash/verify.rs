//! What must hold after the victim's death, as a survivor, this process, finds it.

use std::time::Duration;

use sysvring::{Lifetime, RecvError, SendError};
use sysvring_support::raw_ipc::{self, FIRST_SEAT, LIFECYCLE, Segment, USERS};

use crate::steps::account::Got;
use crate::steps::common_checks::{nothing_left, opened};
use crate::steps::handle::{Flavor, How, Rx, Side, Tx};
use crate::steps::ledger::SURVIVOR;
use crate::steps::messages::{CAPACITY, message};
use crate::steps::operations::After;
use crate::steps::peer::Peer;
use crate::steps::report::peer;
use crate::steps::scenario::{Before, Other, Scenario};
use crate::steps::slots;
use crate::steps::violation::{Kind, Moment, Times, Violation, no};

/// A survivor and its handles.
pub struct Survivor<'a> {
    pub scenario: &'a Scenario,
    /// What was in the kernel's tables before.
    pub before: &'a [raw_ipc::Object],
    /// When the victim died, or when something else happened that must wake a parked waiter.
    moment: Moment,
    pub times: Times,
    pub tx: Option<Tx>,
    pub rx: Option<Rx>,
    /// MPMC: the messages that it received.
    pub got: Vec<Got>,
    /// The victim may have joined, and its departure may have ended the stream before the survivor sent
    /// to the peer: that message belongs to the next stream.
    pub sends_next_stream: bool,
}

impl<'a> Survivor<'a> {
    pub fn new(
        scenario: &'a Scenario,
        before: &'a [raw_ipc::Object],
        moment: Moment,
    ) -> Survivor<'a> {
        let times = Times::default();
        let (tx, rx, got) = (None, None, Vec::new());
        Survivor { scenario, before, moment, times, tx, rx, got, sends_next_stream: false }
    }

    /// Checks everything.
    pub fn check(&mut self, after: After, mut peer: Option<Peer>) -> Result<(), Violation> {
        self.semaphores(peer.as_ref())?;
        match after {
            After::Stream | After::Coming => {
                self.peer(after, &mut peer)?;
                self.channel(peer)
            }
            After::Gone => match sysvring::stat(self.scenario.address()) {
                Ok(_) => self.channel(None),
                Err(_) => self.new_channel(),
            },
            After::Reap => self.reap(),
            After::Removed => self.removed(peer),
            After::RemovedAgain => self.removed_again(peer),
            After::By(check) => check(self, peer),
        }?;
        nothing_left(self.before, self.scenario.has_queues)
    }

    /// Checks that no dead process holds a semaphore that only living ones may hold.
    fn semaphores(&self, peer: Option<&Peer>) -> Result<(), Violation> {
        let Some(set) = raw_ipc::set_of(self.scenario.key) else { return Ok(()) };
        let values = raw_ipc::values(set);
        let seats = values[FIRST_SEAT..].iter().filter(|&&token| token != 0).count() as u16;
        let sides = [Side::Sender, Side::Receiver].map(|side| values[side.count()]);
        let living = u16::from(peer.is_some());
        let beside = if self.scenario.other.is_beside() { living } else { 0 };
        let dead = sides[self.scenario.side as usize] > beside;
        if values[LIFECYCLE] != 0 || seats > living || dead {
            return no(Kind::SemaphoreHeld, format!("the dead hold a semaphore: {values:?}"));
        }
        let is_held = |side: Side| u16::from(values[side.seat()] != 0);
        let own_seats = [Side::Sender, Side::Receiver].map(is_held);
        let right = match self.scenario.flavor {
            Flavor::Spsc => sides == own_seats,
            Flavor::Mpmc => sides.iter().sum::<u16>() == seats,
        };
        if values[USERS] != seats || !right {
            return no(Kind::SemaphoreHeld, format!("users and seats differ: {values:?}"));
        }
        Ok(())
    }

    /// Checks that a parked peer wakes and that its call returns the correct result.
    pub fn peer(&mut self, after: After, peer: &mut Option<Peer>) -> Result<(), Violation> {
        let Some(waiter) = peer.take_if(|_| self.scenario.other.sleeps()) else { return Ok(()) };
        let scenario = self.scenario;
        let shared = &scenario.shared;
        let returned = || shared.peer.get() >= peer::SUCCEEDED;
        // The peer may not have noticed that the victim joined, or the victim may have left nothing
        // for it.
        let content = || match scenario.other {
            Other::SameSide | Other::ArmedBeside => {
                let messages = slots::messages(&Segment::attach(scenario.segment).expect("shmat"));
                messages == if scenario.side == Side::Sender { CAPACITY } else { 0 }
            }
            _ => matches!(after, After::Coming),
        };
        let waits = || waiter.is_asleep(scenario) || waiter.is_rung_by_joining(scenario);
        let settled = || returned() || (content() && waits());
        if !self.moment.is_followed_by(settled) {
            return no(Kind::NotWoken, format!("the {:?} stays parked", waiter.side));
        }
        if !returned() {
            self.sends_next_stream = matches!(after, After::Coming);
            self.serve(&waiter)?;
            self.moment = Moment::now(Some(&waiter));
        }
        if !self.moment.is_followed_by(returned) {
            return no(Kind::NotWoken, format!("the {:?} is still parked", waiter.side));
        }
        let wake = self.moment.until(shared.peer_at.get());
        if self.moment.is_too_late(shared.peer_at.get()) {
            return no(Kind::NotWoken, format!("the {:?} was woken after {wake:?}", waiter.side));
        }
        self.times.wake = self.times.wake.max(wake);
        waiter.fork.finish();
        match shared.peer.get() {
            peer::SUCCEEDED | peer::DISCONNECTED => Ok(()),
            how => {
                no(Kind::WrongResult, format!("the waiter got {how} {}", shared.peer_text.get()))
            }
        }
    }

    /// Does what a parked peer waits for.
    fn serve(&mut self, waiter: &Peer) -> Result<(), Violation> {
        self.open(waiter.side.other())?;
        let (state, stream) = (self.scenario.state, self.scenario.shared.ledger.stream);
        let sending = |e| no(Kind::Unusable, format!("sending: {e}"));
        match (&mut self.tx, &mut self.rx) {
            (Some(tx @ Tx::Spsc(_)), _) => {
                let next = stream.next(tx);
                stream.sending(|| tx.try_send(&next)).or_else(sending)
            }
            (Some(tx), _) => tx.try_send(&message(SURVIVOR)).or_else(sending),
            (None, Some(rx @ Rx::Spsc(_))) => (0..state.fill).try_for_each(|_| {
                let received = stream.receiving(rx, Rx::recv);
                received.or_else(|e| no(Kind::Unusable, format!("receiving: {e}")))
            }),
            // It may be running by now. Its messages become available when it is gone.
            _ => self.drain(Some(RecvError::Blocked { pid: waiter.fork.pid() })),
        }
    }

    pub fn open(&mut self, side: Side) -> Result<(), Violation> {
        let time;
        match side {
            Side::Sender if self.tx.is_none() => {
                let (tx, took) = opened(|| self.scenario.tx(How::Open))?;
                (self.tx, time) = (Some(tx), took);
            }
            Side::Receiver if self.rx.is_none() => {
                let (rx, took) = opened(|| self.scenario.rx(How::Open))?;
                (self.rx, time) = (Some(rx), took);
            }
            _ => return Ok(()),
        }
        self.times.open = self.times.open.max(time);
        Ok(())
    }

    pub fn both(&mut self) -> (&mut Tx, &mut Rx) {
        (self.tx.as_mut().expect("open"), self.rx.as_mut().expect("open"))
    }

    /// Checks that the channel is consistent and usable, and then removes it.
    pub fn channel(&mut self, peer: Option<Peer>) -> Result<(), Violation> {
        // Takes the victim's seat first, while its peer is still alive.
        self.open(self.scenario.side)?;
        if let Some(mut peer) = peer {
            peer.fork.kill_and_wait();
        }
        self.open(self.scenario.side.other())?;
        match self.scenario.flavor {
            Flavor::Spsc => self.stream()?,
            Flavor::Mpmc => {
                // No orphaned slot may block this.
                self.drain(None)?;
                let left = self.both().1.len();
                if left != 0 {
                    return no(Kind::WrongCount, format!("{left} messages cannot be received"));
                }
                self.account()?;
            }
        }
        self.usable()?;
        self.remove()
    }

    /// MPMC: receives until the ring is empty or a living member holds the next slot.
    fn drain(&mut self, behind: Option<RecvError>) -> Result<(), Violation> {
        let Some(Rx::Mpmc(rx)) = &self.rx else { unreachable!("an MPMC receiver is open") };
        loop {
            match rx.recv_ref_timeout(Duration::ZERO) {
                Ok(guard) if *guard == message(guard[0]) => {
                    self.got.push(Got {
                        number: guard[0],
                        place: guard.position().wrapping_sub(self.scenario.state.base),
                        deliveries: guard.delivery_count(),
                    });
                    guard.ack().expect("this member has its seat");
                }
                Ok(guard) => {
                    return no(Kind::WrongMessage, format!("a torn message: {:x?}", *guard));
                }
                // A parked sender got a free slot and left.
                Err(RecvError::Timeout | RecvError::Disconnected) => return Ok(()),
                Err(error) if behind.as_ref() == Some(&error) => return Ok(()),
                Err(error) => return no(Kind::Unusable, format!("receiving: {error}")),
            }
            if self.got.len() > 64 {
                return no(Kind::WrongCount, "the number of messages exceeds what was sent");
            }
        }
    }

    /// Checks that the ring holds as many messages as it has slots, and that the slots become free
    /// again.
    pub fn usable(&mut self) -> Result<(), Violation> {
        let (tx, rx) = self.both();
        for lap in 0..3 {
            for n in rx.len() as u64..=CAPACITY {
                let next = message(tx.position().unwrap_or(SURVIVOR + n));
                match tx.try_send(&next) {
                    Ok(()) if n < CAPACITY => {}
                    Err(SendError::Full) if n == CAPACITY => {}
                    other => return no(Kind::Unusable, format!("lap {lap}, {n} sent: {other:?}")),
                }
            }
            for n in 0..=CAPACITY {
                let next = message(rx.position().unwrap_or(SURVIVOR + n));
                match rx.try_recv() {
                    Ok(got) if n < CAPACITY && got == next => {}
                    Ok(got) if n < CAPACITY => {
                        return no(
                            Kind::WrongMessage,
                            format!("lap {lap}: {got:x?} instead of {next:x?}"),
                        );
                    }
                    Err(RecvError::Empty) if n == CAPACITY => {}
                    other => {
                        return no(Kind::Unusable, format!("lap {lap}, {n} received: {other:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    pub fn remove(&mut self) -> Result<(), Violation> {
        (self.tx, self.rx) = (None, None);
        if self.scenario.lifetime == Lifetime::Kept && self.scenario.before != Before::Private {
            sysvring::remove(self.scenario.address())
                .or_else(|e| no(Kind::Leaked, format!("removing: {e}")))?;
        }
        Ok(())
    }
}

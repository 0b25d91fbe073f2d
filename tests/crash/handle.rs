//! Handles of both flavors, with the calls that operations, peers and survivors have in common.

use std::time::Duration;

use sysvring::{
    BatchError, ChannelId, Error, Fault, Handle, Interrupter, Options, RecvError, SendError, Stat,
    Token, WaitSet, mpmc, spsc,
};

use crate::steps::messages::Message;

/// A side of a channel.
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

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Spsc,
    Mpmc,
}

/// The ways to get a handle.
#[derive(Clone, Copy, Debug)]
pub enum How {
    Create,
    Open,
    Attach,
}

impl How {
    fn reach<H: Handle>(self, options: Options) -> Result<H, Error> {
        match self {
            How::Create => options.create(),
            How::Open => options.open(),
            How::Attach => options.attach(),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "there are few")]
pub enum Tx {
    Spsc(spsc::Sender<Message>),
    Mpmc(mpmc::Sender<Message>),
}

#[expect(clippy::large_enum_variant, reason = "there are few")]
pub enum Rx {
    Spsc(spsc::Receiver<Message>),
    Mpmc(mpmc::Receiver<Message>),
}

/// Makes the same call with the handle of either flavor.
macro_rules! either {
    ($handle:expr, $it:ident => $call:expr) => {
        match $handle {
            Self::Spsc($it) => $call,
            Self::Mpmc($it) => $call,
        }
    };
}

impl Tx {
    pub fn reach(flavor: Flavor, how: How, options: Options) -> Result<Tx, Error> {
        Ok(match flavor {
            Flavor::Spsc => Tx::Spsc(how.reach(options)?),
            Flavor::Mpmc => Tx::Mpmc(how.reach(options)?),
        })
    }

    /// Returns the position of the next message, which only an SPSC sender knows.
    pub fn position(&self) -> Option<u64> {
        match self {
            Tx::Spsc(tx) => Some(tx.position()),
            Tx::Mpmc(_) => None,
        }
    }

    #[inline(always)]
    pub fn send(&mut self, message: &Message) -> Result<(), SendError> {
        either!(self, tx => tx.send(message))
    }

    #[inline(always)]
    pub fn try_send(&mut self, message: &Message) -> Result<(), SendError> {
        either!(self, tx => tx.try_send(message))
    }

    #[inline(always)]
    pub fn send_batch(&mut self, messages: &[Message]) -> Result<(), BatchError> {
        either!(self, tx => tx.send_batch(messages))
    }

    pub fn interrupter(&self) -> Interrupter {
        either!(self, tx => tx.interrupter())
    }

    pub fn add_to(&self, set: &WaitSet) -> Result<Token, Error> {
        either!(self, tx => set.add(tx))
    }

    pub fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        either!(self, tx => tx.flush(timeout))
    }

    pub fn close(self) -> Result<(), Error> {
        either!(self, tx => tx.close())
    }

    pub fn finish(self) -> Result<(), Error> {
        either!(self, tx => tx.finish())
    }

    pub fn id(&self) -> ChannelId {
        either!(self, tx => tx.id())
    }

    /// Describes what it knows about the other processes: in an SPSC channel its peer, in an MPMC
    /// channel the PIDs of the deaths that it was notified of.
    pub fn news(&mut self) -> String {
        match self {
            Tx::Spsc(tx) => format!("{:?}", tx.peer()),
            Tx::Mpmc(_) => format!("{:?}", self.deaths()),
        }
    }

    /// Returns the PIDs of the deaths that it was notified of, in an SPSC channel none.
    pub fn deaths(&self) -> Result<Vec<u32>, Fault> {
        match self {
            Tx::Spsc(_) => Ok(Vec::new()),
            Tx::Mpmc(tx) => tx.deaths().map(pids),
        }
    }
}

impl Rx {
    pub fn reach(flavor: Flavor, how: How, options: Options) -> Result<Rx, Error> {
        Ok(match flavor {
            Flavor::Spsc => Rx::Spsc(how.reach(options)?),
            Flavor::Mpmc => Rx::Mpmc(how.reach(options)?),
        })
    }

    /// Returns the position of the next message, which only an SPSC receiver knows.
    pub fn position(&self) -> Option<u64> {
        match self {
            Rx::Spsc(rx) => Some(rx.position()),
            Rx::Mpmc(_) => None,
        }
    }

    pub fn len(&self) -> usize {
        either!(self, rx => rx.len())
    }

    pub fn interrupter(&self) -> Interrupter {
        either!(self, rx => rx.interrupter())
    }

    pub fn add_to(&self, set: &WaitSet) -> Result<Token, Error> {
        either!(self, rx => set.add(rx))
    }

    #[inline(always)]
    pub fn recv(&mut self) -> Result<Message, RecvError> {
        either!(self, rx => rx.recv())
    }

    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        either!(self, rx => rx.try_recv())
    }

    #[inline(always)]
    pub fn recv_batch(
        &mut self,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<usize, RecvError> {
        either!(self, rx => rx.recv_batch(messages, max))
    }

    /// Receives a message if there is one, in an MPMC channel also an orphaned one.
    #[inline(always)]
    pub fn recv_available(&mut self) -> Result<Message, RecvError> {
        match self {
            Rx::Spsc(rx) if rx.is_empty() => Err(RecvError::Empty),
            Rx::Spsc(rx) => rx.recv(),
            Rx::Mpmc(rx) => rx.recv_timeout(Duration::ZERO),
        }
    }

    pub fn close(self) -> Result<(), Error> {
        either!(self, rx => rx.close())
    }

    pub fn stat(&self) -> Result<Stat, Error> {
        either!(self, rx => rx.stat())
    }

    pub fn id(&self) -> ChannelId {
        either!(self, rx => rx.id())
    }

    /// Does the same as [`Tx::news`].
    pub fn news(&mut self) -> String {
        match self {
            Rx::Spsc(rx) => format!("{:?}", rx.peer()),
            Rx::Mpmc(_) => format!("{:?}", self.deaths()),
        }
    }

    /// Returns the PIDs of the deaths that it was notified of, in an SPSC channel none.
    pub fn deaths(&self) -> Result<Vec<u32>, Fault> {
        match self {
            Rx::Spsc(_) => Ok(Vec::new()),
            Rx::Mpmc(rx) => rx.deaths().map(pids),
        }
    }
}

/// Returns the PIDs of the dead.
fn pids(deaths: Vec<mpmc::Death>) -> Vec<u32> {
    deaths.into_iter().map(|death| death.pid).collect()
}

//! Handles that execute commands. A loan or a guard borrows its handle while other members
//! continue, so a member owns both the handle and what it lent.

use std::ptr::NonNull;
use std::time::Duration;

use sysvring::{
    BatchError, Error, Lifetime, Options, RecvError, Redelivery, Role, SendError, Stat, mpmc, spsc,
};

use super::{Answer, Call, Flavor, No, Rules, Side, View, What};

/// A number stored twice, so that a torn message contradicts itself.
type Twice = [u64; 2];

/// Reports an answer and returns the next call, or `None` if the member is to leave.
pub(super) type Next<'a> = dyn FnMut(Answer) -> Option<(Call, u64)> + 'a;

const AT_ONCE: Duration = Duration::ZERO;

/// Returns options for a channel of these rules.
pub(super) fn options(address: Options, rules: &Rules) -> Options {
    let options = address.capacity(rules.capacity as usize);
    let options = match rules.kept {
        true => options.lifetime(Lifetime::Kept),
        false => options,
    };
    match (rules.flavor, rules.deliveries) {
        (Flavor::Spsc, _) => options,
        (Flavor::Mpmc, 0) => options.max_members(rules.seats).redelivery(Redelivery::Never),
        (Flavor::Mpmc, times) => {
            options.max_members(rules.seats).redelivery(Redelivery::UpTo(times))
        }
    }
}

/// One handle.
#[derive(Debug)]
pub(super) enum Handle {
    SpscSender(spsc::Sender<Twice>),
    SpscReceiver(spsc::Receiver<Twice>),
    MpmcSender(mpmc::Sender<Twice>),
    MpmcReceiver(mpmc::Receiver<Twice>),
}

impl Handle {
    pub(super) fn open(options: Options, flavor: Flavor, side: Side) -> Result<Handle, Answer> {
        let handle = match (flavor, side) {
            (Flavor::Spsc, Side::Sender) => options.open().map(Handle::SpscSender),
            (Flavor::Spsc, Side::Receiver) => options.open().map(Handle::SpscReceiver),
            (Flavor::Mpmc, Side::Sender) => options.open().map(Handle::MpmcSender),
            (Flavor::Mpmc, Side::Receiver) => options.open().map(Handle::MpmcReceiver),
        };
        handle.map_err(|error| match error {
            Error::SeatTaken { .. } | Error::NoSeat { .. } => Answer::No(No::NoSeat),
            error => panic!("{error}"),
        })
    }

    pub(super) fn id(&self) -> sysvring::ChannelId {
        match self {
            Handle::SpscSender(tx) => tx.id(),
            Handle::SpscReceiver(rx) => rx.id(),
            Handle::MpmcSender(tx) => tx.id(),
            Handle::MpmcReceiver(rx) => rx.id(),
        }
    }

    /// Executes calls until it is to leave.
    pub(super) fn serve(self, next: &mut Next<'_>) {
        let mut member = self.member();
        let mut answer = Answer::Done;
        while let Some((call, number)) = next(answer) {
            answer = member.call(call, number);
        }
    }

    /// Returns the member that executes the calls.
    pub(super) fn member(self) -> Box<dyn Member> {
        match self {
            Handle::SpscSender(tx) => Box::new(Lender::<_, spsc::Loan<'_, Twice>>::new(tx)),
            Handle::SpscReceiver(rx) => Box::new(Lender::<_, spsc::Guard<'_, Twice>>::new(rx)),
            Handle::MpmcSender(tx) => Box::new(Lender::<_, mpmc::Loan<'_, Twice>>::new(tx)),
            Handle::MpmcReceiver(rx) => Box::new(Lender::<_, mpmc::Guard<'_, Twice>>::new(rx)),
        }
    }
}

/// A handle and what it lent. Dropping it returns everything and leaves the channel.
pub(super) trait Member {
    /// `n` is the message to send, or the first of them.
    fn call(&mut self, call: Call, n: u64) -> Answer;
}

struct Lender<H, L> {
    lent: Vec<L>,
    /// Comes from a box, which this owns again when nothing is lent.
    handle: NonNull<H>,
}

impl<H, L> Lender<H, L> {
    fn new(handle: H) -> Lender<H, L> {
        Lender { lent: Vec::new(), handle: NonNull::from(Box::leak(Box::new(handle))) }
    }

    /// Borrows the handle for as long as what it lends, which is dropped before the handle.
    fn shared<'a>(&self) -> &'a H {
        // SAFETY: the handle lives until this is dropped, which drops everything lent first; there
        // is no exclusive borrow, because a handle that lends exclusively is borrowed exclusively
        // each time.
        unsafe { self.handle.as_ref() }
    }

    /// As [`shared`](Lender::shared), for a handle that allows one loan at a time.
    fn exclusive<'a>(&mut self) -> &'a mut H {
        assert!(self.lent.is_empty(), "a call while something is lent");
        // SAFETY: as above; nothing is lent, so there is no other borrow.
        unsafe { self.handle.as_mut() }
    }
}

impl<H, L> Drop for Lender<H, L> {
    fn drop(&mut self) {
        self.lent.clear();
        // SAFETY: from a box, freed once, and nothing is lent any more.
        drop(unsafe { Box::from_raw(self.handle.as_ptr()) });
    }
}

fn twice(number: u64) -> Twice {
    [number; 2]
}

fn number([number, again]: Twice) -> u64 {
    assert_eq!(number, again, "torn");
    number
}

fn not_sent(error: SendError) -> No {
    match error {
        SendError::Full | SendError::Timeout => No::Nothing,
        SendError::Blocked { .. } => No::Behind,
        SendError::Disconnected => No::Disconnected,
        error => panic!("{error}"),
    }
}

fn sent(result: Result<(), SendError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::No(not_sent(error)),
    }
}

fn batch(many: u64, result: Result<(), BatchError>) -> Answer {
    match result {
        Ok(()) => Answer::Sent(many, None),
        Err(BatchError { sent, error }) => Answer::Sent(sent as u64, Some(not_sent(error))),
    }
}

fn not_received(error: RecvError) -> Answer {
    Answer::No(match error {
        RecvError::Empty | RecvError::Timeout => No::Nothing,
        RecvError::Blocked { .. } => No::Behind,
        RecvError::Disconnected => No::Disconnected,
        error => panic!("{error}"),
    })
}

fn received(result: Result<Twice, RecvError>) -> Answer {
    match result {
        Ok(message) => {
            Answer::Message { number: number(message), position: None, deliveries: None }
        }
        Err(error) => not_received(error),
    }
}

fn several(result: Result<usize, RecvError>, messages: Vec<Twice>) -> Answer {
    match result {
        Ok(taken) => {
            assert_eq!(taken, messages.len());
            Answer::Messages(messages.into_iter().map(number).collect())
        }
        Err(error) => not_received(error),
    }
}

fn view(len: usize, is_empty: bool, is_full: bool, stat: Result<Stat, Error>) -> Answer {
    let stat = stat.expect("a channel");
    assert_eq!((is_empty, is_full), (len == 0, len >= stat.capacity));
    let mut seats = vec![0; stat.set.expect("a set").semaphores as usize - 8];
    for member in &stat.members {
        seats[member.seat] = match (member.alive, member.left, member.role) {
            (true, _, Role::Sender) => 1,
            (true, _, Role::Receiver) => 2,
            (false, true, _) => 3,
            _ => 4,
        };
    }
    let counts = [stat.depth, stat.redelivered, stat.dropped, stat.poisoned];
    Answer::View(View { len: len as u64, counts: Some(counts), seats })
}

macro_rules! view {
    ($handle:expr) => {
        view($handle.len(), $handle.is_empty(), $handle.is_full(), $handle.stat())
    };
}

/// The calls that all senders have in common.
macro_rules! send {
    ($tx:expr, $call:expr, $number:expr) => {
        match $call.what {
            What::Send if $call.timed => sent($tx.send_timeout(&twice($number), AT_ONCE)),
            What::Send => sent($tx.try_send(&twice($number))),
            What::SendBatch => {
                let many = $call.many();
                let messages: Vec<_> = (0..many).map(|n| twice($number + n)).collect();
                batch(many, $tx.try_send_batch(&messages))
            }
            What::Flush => sent($tx.flush(AT_ONCE)),
            What::Look => view!($tx),
            what => panic!("a sender cannot do {what:?}"),
        }
    };
}

/// The calls that all receivers have in common.
macro_rules! receive {
    ($rx:expr, $call:expr) => {
        match ($call.what, $call.timed) {
            (What::Receive, true) => received($rx.recv_timeout(AT_ONCE)),
            (What::Receive, false) => received($rx.try_recv()),
            (What::ReceiveInto, timed) => {
                let mut place = twice(u64::MAX);
                let result = match timed {
                    true => $rx.recv_into_timeout(&mut place, AT_ONCE),
                    false => $rx.try_recv_into(&mut place),
                };
                assert!(
                    result.is_ok() || place == twice(u64::MAX),
                    "the buffer was written without a message"
                );
                received(result.map(|()| place))
            }
            (What::ReceiveBoxed, true) => received($rx.recv_boxed_timeout(AT_ONCE).map(|m| *m)),
            (What::ReceiveBoxed, false) => received($rx.try_recv_boxed().map(|m| *m)),
            (What::ReceiveBatch, timed) => {
                let (mut messages, most) = (Vec::new(), $call.many() as usize);
                let result = match timed {
                    true => $rx.recv_batch_timeout(&mut messages, most, AT_ONCE),
                    false => $rx.try_recv_batch(&mut messages, most),
                };
                several(result, messages)
            }
            (What::Look, _) => view!($rx),
            (what, _) => panic!("a receiver cannot do {what:?}"),
        }
    };
}

impl Member for Lender<spsc::Sender<Twice>, spsc::Loan<'_, Twice>> {
    fn call(&mut self, call: Call, n: u64) -> Answer {
        match (call.what, self.lent.pop()) {
            (What::Commit, Some(mut loan)) => {
                *loan = twice(n);
                loan.commit();
                Answer::Done
            }
            (What::Abandon, Some(loan)) => {
                drop(loan);
                Answer::Done
            }
            (_, Some(_)) => panic!("{call:?} while a loan exists"),
            (What::Loan, None) => {
                let tx = self.exclusive();
                let position = tx.position();
                let lent = match call.timed {
                    true => tx.loan_timeout(AT_ONCE),
                    false => tx.try_loan(),
                };
                match lent {
                    Ok(mut loan) => {
                        // Half of it is written, whatever becomes of the loan.
                        loan[0] = n;
                        self.lent.push(loan);
                        Answer::Lent(Some(position))
                    }
                    Err(error) => Answer::No(not_sent(error)),
                }
            }
            (_, None) => {
                let tx = self.exclusive();
                send!(tx, call, n)
            }
        }
    }
}

impl Member for Lender<spsc::Receiver<Twice>, spsc::Guard<'_, Twice>> {
    fn call(&mut self, call: Call, _: u64) -> Answer {
        match (call.what, self.lent.pop()) {
            (What::GiveBack, Some(guard)) => {
                drop(guard);
                Answer::Done
            }
            (What::Forget, Some(guard)) => {
                std::mem::forget(guard);
                Answer::Done
            }
            (_, Some(_)) => panic!("{call:?} while a guard exists"),
            (What::Lend, None) => {
                let rx = self.exclusive();
                let lent = match call.timed {
                    true => rx.recv_ref_timeout(AT_ONCE),
                    false => rx.try_recv_ref(),
                };
                match lent {
                    Ok(guard) => {
                        let (number, position) = (number(*guard), Some(guard.position()));
                        self.lent.push(guard);
                        Answer::Message { number, position, deliveries: None }
                    }
                    Err(error) => not_received(error),
                }
            }
            (_, None) => {
                let rx = self.exclusive();
                receive!(rx, call)
            }
        }
    }
}

fn deaths(deaths: Result<Vec<mpmc::Death>, sysvring::Fault>) -> Answer {
    Answer::Deaths(deaths.expect("a channel").iter().map(|death| death.seat.into()).collect())
}

impl Member for Lender<mpmc::Sender<Twice>, mpmc::Loan<'_, Twice>> {
    fn call(&mut self, call: Call, n: u64) -> Answer {
        let tx = self.shared();
        match call.what {
            What::Loan => {
                let lent = match call.timed {
                    true => tx.loan_timeout(AT_ONCE),
                    false => tx.try_loan(),
                };
                match lent {
                    Ok(mut loan) => {
                        loan[0] = n;
                        let position = loan.position();
                        self.lent.push(loan);
                        Answer::Lent(Some(position))
                    }
                    Err(error) => Answer::No(not_sent(error)),
                }
            }
            What::Commit => {
                let mut loan = self.lent.remove(call.which(self.lent.len()));
                *loan = twice(n);
                sent(loan.commit())
            }
            What::Abandon => {
                drop(self.lent.remove(call.which(self.lent.len())));
                Answer::Done
            }
            What::Deaths => deaths(tx.deaths()),
            _ => send!(tx, call, n),
        }
    }
}

impl Member for Lender<mpmc::Receiver<Twice>, mpmc::Guard<'_, Twice>> {
    fn call(&mut self, call: Call, _: u64) -> Answer {
        let rx = self.shared();
        match call.what {
            What::Lend => {
                let lent = match call.timed {
                    true => rx.recv_ref_timeout(AT_ONCE),
                    false => rx.try_recv_ref(),
                };
                match lent {
                    Ok(guard) => {
                        let (position, deliveries) = (guard.position(), guard.delivery_count());
                        let number = number(*guard);
                        self.lent.push(guard);
                        let (position, deliveries) = (Some(position), Some(deliveries));
                        Answer::Message { number, position, deliveries }
                    }
                    Err(error) => not_received(error),
                }
            }
            What::GiveBack => {
                drop(self.lent.remove(call.which(self.lent.len())));
                Answer::Done
            }
            What::Deaths => deaths(rx.deaths()),
            _ => receive!(rx, call),
        }
    }
}

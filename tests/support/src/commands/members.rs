//! Handles that execute commands. A loan or a guard borrows its handle while other members
//! continue, so a member owns both the handle and what it lent.

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use sysvring::{
    BatchError, ChannelId, Error, Flavor, Lifetime, Options, RecvError, Redelivery, Role,
    SendError, StreamState, mpmc, spsc,
};

use super::{Answer, Call, No, Rules, Side, View, What};
use crate::handle::{AnyGuard, AnyHandle, AnyLoan, AnyReceiver, AnySender};
use crate::raw_ipc::FIRST_SEAT;

/// A number stored twice, so that a torn message contradicts itself.
type Twice = [u64; 2];

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
        (_, 0) => options.max_members(rules.seats).redelivery(Redelivery::Never),
        (_, after) => options.max_members(rules.seats).redelivery(Redelivery::Discard { after }),
    }
}

/// A handle and what it lent. Dropping it returns everything and leaves the channel.
pub(super) trait Member {
    fn id(&self) -> ChannelId;

    /// `n` is the message to send, or the first of them.
    fn call(&mut self, call: Call, n: u64) -> Answer;

    /// Returns everything and finishes, which only a sender does.
    fn finish(self: Box<Self>);
}

/// Opens a handle.
pub(super) fn open(
    options: Options,
    flavor: Flavor,
    side: Side,
) -> Result<Box<dyn Member>, Answer> {
    let member: Result<Box<dyn Member>, Error> = match (flavor, side) {
        (Flavor::Spsc, Side::Sender) => options.open().map(|tx: spsc::Sender<_>| sender(tx, false)),
        (Flavor::Spsc, Side::Receiver) => {
            options.open().map(|rx: spsc::Receiver<_>| receiver(rx, false))
        }
        (_, Side::Sender) => options.open().map(|tx: mpmc::Sender<_>| sender(Arc::new(tx), true)),
        (_, Side::Receiver) => {
            options.open().map(|rx: mpmc::Receiver<_>| receiver(Arc::new(rx), true))
        }
    };
    member.map_err(|error| match error {
        Error::SeatTaken { .. } | Error::NoSeat { .. } => Answer::No(No::NoSeat),
        error => panic!("{error}"),
    })
}

fn sender<H: AnySender<Twice> + 'static>(handle: H, several: bool) -> Box<dyn Member> {
    Box::new(Sender(Lender::new(handle, several)))
}

fn receiver<H: AnyReceiver<Twice> + 'static>(handle: H, several: bool) -> Box<dyn Member> {
    Box::new(Receiver(Lender::new(handle, several)))
}

struct Lender<H, L> {
    id: ChannelId,
    lent: Vec<L>,
    /// Whether it can lend several slots.
    several: bool,
    /// Comes from a box, which this owns again when nothing is lent.
    handle: NonNull<H>,
}

impl<H: AnyHandle, L> Lender<H, L> {
    fn new(handle: H, several: bool) -> Lender<H, L> {
        let (id, lent) = (handle.id(), Vec::new());
        Lender { id, lent, several, handle: NonNull::from(Box::leak(Box::new(handle))) }
    }

    /// Borrows the handle for as long as what it lends, which is dropped before the handle.
    fn handle<'a>(&mut self) -> &'a mut H {
        assert!(self.several || self.lent.is_empty(), "a call while something is lent");
        // SAFETY: the handle lives until this is dropped, which drops everything lent first. What
        // an SPSC handle lent borrows it, and there is none. What an MPMC handle lent borrows the
        // handle in the `Arc`, which is never borrowed exclusively, and not the `Arc`.
        unsafe { self.handle.as_mut() }
    }

    /// Takes the loan or guard that a call selects.
    fn take(&mut self, call: Call) -> L {
        self.lent.remove(call.which(self.lent.len()))
    }
}

impl<H, L> Lender<H, L> {
    /// Returns everything that was lent, and then the handle.
    fn into_handle(mut self) -> H {
        self.lent.clear();
        let handle = std::mem::ManuallyDrop::new(self).handle;
        // SAFETY: from a box, nothing is lent any more, and `drop` does not run.
        *unsafe { Box::from_raw(handle.as_ptr()) }
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
        SendError::Blocked { .. } | SendError::Behind { .. } => No::Behind,
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
        RecvError::Blocked { .. } | RecvError::Behind { .. } => No::Behind,
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

fn view(handle: &impl AnyHandle) -> Answer {
    let stat = handle.stat().expect("a channel");
    let len = handle.len();
    // A message in flight may block the free slots behind it.
    assert_eq!((handle.is_empty(), handle.is_full()), (len == 0, stat.room == 0));
    let mut seats = vec![0; stat.set.expect("a set").semaphores as usize - FIRST_SEAT];
    for member in &stat.members {
        seats[member.seat] = match (member.alive, member.left, member.role) {
            (true, _, Role::Sender) => 1,
            (true, _, Role::Receiver) => 2,
            (false, true, _) => 3,
            _ => 4,
        };
    }
    let stream = match stat.stream {
        StreamState::Open => 0,
        StreamState::Finished => 1,
        _ => 2,
    };
    let lost = stat.lost_senders.into();
    let counts = [stat.depth, stat.redelivered, stat.dropped, stat.poisoned, stream, lost];
    Answer::View(View { len: len as u64, counts: Some(counts), seats })
}

fn deaths(handle: &mut impl AnyHandle) -> Answer {
    let deaths = handle.deaths().expect("a channel");
    Answer::Deaths(deaths.iter().map(|death| death.seat.into()).collect())
}

struct Sender<H: AnySender<Twice> + 'static>(Lender<H, H::Loan<'static>>);

impl<H: AnySender<Twice>> Member for Sender<H> {
    fn id(&self) -> ChannelId {
        self.0.id
    }

    fn call(&mut self, call: Call, n: u64) -> Answer {
        match call.what {
            What::Commit => {
                let mut loan = self.0.take(call);
                *loan = twice(n);
                return sent(loan.commit());
            }
            What::Abandon => {
                drop(self.0.take(call));
                return Answer::Done;
            }
            _ => {}
        }
        let tx = self.0.handle();
        match (call.what, call.timed) {
            (What::Send, true) => sent(tx.send_timeout(&twice(n), AT_ONCE)),
            (What::Send, false) => sent(tx.try_send(&twice(n))),
            (What::SendBatch, _) => {
                let messages: Vec<_> = (0..call.many()).map(|i| twice(n + i)).collect();
                batch(call.many(), tx.try_send_batch(&messages.iter().collect::<Vec<_>>()))
            }
            (What::Loan, timed) => {
                let position = tx.position();
                match if timed { tx.loan_timeout(AT_ONCE) } else { tx.try_loan() } {
                    Ok(mut loan) => {
                        // Half of it is written, whatever becomes of the loan.
                        loan[0] = n;
                        let position = position.or(loan.position());
                        self.0.lent.push(loan);
                        Answer::Lent(position)
                    }
                    Err(error) => Answer::No(not_sent(error)),
                }
            }
            (What::Flush, _) => sent(tx.flush(AT_ONCE)),
            (What::Look, _) => view(tx),
            (What::Deaths, _) => deaths(tx),
            (what, _) => panic!("a sender cannot do {what:?}"),
        }
    }

    fn finish(self: Box<Self>) {
        self.0.into_handle().finish().expect("a channel");
    }
}

struct Receiver<H: AnyReceiver<Twice> + 'static>(Lender<H, H::Guard<'static>>);

impl<H: AnyReceiver<Twice> + 'static> Drop for Receiver<H> {
    /// A member that leaves acknowledges what it has in flight.
    fn drop(&mut self) {
        self.0.lent.drain(..).for_each(|guard| guard.ack().expect("acknowledged"));
    }
}

impl<H: AnyReceiver<Twice>> Member for Receiver<H> {
    fn id(&self) -> ChannelId {
        self.0.id
    }

    fn call(&mut self, call: Call, _: u64) -> Answer {
        match call.what {
            What::Acknowledge => {
                self.0.take(call).ack().expect("acknowledged");
                return Answer::Done;
            }
            What::Return => {
                // Either way, an SPSC guard returns its message. A forgotten one is not counted.
                match self.0.several {
                    true => self.0.take(call).release().expect("returned"),
                    false => std::mem::forget(self.0.take(call)),
                }
                return Answer::Done;
            }
            _ => {}
        }
        let rx = self.0.handle();
        match (call.what, call.timed) {
            (What::Receive, true) => received(rx.recv_timeout(AT_ONCE)),
            (What::Receive, false) => received(rx.try_recv()),
            (What::ReceiveInto, timed) => {
                let mut place = twice(u64::MAX);
                let result = match timed {
                    true => rx.recv_into_timeout(&mut place, AT_ONCE),
                    false => rx.try_recv_into(&mut place),
                };
                assert!(
                    result.is_ok() || place == twice(u64::MAX),
                    "the buffer was written without a message"
                );
                received(result.map(|()| place))
            }
            (What::ReceiveBoxed, true) => received(rx.recv_boxed_timeout(AT_ONCE).map(|m| *m)),
            (What::ReceiveBoxed, false) => received(rx.try_recv_boxed().map(|m| *m)),
            (What::ReceiveBatch, timed) => {
                let (mut messages, max) = (Vec::new(), call.many() as usize);
                let result = match timed {
                    true => rx.recv_batch_timeout(&mut messages, max, AT_ONCE),
                    false => rx.try_recv_batch(&mut messages, max),
                };
                several(result, messages)
            }
            (What::Lend, timed) => {
                match if timed { rx.recv_ref_timeout(AT_ONCE) } else { rx.try_recv_ref() } {
                    Ok(guard) => {
                        let (number, position) = (number(*guard), Some(guard.position()));
                        // That of an SPSC message depends on the moment of a death.
                        let deliveries = self.0.several.then(|| guard.delivery_count());
                        self.0.lent.push(guard);
                        Answer::Message { number, position, deliveries }
                    }
                    Err(error) => not_received(error),
                }
            }
            (What::Look, _) => view(rx),
            (What::Deaths, _) => deaths(rx),
            (what, _) => panic!("a receiver cannot do {what:?}"),
        }
    }

    fn finish(self: Box<Self>) {
        panic!("a receiver cannot finish");
    }
}

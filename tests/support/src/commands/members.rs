//! Handles that do what they are told, each in a thread or a process of its own: a loan or a guard
//! borrows its handle, and other members go on meanwhile.

use std::time::Duration;

use sysvring::{
    BatchError, Error, Lifetime, Options, RecvError, Redelivery, Role, SendError, Stat, mpmc, spsc,
};

use super::{Answer, Call, Flavor, No, Rules, Side, View, What};

/// A number said twice: a torn message contradicts itself.
type Twice = [u64; 2];

/// Says an answer and hears the next call; `None`: leave.
pub(super) type Next<'a> = dyn FnMut(Answer) -> Option<(Call, u64)> + 'a;

const AT_ONCE: Duration = Duration::ZERO;

/// Options for a channel of these rules.
pub(super) fn options(address: Options, rules: &Rules) -> Options {
    let options = address.capacity(rules.capacity as usize);
    let options = match rules.kept {
        true => options.lifetime(Lifetime::Kept),
        false => options,
    };
    match (rules.flavor, rules.deliveries) {
        (Flavor::Spsc, _) => options,
        (Flavor::Mpmc, 0) => options.members(rules.seats).redelivery(Redelivery::Never),
        (Flavor::Mpmc, times) => options.members(rules.seats).redelivery(Redelivery::UpTo(times)),
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

    /// Does what it is told, and leaves.
    pub(super) fn serve(self, next: &mut Next<'_>) {
        match self {
            Handle::SpscSender(tx) => spsc_sender(tx, next),
            Handle::SpscReceiver(rx) => spsc_receiver(rx, next),
            Handle::MpmcSender(tx) => mpmc_sender(&tx, next),
            Handle::MpmcReceiver(rx) => mpmc_receiver(&rx, next),
        }
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
        SendError::Behind { .. } => No::Behind,
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
        RecvError::Behind { .. } => No::Behind,
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
    let counts = [stat.depth, stat.redelivered, stat.dropped, stat.set_aside];
    Answer::View(View { len: len as u64, counts: Some(counts), seats })
}

macro_rules! view {
    ($handle:expr) => {
        view($handle.len(), $handle.is_empty(), $handle.is_full(), $handle.stat())
    };
}

/// What every sender does alike.
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
            what => panic!("{what:?} of a sender"),
        }
    };
}

/// What every receiver does alike.
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
                assert!(result.is_ok() || place == twice(u64::MAX), "written without a message");
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
            (what, _) => panic!("{what:?} of a receiver"),
        }
    };
}

fn spsc_sender(mut tx: spsc::Sender<Twice>, next: &mut Next<'_>) {
    let mut answer = Answer::Done;
    while let Some((call, n)) = next(answer) {
        if call.what != What::Loan {
            answer = send!(tx, call, n);
            continue;
        }
        let position = tx.position();
        let lent = match call.timed {
            true => tx.loan_timeout(AT_ONCE),
            false => tx.try_loan(),
        };
        answer = match lent {
            Ok(mut loan) => {
                // Half of it is written whatever comes of it.
                loan[0] = n;
                match next(Answer::Lent(Some(position))) {
                    Some((Call { what: What::Commit, .. }, n)) => {
                        *loan = twice(n);
                        loan.commit();
                    }
                    Some((Call { what: What::Abandon, .. }, _)) => drop(loan),
                    Some((call, _)) => panic!("{call:?} with a loan"),
                    None => return,
                }
                Answer::Done
            }
            Err(error) => Answer::No(not_sent(error)),
        };
    }
}

fn spsc_receiver(mut rx: spsc::Receiver<Twice>, next: &mut Next<'_>) {
    let mut answer = Answer::Done;
    while let Some((call, _)) = next(answer) {
        if call.what != What::Lend {
            answer = receive!(rx, call);
            continue;
        }
        let lent = match call.timed {
            true => rx.recv_ref_timeout(AT_ONCE),
            false => rx.try_recv_ref(),
        };
        answer = match lent {
            Ok(guard) => {
                let (number, position) = (number(*guard), Some(guard.position()));
                match next(Answer::Message { number, position, deliveries: None }) {
                    Some((Call { what: What::GiveBack, .. }, _)) => drop(guard),
                    Some((Call { what: What::Forget, .. }, _)) => std::mem::forget(guard),
                    Some((call, _)) => panic!("{call:?} with a guard"),
                    None => return,
                }
                Answer::Done
            }
            Err(error) => not_received(error),
        };
    }
}

fn deaths(deaths: Result<Vec<mpmc::Death>, sysvring::Fault>) -> Answer {
    Answer::Deaths(deaths.expect("a channel").iter().map(|death| death.seat.into()).collect())
}

fn mpmc_sender(tx: &mpmc::Sender<Twice>, next: &mut Next<'_>) {
    let mut loans = Vec::new();
    let mut answer = Answer::Done;
    while let Some((call, n)) = next(answer) {
        answer = match call.what {
            What::Loan => {
                let lent = match call.timed {
                    true => tx.loan_timeout(AT_ONCE),
                    false => tx.try_loan(),
                };
                match lent {
                    Ok(mut loan) => {
                        loan[0] = n;
                        let position = loan.position();
                        loans.push(loan);
                        Answer::Lent(Some(position))
                    }
                    Err(error) => Answer::No(not_sent(error)),
                }
            }
            What::Commit => {
                let mut loan = loans.remove(call.which(loans.len()));
                *loan = twice(n);
                sent(loan.commit())
            }
            What::Abandon => {
                drop(loans.remove(call.which(loans.len())));
                Answer::Done
            }
            What::Deaths => deaths(tx.deaths()),
            _ => send!(tx, call, n),
        };
    }
}

fn mpmc_receiver(rx: &mpmc::Receiver<Twice>, next: &mut Next<'_>) {
    let mut guards = Vec::new();
    let mut answer = Answer::Done;
    while let Some((call, _)) = next(answer) {
        answer = match call.what {
            What::Lend => {
                let lent = match call.timed {
                    true => rx.recv_ref_timeout(AT_ONCE),
                    false => rx.try_recv_ref(),
                };
                match lent {
                    Ok(guard) => {
                        let (position, deliveries) = (guard.position(), guard.delivery_count());
                        let number = number(*guard);
                        guards.push(guard);
                        let (position, deliveries) = (Some(position), Some(deliveries));
                        Answer::Message { number, position, deliveries }
                    }
                    Err(error) => not_received(error),
                }
            }
            What::GiveBack => {
                drop(guards.remove(call.which(guards.len())));
                Answer::Done
            }
            What::Deaths => deaths(rx.deaths()),
            _ => receive!(rx, call),
        };
    }
}

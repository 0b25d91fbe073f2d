//! What the members do until they are killed.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use sysvring::mpmc::{Guard, Receiver, Sender};
use sysvring::{Options, RecvError, SendError, Wait};
use sysvring_support::rng::Rng;

use crate::ledger::{Ledger, add};

/// The maximum number of messages of a batch.
const BATCH: u64 = 64;
/// The time of a wait. It is short enough to notice that the run is over.
const PART: Duration = Duration::from_millis(50);

/// Sender, life, number, and values derived from them, so that a torn message contradicts itself.
pub type Message = [u64; 8];

fn message(sender: usize, life: u64, number: u64) -> Message {
    let from = (sender as u64) << 32 | life;
    let mix = (number ^ from).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [from, number, mix, !mix, mix.rotate_left(17), mix ^ 0x5555, mix.rotate_left(40), number << 3]
}

/// The mutation that a test makes, which the checks must detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Receivers acknowledge before they mark.
    EarlyAcknowledgement,
    /// Senders send a torn message now and then, and one message twice; all members are stopped for
    /// a while without a record of it.
    WrongMessages,
}

impl Flaw {
    pub const ALL: [Flaw; 3] = [Flaw::None, Flaw::EarlyAcknowledgement, Flaw::WrongMessages];
}

/// Returns an incorrect message: every thousandth number is torn, and another one repeats the
/// number before it.
fn wrong_message(sender: usize, life: u64, number: u64) -> Message {
    match number % 1_000 {
        500 => {
            let mut torn = message(sender, life, number);
            torn[5] ^= 1;
            torn
        }
        700 => message(sender, life, number - 1),
        _ => message(sender, life, number),
    }
}

/// Returns options. Half of the handles never spin.
pub fn options(name: &str, rng: &mut Rng) -> Options {
    let wait = [Wait::Park, Wait::Balanced][rng.below(2) as usize];
    Options::named(name).wait(wait)
}

/// Sends with each kind of call until the run is over.
pub fn send_on(options: Options, ledger: &Ledger, sender: usize, flaw: Flaw, mut rng: Rng) {
    let line = &ledger.sent[sender];
    let life = line.lives.load(Acquire);
    let tx: Sender<Message> = options.open().expect("a seat");
    let content = if flaw == Flaw::WrongMessages { wrong_message } else { message };
    let mut batch = Vec::new();
    while ledger.over.load(Relaxed) == 0 {
        let first = line.acknowledged.load(Relaxed);
        let call = rng.below(8);
        let count = if call < 5 { 1 + rng.below(BATCH) } else { 1 };
        line.begun.store(first + count, Release);
        let message = |n| content(sender, life, n);
        let (sent, result) = match call {
            0..5 => {
                batch.clear();
                batch.extend((first..first + count).map(message));
                match tx.send_batch(&batch) {
                    Ok(()) => (count, Ok(())),
                    Err(error) => (error.sent as u64, Err(error.error)),
                }
            }
            5 => once(tx.send_timeout(&message(first), PART)),
            6 => once(tx.loan_timeout(PART).and_then(|mut loan| {
                *loan = message(first);
                loan.commit()
            })),
            _ => {
                // Claims a slot and abandons it.
                drop(tx.try_loan());
                once(tx.try_send(&message(first)))
            }
        };
        line.acknowledged.store(first + sent, Release);
        match result {
            Ok(())
            | Err(
                SendError::Full
                | SendError::Timeout
                | SendError::Behind { .. }
                | SendError::Blocked { .. },
            ) => {}
            // All receivers are dead at the same time now and then.
            Err(SendError::Disconnected) => _ = tx.wait_for_peer(PART),
            Err(error) => panic!("{error}"),
        }
    }
    // Everything that was begun is sent, so no message is in doubt.
    line.begun.store(line.acknowledged.load(Relaxed), Release);
}

fn once(result: Result<(), SendError>) -> (u64, Result<(), SendError>) {
    (u64::from(result.is_ok()), result)
}

/// Receives under a guard, marks, then acknowledges, until the run is over.
pub fn receive_on(options: Options, ledger: &Ledger, receiver: usize, flaw: Flaw, mut rng: Rng) {
    let line = &ledger.received[receiver];
    let rx: Receiver<Message> = options.open().expect("a seat");
    // The last message of each sender, and its position.
    let mut last = [(0, 0, 0); crate::ledger::SIDE_MAX];
    loop {
        let received = match rng.below(8) {
            0 => rx.try_recv_ref(),
            _ => rx.recv_ref_timeout(PART),
        };
        let guard = match received {
            Ok(guard) => guard,
            Err(RecvError::Disconnected) if ledger.over.load(Acquire) == 2 => return,
            Err(RecvError::Disconnected) => {
                let _ = rx.wait_for_peer(PART);
                continue;
            }
            Err(RecvError::Timeout) if ledger.over.load(Acquire) == 2 => return,
            Err(
                RecvError::Empty
                | RecvError::Timeout
                | RecvError::Behind { .. }
                | RecvError::Blocked { .. },
            ) => continue,
            Err(error) => panic!("{error}"),
        };
        let (position, again) = (guard.position(), guard.delivery_count() > 1);
        let (got, mut unacknowledged) = (*guard, Some(guard));
        if flaw == Flaw::EarlyAcknowledgement {
            acknowledge(unacknowledged.take());
        }
        let (sender, life, number) = ((got[0] >> 32) as usize, got[0] as u32, got[1]);
        if sender >= last.len() || got != message(sender, life.into(), number) {
            add(&line.torn);
            acknowledge(unacknowledged.take());
            continue;
        }
        if !again {
            // Redelivered messages arrive late.
            let before = &mut last[sender];
            let now = (u64::from(life), number + 1, position + 1);
            if now.0 < before.0 || now.1 <= before.1 || now.2 <= before.2 {
                add(&line.disordered);
            }
            *before = now;
        }
        match (ledger.mark(sender, number), again) {
            (false, _) => add(&line.fresh),
            (true, true) => {}
            (true, false) => add(&line.twice),
        }
        if again {
            add(&line.redelivered);
        }
        let Some(guard) = unacknowledged else { continue };
        match rng.below(64) {
            // It is delivered again.
            0..4 => guard.release().expect("this member has its seat"),
            4 => guard.reject().expect("this member has its seat"),
            _ => guard.ack().expect("this member has its seat"),
        }
    }
}

fn acknowledge(guard: Option<Guard<'_, Message>>) {
    if let Some(guard) = guard {
        guard.ack().expect("this member has its seat");
    }
}

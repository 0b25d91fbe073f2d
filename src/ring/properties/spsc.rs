//! An SPSC ring and its ends.

use sysvring_support::commands::{Answer, Call, No, Progress, Rules, Side, View, What, World};

use super::received;
use crate::ring::Ring;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, read, write};
use crate::sync::Ordering::Acquire;
use crate::sync::crash_point::crash_at;

/// An SPSC ring under test, with both ends.
pub(super) struct Heap {
    tx: Option<(u32, Producer)>,
    rx: Option<(u32, Consumer)>,
    /// Whether the receiver has an unacknowledged message.
    lent: bool,
    ring: Ring,
    /// Declared last: the ends refer to it.
    _block: HeapRing,
}

impl Heap {
    pub(super) fn new(rules: Rules) -> Heap {
        let block = HeapRing::at(rules.capacity as usize, rules.place);
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        Heap { tx: None, rx: None, lent: false, ring, _block: block }
    }

    fn send(tx: &mut Producer, number: u64) -> bool {
        let room = tx.has_room() || tx.refresh(true).unwrap();
        if room {
            write(tx.slot(), number);
            tx.publish();
        }
        room
    }

    fn call_sender(tx: &mut Producer, ring: &Ring, call: Call, number: u64) -> Answer {
        // By the credit it may know of less room than there is; by the head it knows all.
        let has_loan = matches!(call.what, What::Commit | What::Abandon);
        if call.n & 1 != 0 && !has_loan {
            tx.forget_room();
        }
        if call.n & 2 != 0 {
            tx.refresh(call.n & 4 != 0).unwrap();
        }
        assert!(tx.room() <= ring.capacity() - ring.depth());
        match call.what {
            What::Send if Heap::send(tx, number) => Answer::Done,
            What::Send => Answer::No(No::Nothing),
            What::SendBatch => {
                let sent = (0..call.many()).take_while(|n| Heap::send(tx, number + n)).count();
                let all = sent as u64 == call.many();
                Answer::Sent(sent as u64, (!all).then_some(No::Nothing))
            }
            What::Loan if tx.has_room() || tx.refresh(true).unwrap() => {
                // Written, and possibly never published.
                write(tx.slot(), number);
                Answer::Lent(Some(tx.position()))
            }
            What::Loan => Answer::No(No::Nothing),
            What::Commit => {
                write(tx.slot(), number);
                tx.publish();
                Answer::Done
            }
            What::Abandon => Answer::Done,
            What::Look => Answer::View(View { len: tx.unacknowledged(), ..View::default() }),
            what => panic!("{what:?} of a sender"),
        }
    }

    fn acknowledge(rx: &mut Consumer) {
        if rx.acknowledge() {
            rx.publish_credit();
        }
    }

    fn call_receiver(&mut self, call: Call) -> Answer {
        let (_, rx) = self.rx.as_mut().expect("a receiver");
        if call.n & 1 != 0 {
            rx.publish_credit();
        }
        match call.what {
            What::Receive | What::ReceiveInto | What::ReceiveBoxed | What::Lend => {
                assert_eq!(rx.is_ready(), Ok(rx.has_message()));
                if !rx.has_message() {
                    return Answer::No(No::Nothing);
                }
                let answer = received(read(rx.slot()), rx.position(), None);
                match call.what {
                    What::Lend => self.lent = true,
                    _ => Heap::acknowledge(rx),
                }
                answer
            }
            What::ReceiveBatch => {
                let (mut numbers, depth) = (Vec::new(), self.ring.depth());
                // In two parts, of which the first leaves a message that it has looked at.
                for (most, takes) in
                    [(call.n.into(), u64::from(call.n % 5)), (call.many(), u64::MAX)]
                {
                    let most = most.min(call.many() - numbers.len() as u64) as usize;
                    let before = numbers.len() as u64;
                    let taken = rx.take_while(most, |slot| {
                        let takes = numbers.len() as u64 - before < takes;
                        if takes {
                            numbers.push(read(slot));
                        }
                        takes
                    });
                    assert_eq!(taken as u64, numbers.len() as u64 - before);
                }
                assert_eq!(self.ring.depth(), depth, "nothing is acknowledged before all is");
                if numbers.is_empty() && call.many() != 0 {
                    return Answer::No(No::Nothing);
                }
                if rx.acknowledge_passed() {
                    rx.publish_credit();
                }
                Answer::Messages(numbers)
            }
            What::Acknowledge => {
                self.lent = false;
                Heap::acknowledge(rx);
                Answer::Done
            }
            What::Return => {
                self.lent = false;
                Answer::Done
            }
            What::Look => Answer::View(View { len: self.ring.depth(), ..View::default() }),
            what => panic!("{what:?} of a receiver"),
        }
    }

    fn is_sender(&self, id: u32) -> bool {
        self.tx.as_ref().is_some_and(|(tx, _)| *tx == id)
    }
}

impl World for Heap {
    fn join(&mut self, id: u32, side: Side) -> Answer {
        match side {
            Side::Sender if self.tx.is_none() => {
                self.tx = Some((id, Producer::new(self.ring).unwrap()));
            }
            Side::Receiver if self.rx.is_none() => {
                Consumer::check(&self.ring).unwrap();
                self.rx = Some((id, Consumer::new(self.ring)));
            }
            _ => return Answer::No(No::NoSeat),
        }
        Answer::Done
    }

    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer {
        match &mut self.tx {
            Some((tx, end)) if *tx == id => Heap::call_sender(end, &self.ring, call, number),
            _ => self.call_receiver(call),
        }
    }

    fn leave(&mut self, id: u32) {
        if self.is_sender(id) {
            self.tx = None;
        } else if let Some((_, mut rx)) = self.rx.take() {
            if std::mem::take(&mut self.lent) {
                rx.acknowledge();
            }
            rx.publish_credit();
        }
    }

    fn die(&mut self, id: u32, during: Option<(u32, Call, u64)>) -> Progress {
        let sends = self.is_sender(id);
        let before = match (&self.tx, &self.rx) {
            (Some((_, tx)), _) if sends => tx.position(),
            _ => self.ring.header().head.0.load(Acquire),
        };
        let done =
            during.and_then(|(step, call, number)| crash_at(step, || self.call(id, call, number)));
        let after = if sends {
            self.tx = None;
            // Finds the end of the stream as a successor does.
            Producer::new(self.ring).unwrap().position()
        } else {
            (self.rx, self.lent) = (None, false);
            self.ring.header().head.0.load(Acquire)
        };
        match (after.wrapping_sub(before), done) {
            (0, None | Some(Answer::No(_))) => Progress::None,
            (1, None | Some(Answer::Done | Answer::Message { .. })) => Progress::Finished,
            (moved, done) => panic!("{done:?} moved it by {moved}"),
        }
    }

    fn is_mortal(&self) -> bool {
        true
    }
}

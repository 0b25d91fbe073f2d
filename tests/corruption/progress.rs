//! Words of the progress table, and of the grant, that no correct member writes: the member that reads
//! them reports it by name, in every way to send and to receive, or goes on. It does not wait for a
//! receiver that does not exist.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::broadcast::{Receiver, Sender};
use sysvring::{Error, Fault, RecvError, SendError};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::test;

use crate::endpoints::{SEATS, SHORT};
use crate::page;

const CAPACITY: usize = 4;
/// The number of messages that were sent and received before.
const BEFORE: u64 = 9;

/// A sender, a receiver in seat 1, and the segment.
struct Channel {
    tx: Sender<u64>,
    rx: Receiver<u64>,
    segment: Segment,
    key: Key,
}

impl Channel {
    fn new() -> Channel {
        let key = Key::new();
        let options = key.options().capacity(CAPACITY).max_members(SEATS);
        let mut tx: Sender<u64> = options.create().expect("new");
        let mut rx: Receiver<u64> = key.options().attach().expect("its other side");
        for n in 0..BEFORE {
            tx.try_send(&n).expect("there is a free slot");
            assert_eq!(rx.try_recv(), Ok(n));
        }
        let segment = Segment::attach(tx.id().segment()).expect("shmat");
        Channel { tx, rx, segment, key }
    }

    /// Stores a word of the record of a seat.
    fn store(&self, seat: usize, field: &str, value: u64) {
        let record = page::progress();
        let offset = record.field(field).offset;
        let at = page::progress_at(SEATS) + seat * record.bytes + offset;
        self.segment.u64(at).store(value, Relaxed);
    }

    /// Makes one of the sending calls. All but the last return at once.
    fn send(&mut self, way: u8) -> Result<(), SendError> {
        match way {
            0 => self.tx.try_send(&7),
            1 => self.tx.try_send_batch(&[7, 7]).map_err(|error| error.error),
            2 => self.tx.try_loan().map(drop),
            _ => self.tx.send_timeout(&7, SHORT),
        }
    }
}

#[test]
fn a_sender_reports_an_acknowledgement_of_what_was_not_sent() {
    for ahead in [1, 100, 1 << 62] {
        for way in 0..4 {
            let mut channel = Channel::new();
            let result = {
                // What the sender may write without a look is used up first.
                while channel.tx.try_send(&7).is_ok() {}
                for field in ["head", "credit"] {
                    channel.store(1, field, channel.tx.position() + ahead);
                }
                channel.send(way)
            };
            let Err(SendError::Fault(Fault::Corrupt { what })) = result else {
                panic!("{ahead} ahead, way {way}: {result:?}")
            };
            assert!(what.contains("acknowledged an unsent message"), "{what}");
            // Also after it was corrected.
            channel.store(1, "head", BEFORE);
            assert_eq!(channel.send(way), Err(SendError::Fault(Fault::Corrupt { what })));
        }
    }
}

/// Another seat's record says that a receiver is there, and it is far behind. The kernel knows better.
#[test]
fn a_sender_does_not_wait_for_a_receiver_that_does_not_exist() {
    for behind in [4, 5, 1 << 40] {
        for way in 0..4 {
            let mut channel = Channel::new();
            for field in ["head", "credit"] {
                channel.store(2, field, channel.tx.position().wrapping_sub(behind));
            }
            channel.store(2, "holder", 7);
            for n in 0..20 {
                assert_eq!(channel.send(way), Ok(()), "{behind} behind, way {way}, call {n}");
                while channel.rx.try_recv().is_ok() {}
            }
        }
    }
}

/// A receiver that joins begins where nothing was sent for laps. (Slot states have 48 bits of the lap: so
/// far ahead, they begin anew.)
#[test]
fn a_receiver_reports_a_grant_that_no_sender_gave() {
    for ahead in [3 * CAPACITY as u64, 1 << 20, 1 << 40] {
        let channel = Channel::new();
        channel.segment.u64(at::CREDIT).store(BEFORE + ahead, Relaxed);
        let attached = channel.key.options().attach();
        let mut late: Receiver<u64> = match attached {
            Ok(late) => late,
            // It joins only if the tail may lag by so much.
            Err(error) => {
                let is_far = ahead > 3 * CAPACITY as u64;
                assert!(is_far && matches!(error, Error::Corrupt { .. }), "{error}");
                continue;
            }
        };
        for _ in 0..2 {
            let result = late.recv_timeout(SHORT);
            assert!(
                matches!(result, Err(RecvError::Fault(Fault::Corrupt { .. }))),
                "{ahead} ahead: {result:?}"
            );
        }
    }
}

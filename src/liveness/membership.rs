//! Joining and leaving: the `semop` calls that take a seat and give it back.

use super::resignation::is_alone;
use super::stream::{Departure, Entry, Exit, Standing};
use super::{
    ChannelSemaphores, LIFECYCLE, Seat, USERS, count_sem, interrupt_sem, next_incarnation,
    seat_sem, token_of, wake_sem,
};
use crate::flavor::Flavor;
use crate::role::Side;
use crate::sysv::sem::Op;
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno};

/// Maximum number of rounds in which a sender tries all ways to enter the stream, while others
/// join, leave and die between two attempts.
const ROUNDS: usize = 16;

/// A seat that was just taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seated {
    pub(crate) seat: Seat,
    incarnation: u32,
    entry: Entry,
}

/// The result of an attempt to join.
#[derive(Debug, PartialEq)]
pub(crate) enum Joined {
    Seated(Seated),
    /// The channel had no members, and the next process that opens it rebuilds it; or the obstacle
    /// has disappeared. Start again.
    NotNow,
    /// A living process has the seat.
    Taken {
        pid: u32,
    },
    /// A living process has each seat.
    Full,
    /// Another process held the lifecycle semaphore until the deadline.
    Busy {
        pid: u32,
    },
}

/// Returns the wake semaphores to post to when a member ends, and the number of tokens.
///
/// The tokens of its own side are for another member, which has to recover the slots that it owned,
/// or for this member itself, if it lost its seat while it lives. In an SPSC channel there are two for
/// each side: a receiver that consumes one together with a message does not ask who is alive before
/// it parks again (`wait/known_open.rs`).
///
/// In a broadcast channel, receivers block until the value of their interrupt semaphore changes.
pub(super) fn tokens_at_end(flavor: Flavor, side: Side) -> [(u16, i16); 2] {
    if flavor == Flavor::Broadcast {
        return [(wake_sem(Side::Senders), 1), (interrupt_sem(Side::Receivers), 1)];
    }
    let tokens = if flavor == Flavor::Spsc { 2 } else { 1 };
    [side.other(), side].map(|side| (wake_sem(side), tokens))
}

/// Returns the operations that take a seat and arm what its holder's death changes.
fn join_ops(flavor: Flavor, seat: Seat, token: i16, entry: Entry) -> Vec<Op> {
    let sem = seat_sem(seat.number);
    let mut ops = vec![Op::zero(sem).nowait(), Op::add(sem, token).undo()];
    ops.extend(entry.ops());
    ops.push(Op::add(USERS, 1).undo());
    if entry != Entry::Courier {
        ops.push(Op::add(count_sem(seat.side), 1).undo());
    }
    for (post, tokens) in tokens_at_end(flavor, seat.side) {
        ops.extend([Op::add(post, tokens), Op::add(post, -tokens).undo()]);
    }
    ops
}

/// Returns the incarnation of the next holder of a seat, from those of the last ones.
fn incarnation_in(seat: Seat, last: &[u32]) -> u32 {
    next_incarnation(last.get(usize::from(seat.number)).copied().unwrap_or(0))
}

impl ChannelSemaphores {
    /// Releases the lifecycle semaphore and takes the first seat, in a broadcast channel the first one
    /// in this order, in one step. `EAGAIN` if one of
    /// the semaphores was set from outside.
    pub(crate) fn unlock_and_join(
        &self,
        flavor: Flavor,
        order: &[u8],
        last: &[u32],
        standing: Standing,
    ) -> sysv::Result<Seated> {
        let side = standing.side();
        let seat = match flavor {
            Flavor::Spsc => Seat::of(side),
            Flavor::Mpmc => Seat { number: 0, side },
            Flavor::Broadcast => Seat { number: order.first().copied().unwrap_or(0), side },
        };
        let incarnation = incarnation_in(seat, last);
        let token = token_of(standing, incarnation);
        for &entry in Entry::of(standing) {
            let mut ops = vec![Op::add(LIFECYCLE, -1).undo().nowait()];
            ops.extend(join_ops(flavor, seat, token, entry));
            match self.trimming(|| self.set.op(&ops)) {
                // No member exists that could change the stream meanwhile.
                Err(Errno::EAGAIN) => {}
                joined => return joined.map(|()| Seated { seat, incarnation, entry }),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Joins a channel that has members and `seats` seats; in a broadcast channel in the first free seat
    /// in this order. `last` are the incarnations of the last holders of the seats.
    pub(crate) fn join(
        &self,
        flavor: Flavor,
        seats: usize,
        order: &[u8],
        last: &[u32],
        standing: Standing,
        deadline: Option<Deadline>,
    ) -> sysv::Result<Joined> {
        let side = standing.side();
        let seat = match flavor {
            Flavor::Spsc => Seat::of(side),
            Flavor::Mpmc => match self.tokens(seats)?.iter().position(|&token| token == 0) {
                Some(free) => Seat { number: free as u8, side },
                None => return Ok(Joined::Full),
            },
            Flavor::Broadcast if side == Side::Senders => Seat::of(side),
            Flavor::Broadcast => {
                let tokens = self.tokens(seats)?;
                let is_free = |seat: &&u8| tokens.get(usize::from(**seat)) == Some(&0);
                match order.iter().find(is_free) {
                    Some(&number) => Seat { number, side },
                    None => return Ok(Joined::Full),
                }
            }
        };
        let incarnation = incarnation_in(seat, last);
        let token = token_of(standing, incarnation);
        for _ in 0..ROUNDS {
            for &entry in Entry::of(standing) {
                let mut ops = vec![
                    Op::zero(LIFECYCLE),
                    Op::add(USERS, -1).nowait(),
                    Op::add(USERS, 1).nowait(),
                ];
                ops.extend(join_ops(flavor, seat, token, entry));
                match self.trimming(|| self.set.op_until(&ops, deadline)) {
                    Err(Errno::EAGAIN) => {}
                    joined => {
                        let seated = Seated { seat, incarnation, entry };
                        return joined.map(|()| Joined::Seated(seated));
                    }
                }
            }
            // A condition did not hold at that moment: find out which one does not hold now.
            let is_taken = self.is_taken(seat.number)?;
            let is_only_seat = match flavor {
                Flavor::Spsc => true,
                Flavor::Mpmc => false,
                Flavor::Broadcast => side == Side::Senders,
            };
            if is_only_seat && is_taken {
                return Ok(Joined::Taken { pid: self.shown_pid(seat.number) });
            }
            // Another process may have taken the lifecycle semaphore only after that.
            let waited = deadline.is_some_and(|d| d.passed());
            if waited && self.set.value(LIFECYCLE)? != 0 {
                return Ok(Joined::Busy { pid: self.builder() });
            }
            // Unless other senders changed the stream between two attempts, trying again is futile.
            if side == Side::Receivers || is_taken || self.set.value(USERS)? == 0 {
                break;
            }
        }
        Ok(Joined::NotNow)
    }

    /// Gives the seat back and wakes the affected waiters, in one step.
    pub(crate) fn leave(
        &self,
        flavor: Flavor,
        seat: Seat,
        incarnation: u32,
        departure: Departure,
    ) -> sysv::Result<()> {
        let token = token_of(departure.standing(seat.side), incarnation);
        let token = Op::add(seat_sem(seat.number), -token).undo().nowait();
        self.exit(flavor, seat, &[token], Exit::of(seat.side, departure))
    }

    /// Gives back a seat whose holder did nothing: the stream is what it was before.
    pub(crate) fn withdraw(&self, flavor: Flavor, seated: Seated) -> sysv::Result<()> {
        let Seated { seat, incarnation, entry } = seated;
        let sem = seat_sem(seat.number);
        let token = token_of(entry.standing(seat.side), incarnation);
        let token = Op::add(sem, -token).undo().nowait();
        // Exactly its token: the seat may have been taken for one that was left, and may have
        // another holder by now (`resignation.rs`).
        let left = self.exit(flavor, seat, &[token, Op::zero(sem).nowait()], entry.reverse());
        if left != Err(Errno::EAGAIN) {
            return left;
        }
        if !is_alone(flavor, seat.side) {
            let left = self.exit(flavor, seat, &[], entry.reverse());
            if left != Err(Errno::EAGAIN) {
                return left;
            }
        }
        self.set.op(&[Op::add(USERS, -1).undo().nowait()])
    }

    /// Leaves by an exit that begins with the operations on the seat.
    fn exit(&self, flavor: Flavor, seat: Seat, token: &[Op], exit: Exit) -> sysv::Result<()> {
        let mut left = Ok(());
        for variant in exit.variants() {
            let mut ops = token.to_vec();
            ops.push(Op::add(USERS, -1).undo().nowait());
            if exit != Exit::Courier {
                ops.push(Op::add(count_sem(seat.side), -1).undo().nowait());
            }
            ops.extend(variant);
            let posts = tokens_at_end(flavor, seat.side);
            ops.extend(posts.map(|(post, tokens)| Op::add(post, tokens).undo()));
            left = self.trimming(|| self.set.op(&ops));
            if !matches!(left, Err(Errno::EAGAIN | Errno::ERANGE)) {
                break;
            }
        }
        left
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{Departure, Standing, semaphores};
    use super::*;
    use crate::sysv::sem::{Set, SetLookup};

    const SEATS: usize = 4;

    /// A set that is removed with the test.
    struct Fixture(ChannelSemaphores);

    impl Fixture {
        /// A channel whose stream has ended, with a receiver.
        fn ended() -> Fixture {
            let set = Set::get(0, semaphores(SEATS), SetLookup::New { mode: 0o600 });
            let fixture = Fixture(ChannelSemaphores::new(set.expect("a set")));
            fixture.0.begin(7).expect("a nonce");
            fixture.0.set.op(&[Op::add(LIFECYCLE, 1).undo()]).expect("free");
            let receiver = Standing::Member(Side::Receivers);
            fixture.0.unlock_and_join(Flavor::Mpmc, &[], &[], receiver).expect("a seat");
            let sender = fixture.join();
            let finished =
                fixture.0.leave(Flavor::Mpmc, sender.seat, sender.incarnation, Departure::Finish);
            finished.expect("it finishes");
            assert!(fixture.is_ended());
            fixture
        }

        fn join(&self) -> Seated {
            let sender = Standing::Member(Side::Senders);
            match self.0.join(Flavor::Mpmc, SEATS, &[], &[], sender, None).expect("a seat") {
                Joined::Seated(seated) => seated,
                other => panic!("{other:?}"),
            }
        }

        fn is_ended(&self) -> bool {
            self.0.semaphore_values(SEATS).expect("values").is_ended()
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            self.0.set.remove().expect("it is there");
        }
    }

    #[test]
    fn a_withdrawal_restores_the_end() {
        let fixture = Fixture::ended();
        let reopens = fixture.join();
        assert!(!fixture.is_ended());
        fixture.0.withdraw(Flavor::Mpmc, reopens).expect("it withdraws");
        assert!(fixture.is_ended());
    }

    /// A sender that joined meanwhile has a stream of its own, which it alone ends.
    #[test]
    fn a_withdrawal_ends_no_other_stream() {
        let fixture = Fixture::ended();
        let (reopens, stays) = (fixture.join(), fixture.join());
        fixture.0.withdraw(Flavor::Mpmc, reopens).expect("it withdraws");
        fixture
            .0
            .leave(Flavor::Mpmc, stays.seat, stays.incarnation, Departure::Leave)
            .expect("it leaves");
        assert!(!fixture.is_ended());
    }

    #[test]
    fn a_courier_leaves_the_stream_as_it_is() {
        let fixture = Fixture::ended();
        let courier = fixture.0.join(Flavor::Mpmc, SEATS, &[], &[], Standing::Courier, None);
        let Ok(Joined::Seated(courier)) = courier else { panic!("{courier:?}") };
        assert!(fixture.is_ended());
        fixture
            .0
            .leave(Flavor::Mpmc, courier.seat, courier.incarnation, Departure::Courier)
            .expect("it leaves");
        assert!(fixture.is_ended());
        assert_eq!(fixture.0.is_there(Flavor::Mpmc, SEATS, Side::Senders), Ok(false));
    }
}

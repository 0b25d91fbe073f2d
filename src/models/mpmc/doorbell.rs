//! Doorbells of MPMC channels: is a member rung, whatever the others do?
//!
//! In most of these models a member is *absent*: it waits by its doorbell and has nothing to run. When
//! all threads are done, it follows its doorbell, if that tells it to. Whatever it must have been
//! rung for is received by then.

use std::sync::Arc;

use super::ends::{Receiver, Sender, message};
use super::{check_exchange, sender_of};
use crate::models::harness::{
    Fixture, Job, all_of, check, check_bounded, check_deaths, check_deaths_bounded, together,
};
use crate::models::member::Until;
use crate::models::sim_kernel::Fences;
use crate::sync::crash_point::crash_at;

fn fixture(capacity: usize, bells: u8) -> Arc<Fixture> {
    Fixture::with_bells(capacity, Fences::OnRequest, bells)
}

/// Returns a receiver that waits by its doorbell.
fn waiting(fixture: &Arc<Fixture>, seat: u8, until: Until) -> Receiver {
    let mut rx = Receiver::join(fixture, seat, until);
    assert_eq!(rx.follow_doorbell(), []);
    rx
}

/// Makes receivers that joined before wait again.
fn settle(receivers: &mut [&mut Receiver]) {
    for rx in receivers {
        assert_eq!(rx.follow_doorbell(), []);
    }
}

/// How a receiver waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Doorbell,
    Parking,
}

/// One message for each receiver.
fn one_each(capacity: usize, by: [By; 2]) {
    let fixture = fixture(capacity, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let receiver = |seat: u8| -> Job<Vec<u64>> {
        let mut rx = Receiver::join(&fixture, seat, Until::Ever);
        Box::new(move || match by[usize::from(seat)] {
            By::Doorbell => rx.recv_by_doorbell().into_iter().collect(),
            By::Parking => rx.recv().into_iter().collect(),
        })
    };
    let receivers = [receiver(0), receiver(1)];
    let mut jobs: Vec<Job<Vec<u64>>> = vec![Box::new(move || {
        (0..2).for_each(|number| assert!(tx.send(number)));
        Vec::new()
    })];
    jobs.extend(receivers);
    check_exchange(&[message(2, 0), message(2, 1)], &all_of(jobs));
}

/// One of two waiting receivers is rung for two messages, and takes only one of them.
fn baton() {
    let fixture = fixture(2, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let mut rx = waiting(&fixture, 0, Until::Ever);
    let mut absent = waiting(&fixture, 1, Until::Ever);
    settle(&mut [&mut rx]);
    let send = move || (0..2).for_each(|number| assert!(tx.send(number)));
    let (first, ()) = together(move || rx.recv_by_doorbell(), send);
    assert_eq!(first, Some(message(2, 0)));
    assert_eq!(absent.follow_doorbell(), [message(2, 1)]);
}

/// Two senders wait by their doorbell for room.
fn two_senders(capacity: usize) {
    let fixture = fixture(capacity, 2);
    let before = capacity as u64;
    let mut rx = Receiver::join(&fixture, 2, Until::Ever);
    let mut senders: Vec<_> =
        (0..2).map(|seat| Sender::join(&fixture, seat, Until::Ever)).collect();
    (0..before).for_each(|number| assert!(senders[0].send(number)));
    let mut jobs: Vec<Job<Vec<u64>>> =
        vec![Box::new(move || (0..before + 2).map(|_| rx.recv().expect("a message")).collect())];
    for mut tx in senders {
        jobs.push(Box::new(move || {
            assert!(tx.send_by_doorbell(before));
            Vec::new()
        }));
    }
    let received = all_of(jobs).concat();
    assert_eq!(received.len() as u64, before + 2);
    assert!(received.iter().any(|message| sender_of(*message) == (1, before)));
}

/// The handle of a rung receiver is taken out of its doorbell.
fn deregistered() {
    let fixture = fixture(1, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let rx = waiting(&fixture, 0, Until::Ever);
    let mut absent = waiting(&fixture, 1, Until::Ever);
    together(move || assert!(tx.send(0)), move || rx.member().deregister());
    assert_eq!(absent.follow_doorbell(), [message(2, 0)]);
}

/// The same while another thread of that member looks.
fn deregistered_beside_a_thread() {
    let fixture = fixture(1, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let rx = waiting(&fixture, 0, Until::Ever);
    let mut absent = waiting(&fixture, 1, Until::Ever);
    let mut thread = rx.thread();
    let jobs: Vec<Job<bool>> = vec![
        Box::new(move || {
            assert!(tx.send(0));
            false
        }),
        Box::new(move || {
            rx.member().deregister();
            false
        }),
        Box::new(move || thread.try_next().is_ok()),
    ];
    let taken = all_of(jobs).contains(&true);
    assert!(taken || absent.follow_doorbell() == [message(2, 0)], "nobody is rung");
}

/// A thread of a receiver makes a call while another one waits for the doorbell, each for one of two
/// messages. What they leave is for another receiver. The sender needs no thread of its own.
fn threads_share_a_doorbell() {
    let fixture = fixture(2, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let mut rx = waiting(&fixture, 0, Until::Ever);
    let mut absent = waiting(&fixture, 1, Until::Ever);
    settle(&mut [&mut rx]);
    let mut thread = rx.thread();
    let send_and_follow = move || {
        (0..2).for_each(|number| assert!(tx.send(number)));
        rx.member().wait_for_doorbell();
        (usize::from(rx.try_next().is_ok()), rx)
    };
    let (first, (second, rx)) = together(move || thread.try_next().is_ok(), send_and_follow);
    let left = 2 - usize::from(first) - second;
    let is_rung = rx.member().is_rung();
    assert!(is_rung || absent.follow_doorbell().len() == left, "nobody is rung");
}

/// A waiting receiver takes one of two messages although its process has not looked for a ring.
fn out_of_turn() {
    let fixture = fixture(2, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Ever);
    let mut rx = waiting(&fixture, 0, Until::Ever);
    let mut absent = waiting(&fixture, 1, Until::Ever);
    settle(&mut [&mut rx]);
    (0..2).for_each(|number| assert!(tx.send(number)));
    assert!(rx.try_next().is_ok());
    assert_eq!(absent.follow_doorbell(), [message(2, 1)]);
}

/// How the sender ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Leaves,
    Finishes,
    Dies,
}

/// Two receivers wait while the only sender ends.
fn end(how: End) {
    let fixture = fixture(1, 2);
    let tx = Sender::join(&fixture, 2, Until::Dead);
    let receivers = [0, 1].map(|seat| Receiver::join(&fixture, seat, Until::Dead));
    let mut jobs: Vec<Job<()>> = vec![Box::new(move || match how {
        End::Leaves => tx.leave(),
        End::Finishes => tx.finish(),
        End::Dies => fixture.kernel.member_died(2),
    })];
    for mut rx in receivers {
        jobs.push(Box::new(move || assert_eq!(rx.recv_by_doorbell(), None)));
    }
    all_of(jobs);
}

/// Two receivers wait while a third one acknowledges the last message of the stream.
fn last_acknowledgement() {
    let fixture = fixture(1, 3);
    let mut tx = Sender::join(&fixture, 3, Until::Left);
    let mut holder = Receiver::join(&fixture, 2, Until::Left);
    let mut rx = waiting(&fixture, 0, Until::Left);
    let mut absent = waiting(&fixture, 1, Until::Left);
    assert!(tx.send(0));
    let held = holder.next().expect("a message");
    tx.leave();
    settle(&mut [&mut rx, &mut absent]);
    together(move || assert_eq!(rx.recv_by_doorbell(), None), move || holder.acknowledge(&held));
    assert!(!absent.member().is_idle(), "it is not told of the end");
    assert_eq!(absent.recv_by_doorbell(), None);
}

/// The sender dies after any step of sending two messages. Returns whether it died.
fn waker_dies(step: u32) -> bool {
    let fixture = fixture(2, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Dead);
    let mut rx = waiting(&fixture, 0, Until::Dead);
    let mut absent = waiting(&fixture, 1, Until::Dead);
    settle(&mut [&mut rx]);
    let send = move || {
        let lived = crash_at(step, || (0..2).for_each(|number| assert!(tx.send(number))));
        fixture.kernel.member_died(2);
        lived.is_none()
    };
    let (died, first) = together(send, move || rx.recv_by_doorbell());
    let rest = absent.follow_doorbell();
    assert!(died || (first.is_some() && rest.len() == 1), "{first:x?}, {rest:x?}");
    assert_eq!(absent.recv_by_doorbell(), None);
    died
}

/// One of two waiting receivers dies after any step of waiting for one of two messages. Returns
/// whether it died.
fn rung_member_dies(step: u32) -> bool {
    let fixture = fixture(2, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Dead);
    let mut dying = waiting(&fixture, 0, Until::Dead);
    let mut absent = waiting(&fixture, 1, Until::Dead);
    settle(&mut [&mut dying]);
    let beside = fixture.clone();
    let receive = move || {
        let received = crash_at(step, || dying.recv_by_doorbell());
        if received.is_none() {
            beside.kernel.member_died(0);
        }
        received
    };
    let send = move || (0..2).for_each(|number| assert!(tx.send(number)));
    let (first, ()) = together(receive, send);
    let rest = absent.follow_doorbell();
    // If it died, it may have acknowledged the first one.
    let is_complete = rest.len() == 2 && first.is_none() || rest == [message(2, 1)];
    assert!(is_complete, "{first:x?}, {rest:x?}");
    first.is_none()
}

/// A joining receiver dies at any step. Then one of two waiting receivers takes one of two messages.
fn joiner_dies(step: u32) -> bool {
    let fixture = fixture(2, 3);
    let mut tx = Sender::join(&fixture, 3, Until::Dead);
    let mut rx = waiting(&fixture, 0, Until::Dead);
    let mut absent = waiting(&fixture, 1, Until::Dead);
    settle(&mut [&mut rx]);
    let lived = crash_at(step, || {
        Receiver::join(&fixture, 2, Until::Dead);
    });
    fixture.kernel.member_died(2);
    assert_eq!(rx.follow_doorbell(), []);
    let send = move || (0..2).for_each(|number| assert!(tx.send(number)));
    let (first, ()) = together(move || rx.recv_by_doorbell(), send);
    assert_eq!(first, Some(message(3, 0)));
    assert_eq!(absent.follow_doorbell(), [message(3, 1)]);
    lived.is_none()
}

/// A joining receiver dies at any step. Then the only sender leaves.
fn joiner_dies_before_the_end(step: u32) -> bool {
    let fixture = fixture(1, 3);
    let tx = Sender::join(&fixture, 3, Until::Dead);
    let mut receivers = [0, 1].map(|seat| waiting(&fixture, seat, Until::Dead));
    settle(&mut receivers.each_mut());
    let lived = crash_at(step, || {
        Receiver::join(&fixture, 2, Until::Dead);
    });
    fixture.kernel.member_died(2);
    tx.leave();
    for rx in &mut receivers {
        assert!(!rx.member().is_idle(), "it is not told of the end");
        assert_eq!(rx.recv_by_doorbell(), None);
    }
    lived.is_none()
}

/// A sender joins, sends a message, and dies at any step, while a receiver starts to wait.
fn stranger_dies(step: u32) -> bool {
    let fixture = fixture(2, 2);
    let (after, _keeper) = (fixture.clone(), Sender::join(&fixture, 3, Until::Dead));
    let mut absent = waiting(&fixture, 1, Until::Dead);
    let mut rx = Receiver::join(&fixture, 0, Until::Dead);
    settle(&mut [&mut absent]);
    let send = move || {
        let mut published = false;
        let lived = crash_at(step, || {
            let mut tx = Sender::join(&fixture, 2, Until::Dead);
            assert!(tx.send(0));
            published = true;
        });
        fixture.kernel.member_died(2);
        (published, lived.is_none())
    };
    let look = move || {
        let taken = rx.try_next().is_ok();
        (taken, rx)
    };
    let ((published, died), (taken, mut rx)) = together(send, look);
    // Both follow their doorbells; then nothing is left.
    let received = rx.follow_doorbell().len() + absent.follow_doorbell().len();
    let received = received + usize::from(taken);
    assert!(received == 1 || !published, "nobody is rung");
    let mut late = Receiver::join(&after, 2, Until::Dead);
    assert!(late.try_next().is_err(), "a message without a receiver that is rung");
    died
}

/// A receiver that waits by its doorbell dies. Then another one begins to wait, and a successor in
/// the seat of the dead one joins and dies at any step, while a message is sent.
fn successor_dies(knows_dead: bool, step: u32) -> bool {
    let fixture = fixture(1, 2);
    let mut tx = Sender::join(&fixture, 2, Until::Dead);
    let mut rx = Receiver::join(&fixture, 1, Until::Dead);
    if knows_dead {
        settle(&mut [&mut rx]);
    }
    waiting(&fixture, 0, Until::Dead);
    if knows_dead {
        settle(&mut [&mut rx]);
    }
    fixture.kernel.member_died(0);
    settle(&mut [&mut rx]);
    let join = move || {
        let lived = crash_at(step, || {
            Receiver::join(&fixture, 0, Until::Dead);
        });
        fixture.kernel.member_died(0);
        lived.is_none()
    };
    let (died, ()) = together(join, move || assert!(tx.send(0)));
    assert_eq!(rx.follow_doorbell(), [message(2, 0)]);
    died
}

#[test]
fn two_receivers_are_rung() {
    use By::{Doorbell, Parking};
    for by in [[Doorbell, Doorbell], [Doorbell, Parking]] {
        for capacity in [1, 2] {
            let name = format!("two messages for two by {by:?}, capacity {capacity}");
            check_bounded(&name, 1, move || one_each(capacity, by));
        }
    }
}

#[test]
fn a_rung_receiver_passes_the_ring_on() {
    check("two messages, and one is taken", baton);
    check("two messages, and one is taken out of turn", out_of_turn);
}

#[test]
fn two_senders_are_rung() {
    for capacity in [1, 2] {
        let name = format!("two senders have doorbells, capacity {capacity}");
        check_bounded(&name, 0, move || two_senders(capacity));
    }
}

#[test]
fn a_deregistered_handle_passes_its_ring_on() {
    check("a rung handle is deregistered", deregistered);
    check_bounded("the same beside a thread", 2, deregistered_beside_a_thread);
}

#[test]
fn threads_of_one_member_keep_the_duty() {
    check("threads share a doorbell", threads_share_a_doorbell);
}

#[test]
fn every_receiver_is_rung_for_the_end() {
    for how in [End::Leaves, End::Finishes, End::Dies] {
        check_bounded(&format!("the sender {how:?}, and two wait"), 1, move || end(how));
    }
    check("the last acknowledgement, and two wait", last_acknowledgement);
}

#[test]
fn a_waker_dies_at_every_step() {
    check_deaths("a waker dies", waker_dies);
}

#[test]
fn a_rung_receiver_dies_at_every_step() {
    check_deaths_bounded("a rung receiver dies", 1, rung_member_dies);
}

#[test]
fn a_joining_member_dies_at_every_step() {
    check_deaths("a joining receiver dies", joiner_dies);
    check_deaths("a joining receiver dies before the end", joiner_dies_before_the_end);
    check_deaths_bounded("a sender that nobody knows dies", 1, stranger_dies);
}

#[test]
fn a_successor_of_a_waiting_member_dies_at_every_step() {
    for knows_dead in [false, true] {
        let name = format!("a successor dies, the dead one was known: {knows_dead}");
        check_deaths(&name, move |step| successor_dies(knows_dead, step));
    }
}

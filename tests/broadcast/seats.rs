//! What a receiver finds in a seat that another one had.

use sysvring_support::name::Name;
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, channel};

#[test]
fn deliveries_to_another_receiver_do_not_count() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel::<1>(&name, 4);
    tx.try_send(&1).expect("room");
    drop(rx.try_recv_ref().expect("a message"));
    rx.close().expect("left");
    let mut rx: Receiver = name.options().label("other").attach().expect("a receiver");
    let guard = rx.try_recv_ref().expect("a message");
    assert_eq!((*guard, guard.delivery_count()), (1, 1));
}

/// Kills a receiver after each number of system calls of its join, and lets one of its label come.
#[work]
fn one_that_is_killed_while_it_joins_leaves_no_position_of_another_alone(_: &mut Args) {
    for is_used in [true, false] {
        for calls in 0.. {
            let name = Name::new();
            let (mut tx, []) = channel::<0>(&name, if is_used { 8 } else { 4 });
            let (sent, oldest) = if is_used { (4, 0) } else { (20, 16) };
            (0..sent).for_each(|n| tx.try_send(&n).expect("room"));
            if is_used {
                let mut other: Receiver = name.options().label("x").attach().expect("a receiver");
                (0..3).for_each(|n| assert_eq!(other.try_recv(), Ok(n)));
            }
            let mut stepper = Stepper::start(|| {
                let options = name.options().label("y");
                mark();
                let joined: Receiver = options.attach().expect("a receiver");
                mark();
                drop(joined);
            })
            .expect("a child");
            let is_over = (0..calls).any(|_| stepper.run_to_call(&mut || false) == Stop::Marked);
            stepper.kill();
            let mut next: Receiver = name.options().label("y").attach().expect("a receiver");
            let first = (next.position(), next.try_recv());
            assert_eq!(first, (oldest, Ok(oldest)), "after {calls} calls, used: {is_used}");
            if is_over {
                assert!(calls > 5, "the join was not stepped through");
                break;
            }
        }
    }
}

#[test]
fn one_that_is_killed_while_it_joins_leaves_no_position_of_another() {
    Worker::run(&[&"seats::one_that_is_killed_while_it_joins_leaves_no_position_of_another_alone"]);
}

//! Messages that a receiver returns: does another one find them, and does RETURNED stay set as long
//! as there is one?

use super::ends::{Receiver, Sender, message};
use crate::models::harness::{Fixture, check, together};
use crate::models::member::Until;
use crate::protocol::Membership;
use crate::role::Side;
use crate::wait::RETURNED;

/// A receiver returns the only message, and another one is blocked.
fn blocked() {
    let fixture = Fixture::new(1);
    let mut sender = Sender::join(&fixture, 2, Until::Dead);
    let mut returning = Receiver::join(&fixture, 0, Until::Dead);
    let mut waiting = Receiver::join(&fixture, 1, Until::Dead);
    fixture.kernel.forget_posts();
    assert!(sender.send(1));
    let held = returning.next().expect("the message");
    let (_, got) = together(move || returning.release(&held), move || waiting.recv());
    assert_eq!(got, Some(message(2, 1)));
}

/// A receiver returns a message while another one searches, because RETURNED is still set for a
/// message that is gone.
fn searching() {
    let fixture = Fixture::new(1);
    let mut sender = Sender::join(&fixture, 2, Until::Dead);
    let mut returning = Receiver::join(&fixture, 0, Until::Dead);
    let mut searching = Receiver::join(&fixture, 1, Until::Dead);
    assert!(sender.send(1));
    let held = returning.next().expect("the message");
    searching.member().parking(Side::Senders).set(RETURNED);
    let search = move || {
        let found = searching.take_returned().is_some();
        (found, searching)
    };
    let (_, (found, mut searching)) = together(move || returning.release(&held), search);
    let is_set = searching.member().parking(Side::Senders).flags() & RETURNED != 0;
    assert!(found || is_set, "it waits for an idle moment");
    assert!(found || searching.take_returned().is_some(), "not found");
}

#[test]
fn a_returned_message_wakes_a_receiver() {
    check("returned beside a parked receiver", blocked);
}

#[test]
fn a_returned_message_stays_announced() {
    check("returned beside a search", searching);
}

//! Operations of untyped handles.

use sysvring::zerocopy::{FromBytes, IntoBytes};

use super::receiving::{MESSAGES, MESSAGES_LATER};
use super::sending::{FREE, FREE_LATER};
use super::{Act, Handle, OPERATION, Operation, Victim, company, text};
use crate::steps::handle::{Flavor, Side};
use crate::steps::ledger::VICTIM;
use crate::steps::messages::{Message, message};
use crate::steps::scenario::Scenario;

pub(super) fn operations(flavor: Flavor) -> Vec<Operation> {
    let sending = Operation { flavor, setup: sender, ..OPERATION };
    let receiving = Operation { flavor, side: Side::Receiver, setup: receiver, ..OPERATION };
    let send_of = |call, act: Act, cases| Operation { call, act, cases, ..sending };
    let recv_of = |call, act: Act, cases| Operation { call, act, cases, ..receiving };
    vec![
        send_of("untyped_send", send, FREE),
        send_of("untyped_send_waiting", send, FREE_LATER),
        send_of("untyped_loan", loan, FREE),
        recv_of("untyped_recv_into", recv_into, MESSAGES),
        recv_of("untyped_recv_ref", recv_ref, MESSAGES),
        recv_of("untyped_recv_ref_waiting", recv_ref, MESSAGES_LATER),
        recv_of("untyped_recv_batch_ref", recv_batch_ref, MESSAGES),
    ]
}

/// Returns a sender, and the next message.
fn sender(scenario: &Scenario) -> Handle {
    let _company = company(scenario);
    let tx = scenario.options().open().expect("a seat");
    let number = match scenario.flavor {
        Flavor::Spsc => scenario.state.base.wrapping_add(scenario.state.fill),
        Flavor::Mpmc => VICTIM,
    };
    Handle::UntypedTx(tx, message(number))
}

fn receiver(scenario: &Scenario) -> Handle {
    let _company = company(scenario);
    Handle::UntypedRx(scenario.options().open().expect("a seat"))
}

fn send(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::UntypedTx(tx, message) = &mut victim.handle else { panic!("not a sender") };
    scenario.of_victim().sending(|| tx.send(message.as_bytes())).map_err(text)
}

fn loan(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::UntypedTx(tx, message) = &mut victim.handle else { panic!("not a sender") };
    let mut loan = tx.loan(size_of::<Message>()).map_err(text)?;
    loan.copy_from_slice(message.as_bytes());
    scenario.of_victim().sending(|| loan.commit()).map_err(text)
}

fn recv_into(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::UntypedRx(rx) = &mut victim.handle else { panic!("not a receiver") };
    let report = scenario.of_victim();
    let is_mpmc = scenario.flavor == Flavor::Mpmc;
    let mut bytes = Vec::with_capacity(size_of::<Message>());
    report.taken.begin(1);
    if is_mpmc {
        report.held.begin(1);
    }
    rx.recv_into(&mut bytes).map_err(text)?;
    let message = Message::read_from_bytes(&bytes).map_err(text)?;
    report.received((!is_mpmc).then_some(scenario.state.base), &message);
    report.taken.end(1, 1);
    if is_mpmc {
        report.held.end(1, 1);
    }
    Ok(())
}

fn recv_ref(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::UntypedRx(rx) = &mut victim.handle else { panic!("not a receiver") };
    let report = scenario.of_victim();
    let is_mpmc = scenario.flavor == Flavor::Mpmc;
    if is_mpmc {
        report.held.begin(1);
    }
    let guard = rx.recv_ref().map_err(text)?;
    let message = Message::read_from_bytes(&guard).map_err(text)?;
    if is_mpmc {
        report.read(&message);
    } else {
        report.received(Some(guard.position()), &message);
    }
    report.taken.begin(1);
    guard.ack().map_err(text)?;
    if is_mpmc {
        report.received(None, &message);
        report.held.end(1, 1);
    }
    report.taken.end(1, 1);
    Ok(())
}

fn recv_batch_ref(scenario: &Scenario, victim: &mut Victim) -> Result<(), String> {
    let Handle::UntypedRx(rx) = &mut victim.handle else { panic!("not a receiver") };
    let report = scenario.of_victim();
    let is_mpmc = scenario.flavor == Flavor::Mpmc;
    if is_mpmc {
        report.held.begin(6);
    }
    let batch = rx.recv_batch_ref(6).map_err(text)?;
    let messages: Result<Vec<Message>, _> = batch.iter().map(Message::read_from_bytes).collect();
    let messages = messages.map_err(text)?;
    for (n, message) in (0..).zip(&messages) {
        if is_mpmc {
            report.read(message);
        } else {
            report.received(Some(scenario.state.base.wrapping_add(n)), message);
        }
    }
    report.taken.begin(6);
    batch.ack().map_err(text)?;
    let taken = messages.len() as u64;
    if is_mpmc {
        messages.iter().for_each(|message| report.received(None, message));
        report.held.end(6, taken);
    }
    report.taken.end(6, taken);
    Ok(())
}

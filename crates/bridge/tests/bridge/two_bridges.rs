//! Two bridges that run one route.

use sysvring::{Flavor, Role};
use sysvring_support::handle::TakingFlavor;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;

/// One carries, the other one waits, and takes over when the first one is killed.
#[test]
fn the_second_bridge_waits_for_the_first<F: TakingFlavor>() {
    let Some(rig) = Rig::new(F::FLAVOR) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    let to_sink = rig.to_sink("");
    let _out = rig.out("").start(&[]);
    let mut first = to_sink.start(&[]);
    until("nothing arrives", || receiver.figures().received > 100);
    let mut second = to_sink.start(&[]);
    // Both write to one file.
    until("the lock is not respected", || {
        second.output().contains("another bridge runs this route")
    });
    let received = receiver.figures().received;
    until("nothing arrives beside a second bridge", || {
        receiver.figures().received > received + 500
    });
    assert_eq!(second.code(), None, "it waits");
    let members = rig.sink_stat().members;
    let senders = members.iter().filter(|member| member.role == Role::Sender && member.alive);
    assert_eq!(senders.count(), 1, "{members:?}");
    first.kill();
    let received = receiver.figures().received;
    until("nothing arrives any more", || receiver.figures().received > received + 500);
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    assert_eq!(rig.admin().messages(STREAM), sent, "messages in the stream");
    rig.must_have_sent(sent);
}

/// The seat of an SPSC receiver is taken.
#[test]
fn the_second_bridge_waits_for_the_seat() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let admin = rig.admin();
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    let out = rig.out("");
    let mut first = out.start(&[]);
    until("nothing is stored", || admin.messages(STREAM) > 100);
    let mut second = out.start(&[]);
    let stored = admin.messages(STREAM);
    until("nothing is stored beside a second bridge", || admin.messages(STREAM) > stored + 500);
    assert_eq!(second.code(), None, "it waits");
    first.kill();
    let sent = sender.stop();
    until("not all is stored", || admin.messages(STREAM) >= sent);
    assert_eq!(admin.account(STREAM), crate::account::Figures::exactly(sent));
}

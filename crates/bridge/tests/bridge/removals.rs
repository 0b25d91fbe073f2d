//! Somebody removes the stream, the consumer or a channel.

use sysvring::Flavor;
use sysvring_support::handle::TakingFlavor;
use sysvring_support::test;

use crate::admin::Admin;
use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};

/// The new stream begins with number 1 again: what the bridge knows of the old one does not count.
#[test]
fn a_stream_that_is_made_anew_is_used() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _bridges = (rig.out("").start(&[]), rig.to_sink("").start(&[]));
    rig.send(Load::of(200)).finish();
    must_receive(&mut receiver, 200);
    let admin = rig.admin();
    admin.delete_stream();
    let capacity = Load::UNTIL_STOPPED.capacity as u64;
    let mut sender = rig.send(Load { first: 200, pause: 0, ..Load::UNTIL_STOPPED });
    rig.until_blocked();
    assert_eq!(rig.source_stat().depth, capacity, "nothing is taken from it");
    admin.make_stream(Admin::settings());
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
}

#[test]
fn a_removed_consumer_is_made_anew() {
    let Some(rig) = Rig::new(Flavor::Mpmc) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _bridges = (rig.out("").start(&[]), rig.to_sink("").start(&[]));
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    let admin = rig.admin();
    for _ in 0..3 {
        let received = receiver.figures().received;
        until("nothing arrives any more", || receiver.figures().received > received);
        admin.delete_consumer();
    }
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    rig.must_have_sent(sent);
}

/// Bridges wait for channels that do not exist, and open those that are made anew.
#[test]
fn channels_that_are_made_anew_are_opened<F: TakingFlavor>() {
    let Some(rig) = Rig::new(F::FLAVOR) else { return };
    let _bridges = (rig.out("").start(&[]), rig.to_sink("").start(&[]));
    rig.send(Load::of(100)).finish();
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    must_receive(&mut receiver, 100);
    rig.near.inside(|| sysvring::remove(rig.source.as_str()).expect("removed"));
    rig.send(Load { first: 100, ..Load::of(200) }).finish();
    must_receive(&mut receiver, 200);
    drop(receiver);
    rig.far.inside(|| sysvring::remove(rig.sink.as_str()).expect("removed"));
    let mut receiver = rig.receive(Expect { first: 200, ..Expect::ONE_SENDER });
    rig.send(Load { first: 200, ..Load::of(300) }).finish();
    must_receive(&mut receiver, 100);
    rig.must_have_sent(100);
}

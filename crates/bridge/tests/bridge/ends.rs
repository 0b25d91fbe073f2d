//! Bridges that are told to end, and those that end with their streams.

use sysvring::{Flavor, Role};
use sysvring_support::handle::AnyFlavor;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;

/// Checks that the bridge of the far machine has left the channel, and did not die.
fn must_have_left(rig: &Rig) {
    let members = rig.sink_stat().members;
    let left = members.iter().filter(|member| member.role == Role::Sender && member.left);
    assert_eq!(left.count(), 1, "{members:?}");
}

/// All that was taken from the channel is stored, and all that was pulled is in the channel.
#[test]
fn a_signal_ends_a_bridge_without_a_remainder() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let Some(rig) = Rig::new(Flavor::Spsc) else { return };
        let mut receiver = rig.receive(Expect::ONE_SENDER);
        let (out, to_sink) = (rig.out(""), rig.to_sink(""));
        let mut bridges = [out.start(&[]), to_sink.start(&[])];
        let mut sender = rig.send(Load::UNTIL_STOPPED);
        until("nothing arrives", || receiver.figures().received > 100);
        let admin = rig.admin();
        bridges[0].signal(signal);
        assert_eq!(bridges[0].end(), 0, "{}", bridges[0].output());
        assert_eq!(admin.messages(STREAM), rig.source_stat().head, "stored and taken");
        bridges[1].signal(signal);
        assert_eq!(bridges[1].end(), 0, "{}", bridges[1].output());
        let consumer = admin.consumer().expect("a durable consumer");
        assert_eq!(
            consumer.ack_floor.stream_sequence,
            rig.sink_stat().tail,
            "acknowledged and sent"
        );
        must_have_left(&rig);
        let _bridges = [out.start(&[]), to_sink.start(&[])];
        let sent = sender.stop();
        must_receive(&mut receiver, sent);
    }
}

#[test]
fn bridges_end_with_their_streams<F: AnyFlavor>() {
    let Some(rig) = Rig::new(F::FLAVOR) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let mut bridge = rig.out("").start(&["--until-end"]);
    rig.send(Load { capacity: 4_096, ..Load::of(3_000) }).finish();
    assert_eq!(bridge.end(), 0, "{}", bridge.output());
    assert_eq!(rig.admin().messages(STREAM), 3_000, "messages in the stream");
    let mut bridge = rig.to_sink("").start(&["--until-end"]);
    assert_eq!(bridge.end(), 0, "{}", bridge.output());
    must_receive(&mut receiver, 3_000);
    must_have_left(&rig);
}

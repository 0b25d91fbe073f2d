//! The server has no room: senders are blocked, nothing is lost, and all goes on once there is room.

use async_nats::jetstream::stream::{self, DiscardPolicy};
use sysvring::Flavor;
use sysvring_support::test;

use crate::admin::Admin;
use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;
use crate::server::{Disk, Server};

#[test]
fn a_full_disk_blocks_the_sender() {
    let Some(disk) = Disk::new(32) else { return };
    let Some(server) = Server::start_with("", Some(&disk)) else { return };
    let mut rig = Rig::with(server, Flavor::Spsc);
    rig.admin().make_stream(Admin::settings());
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _bridges = (rig.out("").start(&[]), rig.to_sink("").start(&[]));
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    until("nothing arrives", || receiver.figures().received > 100);
    disk.fill();
    rig.until_blocked();
    disk.free();
    // The server leaves JetStream off after that until it is started again.
    rig.server.kill();
    rig.server.restart();
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    assert_eq!(rig.admin().messages(STREAM), sent, "messages in the stream");
}

#[test]
fn a_full_stream_blocks_the_sender() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::with(server, Flavor::Spsc);
    let small =
        stream::Config { max_bytes: 200_000, discard: DiscardPolicy::New, ..Admin::settings() };
    let admin = rig.admin();
    admin.make_stream(small.clone());
    let _bridge = rig.out("").start(&[]);
    let mut sender = rig.send(Load { pause: 0, ..Load::UNTIL_STOPPED });
    until("nothing is stored", || admin.messages(STREAM) > 100);
    rig.until_blocked();
    let held = admin.messages(STREAM);
    // Some more, and then all.
    admin.change_stream(stream::Config { max_bytes: 400_000, ..small.clone() });
    until("nothing more is stored", || admin.messages(STREAM) > held);
    rig.until_blocked();
    admin.change_stream(stream::Config { max_bytes: 1 << 30, ..small });
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _bridge = rig.to_sink("").start(&[]);
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    assert_eq!(admin.messages(STREAM), sent, "messages in the stream");
}

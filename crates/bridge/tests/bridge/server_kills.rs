//! The server is killed and started again, with bridges that are busy.

use std::time::Duration;

use sysvring::Flavor;
use sysvring_support::rng::Rng;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;

const KILLS: u64 = 6;

#[test]
fn a_killed_server_loses_and_doubles_nothing() {
    let Some(mut rig) = Rig::new(Flavor::Spsc) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _bridges = (rig.out("in_flight = 64").start(&[]), rig.to_sink("").start(&[]));
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    let mut rng = Rng::new();
    for kill in 0..KILLS {
        let received = receiver.figures().received;
        until("nothing arrives any more", || receiver.figures().received > received);
        std::thread::sleep(Duration::from_micros(rng.below(100_000)));
        rig.server.kill();
        // Once until the sender is blocked: nothing is dropped then.
        if kill == 0 {
            rig.until_blocked();
        }
        rig.server.restart();
    }
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    assert_eq!(rig.admin().messages(STREAM), sent, "messages in the stream");
    rig.must_have_sent(sent);
}

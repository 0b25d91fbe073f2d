//! The network between the machines and the server is cut and connected again.

use std::time::Duration;

use sysvring::Flavor;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::namespace::Network;
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;

#[test]
fn a_cut_network_loses_and_doubles_nothing() {
    let Some(network) = Network::new() else { return };
    let Some(rig) = network.inside(|| Rig::new(Flavor::Spsc)) else { return };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let (out, to_sink) = (rig.out("in_flight = 64"), rig.to_sink(""));
    let _bridges = network.inside(|| (out.start(&[]), to_sink.start(&[])));
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    // Shorter and longer than the bridge waits for an acknowledgement.
    for cut in [10, 300, 1_500] {
        let received = receiver.figures().received;
        until("nothing arrives any more", || receiver.figures().received > received);
        network.set_up(false);
        std::thread::sleep(Duration::from_millis(cut));
        if cut > 1_000 {
            rig.until_blocked();
        }
        network.set_up(true);
    }
    let sent = sender.stop();
    must_receive(&mut receiver, sent);
    assert_eq!(network.inside(|| rig.admin().messages(STREAM)), sent, "messages in the stream");
    rig.must_have_sent(sent);
}

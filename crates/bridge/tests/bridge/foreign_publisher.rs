//! Another program publishes to the subject of a route.

use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use sysvring::Flavor;
use sysvring_support::test;

use crate::account::Figures;
use crate::admin::Admin;
use crate::members::Load;
use crate::process::until;
use crate::rig::Rig;
use crate::routes::{STREAM, SUBJECT};
use crate::server::Server;

/// What the other program publishes.
const FOREIGN: &[u8] = b"not of the channel";
const MESSAGES: u64 = 50;

#[test]
fn a_foreign_publisher_does_not_stop_a_strict_route() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let admin = rig.admin();
    let bridge = rig.out("").start(&[]);
    let mut sender = rig.send(Load { pause: 500, ..Load::UNTIL_STOPPED });
    for _ in 0..MESSAGES {
        let stored = admin.messages(STREAM);
        until("the route has stopped", || admin.messages(STREAM) > stored);
        admin.publish(SUBJECT, HeaderMap::new(), FOREIGN);
    }
    let sent = sender.stop();
    until("not all is stored", || admin.messages(STREAM) >= sent + MESSAGES);
    assert_eq!(admin.account(STREAM), Figures { torn: MESSAGES, ..Figures::exactly(sent) });
    assert!(bridge.output().contains("WARN"), "nothing warns of it");
}

/// With other subjects in the stream, the last message of the stream is not that of the route.
#[test]
fn a_strict_route_needs_a_stream_of_its_own() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::with(server, Flavor::Spsc);
    let admin = rig.admin();
    admin.make_stream(stream::Config { subjects: vec!["site.>".into()], ..Admin::settings() });
    let (code, output) = rig.out("").run(&["--check"]);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("relaxed"), "the remedy: {output}");

    let _bridge = rig.out("order = \"relaxed\"").start(&[]);
    let mut sender = rig.send(Load::UNTIL_STOPPED);
    until("nothing is stored", || admin.messages(STREAM) > 100);
    admin.publish("site.other", HeaderMap::new(), FOREIGN);
    let sent = sender.stop();
    until("not all is stored", || admin.messages(STREAM) > sent);
    assert_eq!(admin.account(STREAM), Figures { torn: 1, ..Figures::exactly(sent) });
}

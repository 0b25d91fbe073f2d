//! The order of messages when the server refuses one in the middle and would take those behind it.

use async_nats::jetstream::stream;
use sysvring::Flavor;
use sysvring::spsc::Sender;
use sysvring_support::test;

use crate::admin::Admin;
use crate::namespace::Machine;
use crate::process::until;
use crate::rig::Rig;
use crate::routes::{self, Bridge, STREAM};
use crate::server::Server;

/// The message that is too long for the stream at first.
const LONG: u8 = 1;
const MESSAGES: u8 = 4;

/// Publishes messages of which the stream refuses one until its limit is raised. Returns the numbers of
/// those that are stored before and after that, in their order.
fn refuse_one(order: &str) -> Option<[Vec<u8>; 2]> {
    let rig = Rig::with(Server::start()?, Flavor::Spsc);
    let admin = rig.admin();
    let settings = |max_message_size| stream::Config { max_message_size, ..Admin::settings() };
    admin.make_stream(settings(1_000));
    let options = rig.source.options().capacity(8).slot_size(4_096);
    let mut tx: Sender<[u8]> = options.create().expect("a sender");
    for number in 0..MESSAGES {
        let length = if number == LONG { 2_000 } else { 100 };
        tx.try_send(&vec![number; length]).expect("sent");
    }
    let routes = routes::server(&rig.server.url(), "", &rig.folder)
        + &routes::out(rig.source.as_str(), &format!("order = {order:?}"));
    let machine = Machine::this();
    let bridge = Bridge::new(&machine, &rig.folder, "out", &routes).start(&[]);
    let stored = || {
        let number = |sequence| admin.message(STREAM, sequence).payload[0];
        (1..=admin.messages(STREAM)).map(number).collect::<Vec<u8>>()
    };
    // The acknowledgements come in order: those of messages behind the refused one are there.
    until("nothing is refused", || bridge.output().contains("published again"));
    let before = stored();
    admin.change_stream(settings(-1));
    until("not all is stored", || admin.messages(STREAM) == u64::from(MESSAGES));
    Some([before, stored()])
}

#[test]
fn strict_order_holds_behind_a_refused_message() {
    let Some(stored) = refuse_one("strict") else { return };
    assert_eq!(stored, [vec![0], vec![0, 1, 2, 3]]);
}

#[test]
fn relaxed_order_lets_messages_pass_a_refused_one() {
    let Some(stored) = refuse_one("relaxed") else { return };
    assert_eq!(stored, [vec![0, 2, 3], vec![0, 2, 3, 1]]);
}

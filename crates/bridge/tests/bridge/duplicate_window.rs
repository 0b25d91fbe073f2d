//! The server forgets the ids of messages before the bridge is started again.

use std::time::Duration;

use async_nats::jetstream::stream;
use sysvring_support::handle::AnyFlavor;
use sysvring_support::rng::Rng;
use sysvring_support::test;

use crate::account::Figures;
use crate::admin::Admin;
use crate::members::Load;
use crate::process::until;
use crate::rig::Rig;
use crate::routes::STREAM;
use crate::server::Server;

const WINDOW: Duration = Duration::from_millis(100);
const KILLS: u64 = 8;

#[test]
fn a_kill_beyond_the_duplicate_window_doubles_nothing<F: AnyFlavor>() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::with(server, F::FLAVOR);
    let admin = rig.admin();
    admin.make_stream(stream::Config { duplicate_window: WINDOW, ..Admin::settings() });
    let out = rig.out("in_flight = 256");
    let mut bridge = out.start(&[]);
    // A broadcast ring must be large enough for the time without a bridge.
    let mut sender = rig.send(Load { capacity: 1 << 18, ..Load::UNTIL_STOPPED });
    let mut rng = Rng::new();
    for _ in 0..KILLS {
        let stored = admin.messages(STREAM);
        until("nothing is stored any more", || admin.messages(STREAM) > stored);
        std::thread::sleep(Duration::from_micros(rng.below(20_000)));
        bridge.kill();
        std::thread::sleep(2 * WINDOW);
        bridge = out.start(&[]);
    }
    let sent = sender.stop();
    until("it does not arrive", || admin.messages(STREAM) >= sent);
    drop(bridge);
    assert_eq!(admin.account(STREAM).of(F::FLAVOR), Figures::exactly(sent));
}
